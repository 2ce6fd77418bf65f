"""What every run store must do with filters, orders and pages."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.ports.run_store import DatasetUse, Run, RunBatch, RunChange
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays
from interlock.testing.run_metrics import BEGIN, END, a_run, points

LONG = "x" * 400
"""A text of which backends may keep the beginning to search by."""


def attribute(key: str) -> Field:
    """Return an attribute."""
    return Field("attribute", key)


def metric(key: str, statistic: Any = "last") -> Field:
    """Return a metric."""
    return Field("metric", key, statistic)


def param(key: str) -> Field:
    """Return a param."""
    return Field("param", key)


def tag(key: str) -> Field:
    """Return a tag."""
    return Field("tag", key)


AUC = metric("auc")


class RunSearchContract(Contract):
    """Searching runs."""

    @pytest.fixture
    def runs(self, stores: Stores) -> Stores:
        """Fill the stores: r1 to r6 in `delay`, each begun a minute after the one before, and r7 in `other`."""
        add(stores, "r1", 1, (0.1, 0.9), params={"lr": 0.1, "model": "sgd"}, tags={"team": "ops"})
        add(stores, "r2", 2, (0.5, 0.7), params={"lr": 0.2, "model": "adam"}, tags={"team": "Ops", "note": "100%"})
        add(stores, "r3", 3, (0.7,), params={"lr": 0.1, "model": "adam"}, tags={"team": "research"})
        add(stores, "r4", 4, (math.nan,), params={"model": "[a*]?"}, tags={"note": f"{LONG}end"})
        add(stores, "r5", 5, (), params={"model": f"{LONG}1"}, tags={"note": f"{LONG}End"})
        add(stores, "r6", 6, (0.7, math.nan), environment={"user": "ada"}, parent="r1", tags={"note": LONG})
        add(stores, "r7", 7, (0.3,), experiment="other", kind="step", tags={"team": "ops"})
        stores.runs.end("r2", status="finished", ended_at=END)
        stores.runs.end("r3", status="failed", ended_at=END + timedelta(hours=1), error="boom")
        used = (DatasetUse("flights", "abc", "training"), DatasetUse("weather", "def"))
        stores.runs.log("r3", RunBatch(datasets=used))
        return stores

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (None, "7654321"),
            (Compare(AUC, ">", 0.5), "321"),
            (Compare(AUC, ">=", 0.9), "1"),
            (Compare(AUC, "=", 0.7), "32"),
            (Compare(AUC, "!=", 0.7), "7641"),
            (Compare(AUC, "<", 1), "7321"),
            (Compare(AUC, "<", math.inf), "7321"),
            (Compare(AUC, "=", math.nan), ""),
            (Compare(AUC, "!=", math.nan), "764321"),
            (Compare(AUC, "IS NULL"), "5"),
            (Compare(AUC, "IS NOT NULL"), "764321"),
            (Compare(metric("auc", "min"), "<", 0.5), "71"),
            (Compare(metric("auc", "first"), "=", 0.5), "2"),
            (Compare(metric("auc", "max"), ">", 0.7), "1"),
            (Compare(metric("auc", "mean"), "=", 0.7), "63"),
            (Compare(metric("auc", "mean"), "!=", 0.7), "7421"),
            (Compare(metric("auc", "count"), ">", 1), "621"),
            (Compare(metric("auc", "count"), "!=", 1), "621"),
            (Compare(metric("none"), "!=", 1), ""),
            (Compare(param("lr"), "=", "0.1"), "31"),
            (Compare(param("lr"), "!=", "0.1"), "2"),
            (Compare(param("lr"), "IS NULL"), "7654"),
            (Compare(param("model"), "IN", ("sgd", "[a*]?")), "41"),
            (Compare(param("model"), "NOT IN", ("sgd", "adam")), "54"),
            (Compare(param("model"), "LIKE", "[a*]?"), "4"),
            (Compare(param("model"), "LIKE", "%a*%"), "4"),
            (Compare(param("model"), "=", f"{LONG}1"), "5"),
            (Compare(param("model"), "=", f"{LONG}2"), ""),
            (Compare(param("model"), "!=", f"{LONG}2"), "54321"),
            (Compare(tag("team"), "=", "ops"), "71"),
            (Compare(tag("team"), "ILIKE", "OPS"), "721"),
            (Compare(tag("team"), "LIKE", "_ps"), "721"),
            (Compare(tag("team"), "LIKE", "o%"), "71"),
            (Compare(tag("team"), "LIKE", "ops_"), ""),
            (Compare(tag("note"), "LIKE", "100%"), "2"),
            (Compare(tag("note"), "LIKE", "%\\%"), ""),
            (Compare(tag("note"), "LIKE", "%end"), "4"),
            (Compare(tag("note"), "LIKE", f"{LONG}%"), "654"),
            (Compare(tag("note"), "LIKE", f"{LONG}_nd"), "54"),
            (Compare(tag("note"), "ILIKE", "%END"), "54"),
            (Compare(tag("note"), "<", f"{LONG}F"), "652"),
            (Compare(attribute("id"), "IN", ("r1", "r6", "r9")), "61"),
            (Compare(attribute("name"), "=", "run r4"), "4"),
            (Compare(attribute("name"), "LIKE", "run%4"), "4"),
            (Compare(attribute("status"), "!=", "running"), "32"),
            (Compare(attribute("kind"), "=", "step"), "7"),
            (Compare(attribute("experiment"), "=", "other"), "7"),
            (Compare(attribute("parent"), "=", "r1"), "6"),
            (Compare(attribute("parent"), "!=", "r1"), ""),
            (Compare(attribute("parent"), "IS NULL"), "754321"),
            (Compare(attribute("user"), "=", "ada"), "6"),
            (Compare(attribute("ended_at"), "IS NULL"), "76541"),
            (Compare(attribute("ended_at"), ">", 0), "32"),
            (Compare(attribute("started_at"), ">", 1_767_225_600_000_000 + 5 * 60_000_000), "76"),
            (Compare(attribute("started_at"), "<=", 1_767_225_600_000_000.5 + 60_000_000), "1"),
            (Compare(Field("dataset", "name"), "=", "flights"), "3"),
            (Compare(Field("dataset", "name"), "!=", "flights"), "3"),
            (Compare(Field("dataset", "digest"), "LIKE", "%e%"), "3"),
            (Compare(Field("dataset", "context"), "!=", "eval"), "3"),
            (Compare(Field("dataset", "context"), "=", ""), ""),
            (Compare(Field("dataset", "name"), "IS NULL"), "765421"),
            (Not(Compare(AUC, ">", 0.5)), "7654"),
            (Not(Compare(attribute("user"), "=", "ada")), "754321"),
            (Not(Compare(tag("team"), "=", "ops")), "65432"),
            (AllOf((Compare(AUC, ">", 0.5), Compare(param("lr"), "=", "0.1"))), "31"),
            (AnyOf((Compare(AUC, ">", 0.8), Compare(tag("team"), "=", "ops"))), "71"),
            (Not(AnyOf((Compare(AUC, "IS NULL"), Not(Compare(AUC, "<", 0.6))))), "7"),
            (AllOf(()), "7654321"),
            (AnyOf(()), ""),
        ],
        ids=str,
    )
    def test_a_filter_finds_what_it_says_newest_first(self, runs: Stores, where: Filter | None, found: str) -> None:
        assert ids(runs, where=where) == found

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ((), "7654321"),
            ((OrderBy(attribute("started_at")),), "1234567"),
            ((OrderBy(AUC),), "7321" + "64" + "5"),
            ((OrderBy(AUC, descending=True),), "1327" + "64" + "5"),
            ((OrderBy(metric("auc", "max"), descending=True),), "163" + "27" + "4" + "5"),
            ((OrderBy(metric("auc", "count")),), "743621" + "5"),
            ((OrderBy(param("lr")),), "312" + "7654"),
            ((OrderBy(param("lr"), descending=True),), "231" + "7654"),
            ((OrderBy(param("lr")), OrderBy(AUC, descending=True)), "132" + "7645"),
            ((OrderBy(param("model")),), "432" + "15" + "76"),
            ((OrderBy(tag("note")),), "2645" + "7" + "31"),
            ((OrderBy(attribute("name"), descending=True),), "7654321"),
            ((OrderBy(attribute("status")), OrderBy(attribute("started_at"))), "3" + "2" + "14567"),
            ((OrderBy(attribute("ended_at"), descending=True),), "32" + "76541"),
            ((OrderBy(attribute("user")), OrderBy(attribute("id"))), "6" + "123457"),
            ((OrderBy(attribute("experiment")),), "6543217"),
            ((OrderBy(tag("none")), OrderBy(tag("none"), descending=True)), "7654321"),
        ],
        ids=str,
    )
    def test_an_order_puts_nan_and_what_is_missing_last(
        self, runs: Stores, order: tuple[OrderBy, ...], found: str
    ) -> None:
        expected = "".join(sorted(found))
        assert "".join(sorted(ids(runs, order=order))) == expected
        if order and order[0].field == tag("note"):
            # of two long texts the order is by their beginnings, and beyond those up to the backend
            assert ids(runs, order=order)[0] == "2"
            assert set(ids(runs, order=order)[1:4]) == set("645")
            assert ids(runs, order=order)[4:] == "731"
            return
        assert ids(runs, order=order) == found
        for limit in (1, 2, 3):
            assert paged(runs, limit, order=order) == found

    def test_runs_that_began_together_come_by_id(self, stores: Stores) -> None:
        for run_id in ("r2", "r3", "r1"):
            stores.runs.create(a_run(run_id))
        assert ids(stores) == "123"
        assert paged(stores, 1) == "123"
        assert ids(stores, order=(OrderBy(attribute("started_at")),)) == "123"

    def test_experiments_narrow_a_search(self, runs: Stores) -> None:
        assert ids(runs, experiments=("other",)) == "7"
        assert ids(runs, experiments=("delay", "other", "nobody", "other")) == "7654321"
        assert ids(runs, experiments=("nobody",)) == ""
        assert ids(runs, experiments=("delay",), where=Compare(tag("team"), "=", "ops")) == "1"

    def test_deleted_runs_are_found_where_they_are_meant(self, runs: Stores) -> None:
        runs.runs.update("r3", RunChange(deleted=True))
        assert ids(runs) == "765421"
        assert ids(runs, lifecycle="deleted") == "3"
        assert ids(runs, lifecycle="all") == "7654321"
        assert ids(runs, where=Compare(AUC, "=", 0.7)) == "2"

    def test_a_run_is_found_by_what_changed(self, runs: Stores) -> None:
        runs.runs.log("r1", points("auc", (0.2, 9, 9)))
        runs.runs.log("r1", RunBatch(tags={"team": "research", "note": "short"}))
        runs.runs.log("r4", RunBatch(tags={"note": "short"}))
        runs.runs.update("r2", RunChange(experiment="other", name=f"{LONG}!", remove_tags=("team",)))
        assert ids(runs, where=Compare(AUC, "<", 0.3)) == "1"
        assert ids(runs, where=Compare(tag("team"), "=", "research")) == "31"
        assert ids(runs, where=Compare(tag("note"), "LIKE", "short")) == "41"
        assert ids(runs, where=Compare(tag("note"), "LIKE", "x%")) == "65"
        assert ids(runs, where=Compare(attribute("name"), "LIKE", "%!")) == "2"
        assert ids(runs, where=Compare(attribute("name"), "=", f"{LONG}!")) == "2"
        assert ids(runs, experiments=("other",)) == "72"
        found = runs.runs.search(where=Compare(attribute("id"), "=", "r2")).runs[0]
        assert (found.name, found.tags) == (f"{LONG}!", {"note": "100%"})
        assert runs.runs.get("r5").tags == {"note": f"{LONG}End"}

    def test_a_page_goes_on_where_the_last_one_ended_whatever_came_between(self, runs: Stores) -> None:
        order = (OrderBy(AUC, descending=True),)
        first = runs.runs.search(order=order, limit=2)
        add(runs, "r8", 8, (0.95,))
        add(runs, "r9", 9, (0.6,))
        runs.runs.update("r3", RunChange(deleted=True))
        second = runs.runs.search(order=order, limit=2, after=first.after)
        assert numbers(first.runs) == "13"
        assert numbers(second.runs) == "29"

    def test_the_last_page_says_so(self, runs: Stores) -> None:
        page = runs.runs.search(limit=7)
        assert (numbers(page.runs), page.after) == ("7654321", None)
        page = runs.runs.search(limit=6)
        assert page.after is not None
        page = runs.runs.search(limit=6, after=page.after)
        assert (numbers(page.runs), page.after) == ("1", None)
        assert runs.runs.search(limit=0).runs == ()

    @pytest.mark.parametrize("token", ["nonsense", "!", "\ud800", "eyJvZmZzZXQiOiAxfQ==", "kgCQ", "wQ", "A" * 10_000])
    def test_a_token_of_nobody_is_refused(self, runs: Stores, token: str) -> None:
        with pytest.raises(InvalidInput):
            runs.runs.search(after=token)

    def test_a_token_is_for_the_order_it_came_from(self, runs: Stores) -> None:
        token = runs.runs.search(limit=1).after
        assert token is not None
        with pytest.raises(InvalidInput):
            runs.runs.search(order=(OrderBy(AUC),), after=token)
        # every change of a character is noticed, or leads to another place of the same order
        for at in range(len(token)):
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            try:
                runs.runs.search(after=changed)
            except InvalidInput as error:
                assert "page token" in error.what

    @pytest.mark.parametrize(
        "where",
        [
            Compare(attribute("color"), "=", "red"),
            Compare(attribute("started_at"), "LIKE", "2026%"),
            Compare(attribute("started_at"), "=", "2026-01-01"),
            Compare(AUC, "=", "0.7"),
            Compare(AUC, "IN", ("0.7",)),
            Compare(param("lr"), "=", 0.1),
            Compare(tag("team"), "IN", ()),
            Compare(tag("team"), "IN", "ops"),
            Compare(tag("team"), "=", "a\0b"),
            Compare(tag("\ud800"), "=", "a"),
            Compare(tag("team"), "=", None),
            Compare(tag("team"), "IS NULL", "x"),
            Compare(Field("dataset", "size"), "=", "1"),
        ],
        ids=repr,
    )
    def test_a_filter_that_makes_no_sense_is_refused(self, runs: Stores, where: Filter) -> None:
        for one in (where, Not(AllOf((where,)))):
            with pytest.raises(InvalidInput):
                runs.runs.search(where=one)

    def test_filters_and_orders_have_limits(self, runs: Stores) -> None:
        deep: Filter = Compare(AUC, ">", 0.5)
        for _ in range(60):
            deep = Not(deep)
        assert ids(runs, where=deep) == "321"
        wide = AnyOf(tuple(Compare(attribute("id"), "=", f"r{n}") for n in range(3, 503)))
        assert ids(runs, where=wide) == "76543"
        for _ in range(10):
            deep = Not(deep)
        many = AnyOf(tuple(Compare(attribute("id"), "=", f"r{n}") for n in range(501)))
        for where in (deep, many, Compare(tag("team"), "LIKE", "%" * 10_001)):
            with pytest.raises(LimitExceeded):
                runs.runs.search(where=where)
        with pytest.raises(LimitExceeded):
            runs.runs.search(order=tuple(OrderBy(tag(f"t{n}")) for n in range(17)))
        with pytest.raises(InvalidInput):
            runs.runs.search(order=(OrderBy(Field("dataset", "name")),))
        with pytest.raises(InvalidInput):
            runs.runs.search(limit=-1)

    def test_the_longest_keys_and_texts_are_found(self, stores: Stores) -> None:
        draw = random.Random(1)
        # four bytes each, which no database can write shorter
        key, text = ("".join(chr(draw.randrange(0x1F000, 0x2FA00)) for _ in range(count)) for count in (500, 20_000))
        run_id = "r" * 250
        used = DatasetUse(key, key, text)
        stores.runs.create(a_run(run_id, name=text, params={key: text}, tags={key: text}, environment={"user": text}))
        stores.runs.log(run_id, RunBatch(metrics=points(key, (0.5, 1, 1)).metrics, datasets=(used,)))
        stores.runs.create(a_run("r1", name=text[:-1], params={key: text[:-1]}, tags={key: text[:-1]}))
        for field in (param(key), tag(key), attribute("name")):
            for where in (Compare(field, "=", text), Compare(field, "LIKE", f"{text[:100]}%{text[-9:]}")):
                assert [run.id for run in stores.runs.search(where=where).runs] == [run_id]
            page = stores.runs.search(where=Compare(field, "LIKE", f"{text[:100]}%"), order=(OrderBy(field),), limit=1)
            assert page.after is not None and len(page.after) < 1000
            assert len(stores.runs.search(order=(OrderBy(field),), limit=1, after=page.after).runs) == 1
        for where in (Compare(metric(key), "=", 0.5), Compare(Field("dataset", "name"), "=", key)):
            found = stores.runs.search(where=where).runs
            assert [run.id for run in found] == [run_id]
            assert (found[0].name, found[0].tags, found[0].datasets) == (text, {key: text}, (used,))

    def test_an_order_of_many_keys_holds_from_page_to_page(self, runs: Stores) -> None:
        order = (*(OrderBy(metric("auc", one), n % 2 == 0) for n, one in enumerate(("max", "mean", "count", "first"))),)
        order = (*order, *(OrderBy(tag(f"t{n}")) for n in range(12)))
        assert paged(runs, 2, order=order) == ids(runs, order=order)

    def test_a_pattern_cannot_take_for_ever(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", tags={"note": "a" * 5000}))
        assert ids(stores, where=Compare(tag("note"), "LIKE", "a%" * 200 + "b")) == ""
        assert ids(stores, where=Compare(tag("note"), "ILIKE", "%A" * 200 + "%")) == "1"


def add(stores: Stores, run_id: str, minute: int, values: tuple[float, ...] = (), **changes: Any) -> None:
    """Create a run that began at a minute, with values of the metric `auc`."""
    stores.runs.create(a_run(run_id, started_at=BEGIN + timedelta(minutes=minute), **changes))
    if values:
        stores.runs.log(run_id, points("auc", *((value, step, step) for step, value in enumerate(values))))


def numbers(runs: tuple[Run, ...]) -> str:
    """Return the ids of runs without their letter."""
    return "".join(run.id.removeprefix("r") for run in runs)


def ids(stores: Stores, **asked: Any) -> str:
    """Return what a search finds."""
    return numbers(stores.runs.search(**asked).runs)


def paged(stores: Stores, limit: int, **asked: Any) -> str:
    """Return what a search finds, page by page."""
    page = stores.runs.search(limit=limit, **asked)
    found = numbers(page.runs)
    while page.after is not None:
        page = stores.runs.search(limit=limit, after=page.after, **asked)
        assert 1 <= len(page.runs) <= limit
        found += numbers(page.runs)
    return found


_ids = st.sampled_from([f"r{n}" for n in range(8)])
_texts = st.sampled_from(["a", "B", "ab", "", "a%", "_", "é", LONG, f"{LONG}y", "0.5", "null"])
_patterns = st.sampled_from(["a%", "%b", "_", "%", "", "a_", "%x%", f"{LONG}%", "A%", "%\\", "[a]"])
_values = st.sampled_from([0.0, -0.0, 0.5, 1, -1e300, math.inf, -math.inf, math.nan])
_keys = st.sampled_from(["k", "q"])
_statistics = st.sampled_from(["last", "first", "min", "max", "mean", "count"])
_metrics = st.builds(metric, _keys, _statistics)
_text_fields = st.one_of(
    st.builds(param, _keys),
    st.builds(tag, _keys),
    st.sampled_from([attribute(key) for key in ("id", "name", "status", "kind", "experiment", "parent", "user")]),
)
_dataset_fields = st.sampled_from([Field("dataset", key) for key in ("name", "digest", "context")])
_times = st.sampled_from([attribute("started_at"), attribute("ended_at")])
_moments = st.sampled_from([0, 1_767_225_600_000_000, 1_767_225_660_000_000, 1.5e300, math.nan])
_signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_compares = st.one_of(
    st.builds(Compare, _metrics, _signs, _values),
    st.builds(Compare, _times, _signs, _moments),
    st.builds(Compare, st.one_of(_text_fields, _dataset_fields), _signs, st.one_of(_texts, _ids)),
    st.builds(Compare, _text_fields, st.sampled_from(["LIKE", "ILIKE"]), _patterns),
    st.builds(
        Compare,
        st.one_of(_text_fields, _dataset_fields),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(st.one_of(_texts, _ids), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        Compare,
        st.one_of(_metrics, _text_fields, _dataset_fields, _times),
        st.sampled_from(["IS NULL", "IS NOT NULL"]),
    ),
)
filters: st.SearchStrategy[Any] = st.recursive(
    _compares,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
orders = st.lists(st.builds(OrderBy, st.one_of(_metrics, _text_fields, _times), st.booleans()), max_size=3).map(tuple)

RUN_SEARCH_PLAYS: Plays = {
    "create": st.fixed_dictionaries(
        {
            "run": st.builds(
                a_run,
                _ids,
                started_at=st.sampled_from([BEGIN, BEGIN + timedelta(minutes=1)]),
                experiment=st.sampled_from(["e1", "e2"]),
                kind=st.sampled_from(["training", "step"]),
                name=_texts,
                params=st.dictionaries(_keys, st.one_of(_texts, st.sampled_from([0.5, None, True])), max_size=2),
                tags=st.dictionaries(_keys, _texts, max_size=2),
                environment=st.sampled_from([{}, {"user": "ada"}, {"user": LONG}, {"user": 1}]),
                datasets=st.lists(
                    st.builds(DatasetUse, _keys, st.just("d"), st.sampled_from(["", "a"])), max_size=1
                ).map(tuple),
            )
        }
    ),
    "log": st.fixed_dictionaries(
        {
            "run_id": _ids,
            "batch": st.builds(
                lambda key, rows, tags: RunBatch(metrics=points(key, *rows).metrics, tags=tags),
                _keys,
                st.lists(st.tuples(_values, st.integers(0, 2), st.just(1)), max_size=3),
                st.dictionaries(_keys, _texts, max_size=1),
            ),
        }
    ),
    "update": st.fixed_dictionaries(
        {"run_id": _ids, "change": st.builds(RunChange, name=_texts, deleted=st.sampled_from([None, False, True]))}
    ),
    "search": st.fixed_dictionaries(
        {"where": filters, "order": orders},
        optional={
            "experiments": st.sampled_from([("e1",), ("e1", "e2")]),
            "lifecycle": st.sampled_from(["active", "deleted", "all"]),
            "limit": st.integers(0, 4),
        },
    ),
}
