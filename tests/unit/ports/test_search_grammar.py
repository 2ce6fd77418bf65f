"""Filters and orders as text: what is read, and what is said of what cannot be."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.search_checks import checked_filter, full_order
from interlock.ports.search_fields import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MLFLOW_EXPERIMENTS,
    MLFLOW_LOGGED_MODELS,
    MLFLOW_MODELS,
    MLFLOW_RUNS,
    MLFLOW_VERSIONS,
    MODELS,
    RUNS,
    VERSIONS,
    Searchable,
)
from interlock.ports.search_grammar import best_is_least, parse_filter, parse_order
from interlock.ports.search_text import LONGEST_TEXT

MS = 1000


def metric(key: str, operator: Any, value: Any, statistic: Any = "last") -> Filter:
    return Compare(Field("metric", key, statistic), operator, value)


def param(key: str, operator: Any, value: Any = None) -> Filter:
    return Compare(Field("param", key), operator, value)


def tag(key: str, operator: Any, value: Any = None) -> Filter:
    return Compare(Field("tag", key), operator, value)


def attribute(key: str, operator: Any, value: Any = None) -> Filter:
    return Compare(Field("attribute", key), operator, value)


def dataset(key: str, operator: Any, value: Any = None) -> Filter:
    return Compare(Field("dataset", key), operator, value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("metric.acc >= 0.94", metric("acc", ">=", 0.94)),
        ("metric.acc>=100", metric("acc", ">=", 100)),
        ("metrics.loss < -1.5e-3", metric("loss", "<", -0.0015)),
        ("metrics.m=.5", metric("m", "=", 0.5)),
        ("metrics.m <> 3.", metric("m", "!=", 3.0)),
        ("metrics.m > 1e999", metric("m", ">", float("inf"))),
        ("metrics.m > " + "9" * 400, metric("m", ">", float("inf"))),
        ("params.m!='tf'", param("m", "!=", "tf")),
        ('params."m"!="tf"', param("m", "!=", "tf")),
        ('metric."legit name" >= 0.243', metric("legit name", ">=", 0.243)),
        ("metrics.'legit name' = 1", metric("legit name", "=", 1)),
        ('metrics."X//Y#$$@&Z" = 3', metric("X//Y#$$@&Z", "=", 3)),
        ("metrics.val/loss-2:a@b = 3", metric("val/loss-2:a@b", "=", 3)),
        ("metrics.`spacey name` > 5", metric("spacey name", ">", 5)),
        ('metrics."accuracy.2.0" > 5', metric("accuracy.2.0", ">", 5)),
        ("`metric`.a >= 0.1", metric("a", ">=", 0.1)),
        ("tags.mlflow.source.name = 'train.py'", tag("mlflow.source.name", "=", "train.py")),
        ("tags.and = 'or'", tag("and", "=", "or")),
        ("parameters.p = 'x'", param("p", "=", "x")),
        ('params.m = "L\'Hosp"', param("m", "=", "L'Hosp")),
        ("params.m = 'L''Hosp'", param("m", "=", "L'Hosp")),
        (r"params.path = 'C:\'", param("path", "=", "C:\\")),
        ("params.m = ''", param("m", "=", "")),
        ("tags.version IS NULL", tag("version", "IS NULL")),
        ("tags.version is  not\tnull", tag("version", "IS NOT NULL")),
        ("params.lr IS NULL", param("lr", "IS NULL")),
        ("metrics.auc IS NULL", metric("auc", "IS NULL", None)),
        ("tags.t like 'a%'", tag("t", "LIKE", "a%")),
        ("tags.t iLike 'a%'", tag("t", "ILIKE", "a%")),
        ("tags.t IN ('a', \"b\")", tag("t", "IN", ("a", "b"))),
        ("tags.t NOT IN ('a',)", tag("t", "NOT IN", ("a",))),
        ("dataset.name = 'd'", dataset("name", "=", "d")),
        ("datasets.digest NOT IN ('x')", dataset("digest", "NOT IN", ("x",))),
        ("attributes.run_id IN ('a','b')", attribute("id", "IN", ("a", "b"))),
        ("attributes.`Run name` = 'n'", attribute("name", "=", "n")),
        ("`run name` = 'n'", attribute("name", "=", "n")),
        ("attr.user_id != 'ada'", attribute("user", "!=", "ada")),
        ("run.status = 'RUNNING'", attribute("status", "=", "running")),
        ("status != 'FAILED'", attribute("status", "IN", ("running", "scheduled", "finished", "killed"))),
        ("status LIKE 'F%'", attribute("status", "IN", ("finished", "failed"))),
        ("status ILIKE 'k%'", attribute("status", "=", "killed")),
        ("status = 'blah'", AnyOf(())),
        ("status = 'running'", AnyOf(())),
        ("status IN ('FAILED', 'blah')", attribute("status", "=", "failed")),
        ("end_time IS NULL", attribute("ended_at", "IS NULL")),
        (
            "start_time = 5",
            AllOf((attribute("started_at", ">=", 5 * MS), attribute("started_at", "<", 6 * MS))),
        ),
        (
            "created != 5",
            AnyOf((attribute("started_at", "<", 5 * MS), attribute("started_at", ">=", 6 * MS))),
        ),
        ("start_time > 5", attribute("started_at", ">=", 6 * MS)),
        ("start_time >= 5", attribute("started_at", ">=", 5 * MS)),
        ("start_time < 5.5", attribute("started_at", "<", 6 * MS)),
        ("start_time <= 5.5", attribute("started_at", "<", 6 * MS)),
        ("start_time = 5.5", AnyOf(())),
        ("end_time != 5.5", attribute("ended_at", "IS NOT NULL")),
        ("start_time >= '1970-01-01T00:00:01'", attribute("started_at", ">=", 1_000_000)),
        ("start_time < '1970-01-02'", attribute("started_at", "<", 86_400_000_000)),
        ("start_time = '1970-01-01T02:00:00+02:00'", attribute("started_at", "=", 0)),
        ("artifact_uri = 'mlflow-artifacts:/1/r7/artifacts'", attribute("id", "=", "r7")),
        ("artifact_uri = 'elsewhere'", AnyOf(())),
        ("artifact_uri != 'elsewhere'", attribute("id", "IS NOT NULL")),
        ("artifact_uri LIKE '%r7%'", attribute("id", "LIKE", "%r7%")),
        ("max(metrics.auc) > 0.9", metric("auc", ">", 0.9, "max")),
        ("MIN( metrics.`val loss` ) < 1", metric("val loss", "<", 1, "min")),
        ("best(metrics.val_loss) < 1", metric("val_loss", "<", 1, "min")),
        ("best(metrics.auc) > 1", metric("auc", ">", 1, "max")),
        ("count(metrics.auc) = 3", metric("auc", "=", 3, "count")),
        (
            "metrics.rmse < 1 and params.model_class = 'LR'",
            AllOf((metric("rmse", "<", 1), param("model_class", "=", "LR"))),
        ),
        ("tags.a = '1' OR tags.b = '2'", AnyOf((tag("a", "=", "1"), tag("b", "=", "2")))),
        (
            "tags.a = '1' OR tags.b = '2' AND tags.c = '3'",
            AnyOf((tag("a", "=", "1"), AllOf((tag("b", "=", "2"), tag("c", "=", "3"))))),
        ),
        (
            "(tags.a = '1' OR tags.b = '2')AND(tags.c = '3')",
            AllOf((AnyOf((tag("a", "=", "1"), tag("b", "=", "2"))), tag("c", "=", "3"))),
        ),
        ("NOT tags.a = '1'", Not(tag("a", "=", "1"))),
        ("not(tags.a = '1')", Not(tag("a", "=", "1"))),
        (
            "NOT tags.a = '1' AND tags.b = '2'",
            AllOf((Not(tag("a", "=", "1")), tag("b", "=", "2"))),
        ),
        ("tags.a NOT LIKE 'x%'", AllOf((Not(tag("a", "LIKE", "x%")), tag("a", "IS NOT NULL")))),
    ],
)
def test_a_filter_is_read(text: str, found: Filter) -> None:
    assert parse_filter(text, MLFLOW_RUNS) == found
    assert parse_filter(f"  {text}\n", MLFLOW_RUNS) == found
    checked_filter(found, RUNS)


@pytest.mark.parametrize("text", ["", "  ", "\n", None])
def test_an_empty_filter_asks_for_nothing(text: str | None) -> None:
    assert parse_filter(text, RUNS) is None


def test_our_own_names_are_those_of_the_records() -> None:
    assert parse_filter("started_at > 5 AND user = 'ada'", RUNS) == AllOf(
        (attribute("started_at", ">", 5), attribute("user", "=", "ada"))
    )
    assert parse_filter("status = 'running'", RUNS) == attribute("status", "=", "running")
    assert parse_filter("created_at > '2026-01-01' AND id IN (1, '2')", EXPERIMENTS) == AllOf(
        (attribute("created_at", ">", 1_767_225_600_000_000), attribute("id", "IN", ("1", "2")))
    )
    assert parse_filter("version >= 3 AND stage = 'Production'", VERSIONS) == AllOf(
        (attribute("version", ">=", 3), attribute("stage", "=", "Production"))
    )


@pytest.mark.parametrize(
    ("text", "of", "found"),
    [
        ("experiment_id = '1'", MLFLOW_EXPERIMENTS, attribute("id", "=", 1)),
        ("experiment_id IN ('1','2')", MLFLOW_EXPERIMENTS, attribute("id", "IN", ("1", "2"))),
        ("attribute.name ILIKE 'a%'", MLFLOW_EXPERIMENTS, attribute("name", "ILIKE", "a%")),
        ("last_update_time >= 3", MLFLOW_EXPERIMENTS, attribute("updated_at", ">=", 3 * MS)),
        ("tag.`k e y 1` = 'value'", MLFLOW_EXPERIMENTS, tag("k e y 1", "=", "value")),
        ("name LIKE '%RM%'", MLFLOW_MODELS, attribute("name", "LIKE", "%RM%")),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", MLFLOW_MODELS, tag("mlflow.prompt.is_prompt", "=", "true")),
        ("version_number<=3", MLFLOW_VERSIONS, attribute("version", "<=", 3)),
        ("version_number = '2'", MLFLOW_VERSIONS, attribute("version", "=", 2)),
        ("run_id IN ('a')", MLFLOW_VERSIONS, attribute("run", "IN", ("a",))),
        ("source_path = 'A/D'", MLFLOW_VERSIONS, attribute("source", "=", "A/D")),
        ("name='m' and tag.t2 = 'xyz'", MLFLOW_VERSIONS, AllOf((attribute("model", "=", "m"), tag("t2", "=", "xyz")))),
        ("model_id IN ('m-1', 'm-2')", MLFLOW_LOGGED_MODELS, attribute("id", "IN", ("m-1", "m-2"))),
        ("status = 'READY'", MLFLOW_LOGGED_MODELS, attribute("status", "=", "ready")),
        ("creation_timestamp < 7", MLFLOW_LOGGED_MODELS, attribute("created_at", "<", 7 * MS)),
        ("metrics.acc > 0.5", MLFLOW_LOGGED_MODELS, metric("acc", ">", 0.5)),
    ],
)
def test_other_records_have_names_of_their_own(text: str, of: Searchable, found: Filter) -> None:
    assert parse_filter(text, of) == found


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("m.acc >= 0.94", "Invalid entity type 'm'", "at character 1 of the filter: known: attributes"),
        ("metrcs.acc >= 0.94", "Invalid entity type 'metrcs'", "did you mean 'metrics'"),
        ("acc >= 0.94", "Invalid attribute key 'acc' specified", "at character 1"),
        (
            "tags.a = 'b' AND stats = 'x'",
            "Invalid attribute key 'stats'",
            "at character 18 of the filter: did you mean",
        ),
        ("attribute.experiment_id != 1", "Invalid attribute key 'experiment_id'", "at character 11"),
        ("attribute.lifecycle_stage = 'ACTIVE'", "Invalid attribute key", ""),
        ("dataset.status = 'true'", "Invalid dataset key 'status'", "known: context, digest, name"),
        ("metrics.A > 0.1 NAND params.B = 'LR'", "Invalid clause(s) in filter string", "expected AND, OR or the end"),
        ("metrics.A > 0.1 metrics.B > 1", "Invalid clause(s) in filter string", "at character 17"),
        ("metrics.A > 0.1; metrics.B > 1", "Search filter string contained multiple expressions", "character 16"),
        ("`metrics.A > 0.1", "Invalid clause(s) in filter string", "a closing `"),
        ("params.acc = 'LR", "Invalid clause(s) in filter string", "at character 14: expected a closing '"),
        ("params.acc = LR'", "not quoted", "at character 14"),
        ("params.acc = `LR`", "Parameter value is either not quoted or unidentified quote types", ""),
        ("params.'acc = LR", "Invalid clause(s) in filter string", "a closing '"),
        ("tags.acc = = 'LR'", "Invalid clause(s) in filter string", "a quoted text"),
        ("tags.acc", "Invalid clause(s) in filter string", "a comparison"),
        ("tags.acc LR 'x'", "Invalid clause(s) in filter string", "expected one of =, !=, LIKE"),
        ("tags. = 'x'", "Invalid clause(s) in filter string", "a key after 'tags.'"),
        ("tags.'' = 'x'", "Invalid tag key ''", "at least one"),
        ("metric.acc !=", "Invalid clause(s) in filter string", "expected a value, found the end"),
        ("metric.model = 'LR'", "Expected numeric value type for metric. Found 'LR'", "numbers have no quotes"),
        ("metrics.acc != metrics.acc", "Expected numeric value type for metric", ""),
        ("params.acc = 5", "Expected a quoted string value for param", "Got value 5"),
        ("tags.acc = 5", "Expected a quoted string value for tag", ""),
        ("attribute.status = 1", "Expected a quoted string value for attributes", ""),
        ("1.0 > metrics.acc", "Expected 'Identifier' found '1.0'", ""),
        ("1=1", "Expected 'Identifier' found", ""),
        ("metrics.acc ~ 1", "Invalid comparator '~'", "expected one of =, !=, <"),
        ("metrics.acc == 1", "Invalid comparator '=='", "equality is written ="),
        ("metrics.acc LIKE '1'", "Invalid comparator 'LIKE'", ""),
        ("params.lr > '0.1'", "Invalid comparator '>'", ""),
        ("status >= 'RUNNING'", "Invalid comparator '>='", ""),
        ("start_time LIKE 'x'", "Invalid comparator 'LIKE'", ""),
        ("start_time > 'soon'", "Expected numeric value type for numeric attribute", "2026-07-28"),
        ("attribute.status IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params", "always"),
        ("attribute.status IS 'RUNNING'", "Invalid clause(s) in filter string", "NULL or NOT NULL"),
        ("tags.a NOT = 'x'", "Invalid clause(s) in filter string", "IN, LIKE or ILIKE"),
        ("run_id IN (1,2,3)", "but got different type in list", "text has quotes"),
        ("run_id IN ()", "expected a non-empty list of string values, but got empty list", ""),
        ("run_id IN (,)", "but got ill-formed list", ""),
        ("run_id IN ('a',,'b')", "but got ill-formed list", ""),
        ("run_id IN ('a' 'b')", "but got ill-formed list", "expected ',' or ')'"),
        ("run_id IN 'a'", "Invalid clause(s) in filter string", "'(' and a list"),
        ("run_id IN", "Invalid clause(s) in filter string", "found the end"),
        ("avg(metrics.a) > 1", "'avg' is no statistic of metrics", "known: best, count"),
        ("max(params.a) > 1", "max(…) takes a metric", "at character 5"),
        ("max(min(metrics.a)) > 1", "max(…) takes a metric", ""),
        ("max(metrics.a > 1", "Invalid clause(s) in filter string", "expected ')'"),
        ("(tags.a = 'b'", "Invalid clause(s) in filter string", "expected ')', AND or OR, found the end"),
        ("tags.a = 'b')", "Invalid clause(s) in filter string", "at character 13"),
        ("tags.a = 'b' AND", "Invalid clause(s) in filter string", "the name of something, found the end"),
        ("AND", "Invalid attribute key 'AND'", ""),
        ("artifact_uri LIKE '%/1/%'", "cannot be searched for", "a part of a run's id"),
        ("tags.a = 'b' -- x", "Invalid clause(s) in filter string", "found '-- x'"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, what: str, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_filter(text, MLFLOW_RUNS)
    assert what in caught.value.what + caught.value.why
    assert why in caught.value.why + caught.value.what


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("metrics.a > 1", MLFLOW_EXPERIMENTS),
        ("run_id='x'", MLFLOW_MODELS),
        ("datasets.name = 'x'", MLFLOW_LOGGED_MODELS),
        ("experiment_id > 1", MLFLOW_EXPERIMENTS),
        ("experiment_id = 'one'", MLFLOW_EXPERIMENTS),
        ("version_number = 1.5", MLFLOW_VERSIONS),
        ("version_number IN ('1')", MLFLOW_VERSIONS),
        ("name IS NULL", MLFLOW_EXPERIMENTS),
        ("id = 99999999999999999999", EXPERIMENTS),
    ],
)
def test_what_a_record_does_not_have_cannot_be_asked(text: str, of: Searchable) -> None:
    with pytest.raises(InvalidInput):
        parse_filter(text, of)


@pytest.mark.parametrize(
    ("clauses", "found"),
    [
        ([], ()),
        (["metrics.`Mean Square Error`"], (OrderBy(Field("metric", "Mean Square Error")),)),
        (['metrics."key1"  desc'], (OrderBy(Field("metric", "key1"), True),)),
        (["params.my_param aSc "], (OrderBy(Field("param", "my_param")),)),
        (
            ["start_time DESC, tags.a", "params.b"],
            (OrderBy(Field("attribute", "started_at"), True), OrderBy(Field("tag", "a")), OrderBy(Field("param", "b"))),
        ),
        (["attribute.run_id ASC"], (OrderBy(Field("attribute", "id")),)),
        (["max(metrics.x) ASC"], (OrderBy(Field("metric", "x", "max")),)),
        (["best(metrics.auc)"], (OrderBy(Field("metric", "auc", "max"), True),)),
        (["best(metrics.loss)"], (OrderBy(Field("metric", "loss", "min")),)),
        (["best(metrics.auc) ASC"], (OrderBy(Field("metric", "auc", "max")),)),
        (["best(metrics.loss) DESC"], (OrderBy(Field("metric", "loss", "min"), True),)),
        (["`Run name` DESC"], (OrderBy(Field("attribute", "name"), True),)),
    ],
)
def test_an_order_is_read(clauses: list[str], found: tuple[OrderBy, ...]) -> None:
    assert parse_order(clauses, MLFLOW_RUNS) == found
    assert full_order(found, RUNS)[-1].field == Field("attribute", "id")


@pytest.mark.parametrize(
    ("clause", "what"),
    [
        ("m.acc", "Invalid entity type"),
        ("acc", "Invalid attribute key"),
        ("`metrics.A", "Invalid order_by clause"),
        ("`metrics.A`", "Invalid attribute key"),
        ("metrics.A != 1", "Invalid order_by clause"),
        ("attribute.run_id ACS", "Invalid ordering key"),
        ("start_time DESC blah", "Invalid order_by clause"),
        ("start_time somerandomstuff ASC", "Invalid order_by clause"),
        ("", "Invalid order_by clause"),
        ("metrics.a,", "Invalid order_by clause"),
        ("datasets.name", "Invalid identifier type 'dataset'"),
        ("metrics.a, metrics.a DESC", "`order_by` contains duplicate fields"),
    ],
)
def test_an_order_that_cannot_be_read_is_told(clause: str, what: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_order([clause], MLFLOW_RUNS)
    assert what in caught.value.what


def test_texts_have_limits() -> None:
    fits = "(" * 63 + "tags.a = 'b'" + ")" * 63
    assert parse_filter(fits, RUNS) == tag("a", "=", "b")
    assert parse_filter("NOT " * 63 + "tags.a = 'b'", RUNS) is not None
    for text in (
        "(" * 64 + "tags.a = 'b'" + ")" * 64,
        "NOT " * 64 + "tags.a = 'b'",
        "(" * 30_000,
        "NOT " * 10_000,
        "tags.a = '" + "x" * LONGEST_TEXT + "'",
    ):
        with pytest.raises(LimitExceeded):
            parse_filter(text, RUNS)
    with pytest.raises(LimitExceeded):
        parse_order(["x" * (LONGEST_TEXT + 1)], RUNS)
    many = " OR ".join(["id='a'"] * 501)
    with pytest.raises(LimitExceeded):
        checked_filter(parse_filter(many, RUNS), RUNS)


@pytest.mark.parametrize(
    "text",
    [
        "tags.a = '" + "''" * 30_000,
        "'" * 60_001,
        "`" * 60_001,
        "tags." + "a." * 30_000,
        "tags.a IN (" + "'x'," * 15_000,
        "metrics.a > " + "1" * 60_000 + "x",
        " " * 60_000 + "x",
        "a" * 60_000 + "!",
        "tags.a = 'b' AND " * 3_000,
    ],
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    began = time.process_time()
    with pytest.raises(InterlockError):
        parse_filter(text, RUNS)
    assert time.process_time() - began < 1


@given(st.text(alphabet="tags.metricsparnoOR()'\"`=<>!%,; 019eINLKEULx\n\\é", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for of in (RUNS, MLFLOW_RUNS, EXPERIMENTS, MLFLOW_VERSIONS):
        try:
            where = parse_filter(text, of)
        except (InvalidInput, LimitExceeded):
            continue
        assert where is None or isinstance(where, (Compare, Not, AllOf, AnyOf))


@pytest.mark.parametrize(
    "key", ["loss", "val/loss", "valLoss", "RMSE", "train_log-loss", "WER", "mean_abs_err", "mae_2"]
)
def test_of_errors_the_least_is_the_best(key: str) -> None:
    assert best_is_least(key)


@pytest.mark.parametrize("key", ["auc", "accuracy", "glossary", "neg_mean_squared_error", "f1", "terror_score", "r2"])
def test_of_scores_the_most_is_the_best(key: str) -> None:
    assert not best_is_least(key)


@pytest.mark.parametrize(
    ("foreign", "own"),
    [
        (MLFLOW_RUNS, RUNS),
        (MLFLOW_EXPERIMENTS, EXPERIMENTS),
        (MLFLOW_LOGGED_MODELS, LOGGED_MODELS),
        (MLFLOW_MODELS, MODELS),
        (MLFLOW_VERSIONS, VERSIONS),
    ],
)
def test_foreign_names_lead_to_attributes_that_are_there(foreign: Searchable, own: Searchable) -> None:
    assert foreign.kinds().items() <= own.kinds().items()
    assert (foreign.parts, foreign.ties, foreign.cut) == (own.parts, own.ties, own.cut)
    missing = {one.key: one.may_be_missing for one in foreign.attributes.values()}
    assert all(own.may_be_missing(key) == value for key, value in missing.items())
