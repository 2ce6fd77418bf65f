"""Filters and orders for traces, as MLflow's clients write them and beyond."""

from __future__ import annotations

import pytest

from interlock.ports.trace_search import (
    AllTraces,
    AnySpan,
    AnyTraces,
    SpanCompare,
    TraceCompare,
    TraceFilter,
    TraceNot,
    TraceOrder,
)
from interlock.server.mlflow.trace_filter import LONGEST_FILTER, parse_filter, parse_order
from interlock.server.mlflow.wire import Failure

OK = TraceCompare("attribute", "status", "=", "OK")
X = TraceCompare("tag", "x", "=", "1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status = 'OK'", OK),
        ('attributes.status="OK"', OK),
        ("trace.status = 'OK'", OK),
        ("timestamp_ms > 12", TraceCompare("attribute", "start_ms", ">", 12)),
        ("trace.timestamp <= -1.5e3", TraceCompare("attribute", "start_ms", "<=", -1500.0)),
        ("execution_time >= '7'", TraceCompare("attribute", "duration_ms", ">=", 7)),
        ("end_time_ms <> 3", TraceCompare("attribute", "end_ms", "!=", 3)),
        ("execution_time_ms IS NULL", TraceCompare("attribute", "duration_ms", "IS NULL")),
        ("request_id IN ('a', 'b''c')", TraceCompare("attribute", "id", "IN", ("a", "b'c"))),
        ('client_request_id not in ("a")', TraceCompare("attribute", "client_request", "NOT IN", ("a",))),
        ("tags.x = '1'", X),
        ("tag.`x y.z` like 'a%'", TraceCompare("tag", "x y.z", "LIKE", "a%")),
        ("tags.\"my tag\" ILIKE 'A'", TraceCompare("tag", "my tag", "ILIKE", "A")),
        ("tags.a.b/c-d:e = 'x'", TraceCompare("tag", "a.b/c-d:e", "=", "x")),
        (
            "metadata.`mlflow.trace.session` IS NOT NULL",
            TraceCompare("metadata", "mlflow.trace.session", "IS NOT NULL"),
        ),
        ("request_metadata.k RLIKE '^v'", TraceCompare("metadata", "k", "RLIKE", "^v")),
        ("name = 'f'", TraceCompare("tag", "mlflow.traceName", "=", "f")),
        ("run_id = 'r1'", TraceCompare("link", "", "=", "run:r1")),
        ("run_id LIKE 'r%'", TraceCompare("metadata", "mlflow.sourceRun", "LIKE", "r%")),
        ("prompt = 'my prompt/2'", TraceCompare("link", "", "=", "model:my%20prompt@2")),
        ("issue.id = 'i-1'", TraceCompare("issue", "", "=", "i-1")),
        ("feedback.good = 0.5", TraceCompare("feedback", "good", "=", 0.5)),
        ("feedback.good > '0.5'", TraceCompare("feedback", "good", ">", 0.5)),
        ("expectation.`the answer` != 'x'", TraceCompare("expectation", "the answer", "!=", "x")),
        ("text LIKE '%x%'", AnySpan((SpanCompare("text", "LIKE", "%x%"),))),
        ("span.content ILIKE '%x%'", AnySpan((SpanCompare("text", "ILIKE", "%x%"),))),
        ("span.type IN ('LLM')", AnySpan((SpanCompare("kind", "IN", ("LLM",)),))),
        ("span.attributes.a.b = 'x'", AnySpan((SpanCompare("attribute", "=", "x", key="a.b"),))),
        ("status = 'OK' AND tags.x = '1'", AllTraces((OK, X))),
        ("status = 'OK' or tags.x = '1' AND status = 'OK'", AnyTraces((OK, AllTraces((X, OK))))),
        ("NOT (status = 'OK' OR tags.x = '1')", TraceNot(AnyTraces((OK, X)))),
        (
            "span.name = 'a' AND tags.x = '1' AND span.status = 'ERROR'",
            AllTraces((X, AnySpan((SpanCompare("name", "=", "a"), SpanCompare("status", "=", "ERROR"))))),
        ),
        (
            "span.name = 'a' OR span.name = 'b'",
            AnyTraces((AnySpan((SpanCompare("name", "=", "a"),)), AnySpan((SpanCompare("name", "=", "b"),)))),
        ),
    ],
)
def test_a_filter_is_read(text: str, expected: TraceFilter) -> None:
    assert parse_filter(text) == expected
    assert parse_filter(f"  ( {text} ) ") == expected


@pytest.mark.parametrize("text", [None, ""])
def test_no_filter_is_none(text: str | None) -> None:
    assert parse_filter(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("   ", "Could not be parsed"),
        ("colour = 'red'", "Invalid attribute key 'colour' specified"),
        ("thing.colour = 'red'", "Invalid entity type 'thing'"),
        ("span.colour = 'red'", "Invalid span attribute 'colour'"),
        ("span.attributes.`` = 'red'", "cannot be empty"),
        ("issue.name = 'red'", "Invalid issue attribute 'name'"),
        ("tags.`` = 'red'", "it is empty"),
        ("status > 'OK'", "Invalid comparator '>'"),
        ("tags.x > '1'", "Invalid comparator '>'"),
        ("text = 'x'", "Invalid comparator '='"),
        ("prompt != 'a/1'", "Invalid comparator '!='"),
        ("prompt = 'a'", "Expected format"),
        ("prompt = 'a/b/1'", "Expected format"),
        ("timestamp_ms = 'soon'", "Expected a numeric value"),
        ("feedback.good > 'x'", "Expected a numeric value for feedback"),
        ("tags.x = 1", "Expected a quoted string value"),
        ("status = OK", "either not quoted"),
        ("status IN ()", "non-empty list"),
        ("status IN ('a', 1)", "non-empty list"),
        ("status IN ('a'", "Invalid clause"),
        ("status IN 'a'", "Invalid clause"),
        ("status =", "either not quoted"),
        ("status", "Invalid clause"),
        ("= 'x'", "Invalid clause"),
        ("AND = 'x'", "Invalid clause"),
        ("status = 'OK' AND", "Invalid clause"),
        ("status = 'OK' tags.x = '1'", "Invalid clause"),
        ("(status = 'OK'", "Invalid clause"),
        ("status = 'OK')", "Invalid clause"),
        ("status = 'OK'; DROP TABLE traces", "multiple expressions"),
        ("status = 'OK", "Invalid clause"),
        ("status IS 'x'", "Invalid clause"),
        ("status IS NOT 'x'", "Invalid clause"),
        ("status NOT LIKE 'x'", "Invalid clause"),
        ("status ! 'x'", "Invalid clause"),
        ("(" * 100 + "status = 'OK'" + ")" * 100, "nested too deeply"),
        ("NOT " * 100 + "status = 'OK'", "nested too deeply"),
        ("status = '" + "x" * LONGEST_FILTER + "'", "cannot be read"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_filter(text)
    assert caught.value.status == 400
    assert said in caught.value.message
    assert len(caught.value.message) < 1000


def test_an_order_is_read() -> None:
    clauses = ["timestamp_ms DESC", "tags.`a b` asc", "attributes.status", "run_id", "name desc", "experiment_id"]
    assert parse_order(clauses) == (
        TraceOrder("attribute", "start_ms", descending=True),
        TraceOrder("tag", "a b"),
        TraceOrder("attribute", "status"),
        TraceOrder("metadata", "mlflow.sourceRun"),
        TraceOrder("tag", "mlflow.traceName", descending=True),
        TraceOrder("attribute", "experiment"),
    )


@pytest.mark.parametrize("clause", ["", "   ", "colour", "span.name", "feedback.good", "timestamp up"])
def test_an_order_that_makes_no_sense_is_refused(clause: str) -> None:
    with pytest.raises(Failure):
        parse_order([clause])


def test_nothing_is_ordered_by_twice() -> None:
    with pytest.raises(Failure, match="duplicate"):
        parse_order(["timestamp", "timestamp_ms DESC"])
