"""What every trace store must find, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.ports.stores import Stores
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
from interlock.ports.trace_store import SESSION, SOURCE_RUN, Assessment, RecordedTrace, Span, SpanBatch
from interlock.testing.contract import Contract

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_trace(
    trace_id: str, *, experiment: int = 3, start_ms: int = 1000, status: Any = "OK", **rest: Any
) -> RecordedTrace:
    """Return a trace with little in it."""
    return RecordedTrace(trace_id, experiment, start_ms, status, **rest)


def judged(trace: str, assessment_id: str, *, name: str = "good", kind: Any = "feedback", **rest: Any) -> Assessment:
    """Return a judgement of a trace."""
    return Assessment(assessment_id, trace, name, kind, "HUMAN", "me", NOON, NOON, **rest)


class TraceSearchContract(Contract):
    """Traces found by what they are, hold and were judged."""

    @staticmethod
    def found(stores: Stores, where: TraceFilter | None, *order: TraceOrder) -> str:
        """Return the last letters of the ids of the traces found, in order."""
        page = stores.traces.search(experiments=[3], where=where, order=order)
        return "".join(trace.id[-1] for trace in page.traces)

    def test_a_search_is_of_its_experiments_newest_first(self, stores: Stores) -> None:
        for letter, experiment, start_ms in (("a", 3, 5), ("b", 3, 9), ("c", 4, 7), ("d", 3, 9), ("e", 5, 8)):
            stores.traces.record(a_trace(f"tr-{letter}", experiment=experiment, start_ms=start_ms))
        assert self.found(stores, None) == "bda"
        both = stores.traces.search(experiments=[4, 3])
        assert [trace.id[-1] for trace in both.traces] == ["b", "d", "c", "a"]
        assert stores.traces.search(experiments=[]).traces == ()

    def test_pages_hold_every_trace_once_whatever_the_order(self, stores: Stores) -> None:
        for number in range(7):
            tags = {} if number in (2, 5) else {"k": str(number % 2)}
            stores.traces.record(a_trace(f"tr-{number}", start_ms=number % 3, duration_ms=number or None, tags=tags))
        for order in (
            [],
            [TraceOrder("tag", "k")],
            [TraceOrder("tag", "k", descending=True), TraceOrder("attribute", "duration_ms")],
            [TraceOrder("attribute", "end_ms", descending=True)],
        ):
            whole = [trace.id for trace in stores.traces.search(experiments=[3], order=order).traces]
            assert len(whole) == 7
            paged: list[str] = []
            after = None
            while len(paged) < 7:
                page = stores.traces.search(experiments=[3], order=order, limit=2, after=after)
                paged += [trace.id for trace in page.traces]
                after = page.after
            assert (paged, after) == (whole, None)

    def test_what_has_no_value_comes_last_either_way(self, stores: Stores) -> None:
        for letter, value in (("a", "1"), ("b", None), ("c", "2")):
            stores.traces.record(a_trace(f"tr-{letter}", tags={"k": value} if value else {}))
        assert self.found(stores, None, TraceOrder("tag", "k")) == "acb"
        assert self.found(stores, None, TraceOrder("tag", "k", descending=True)) == "cab"

    @pytest.mark.parametrize("after", ["", "AAAA", "not base64!", "k6FhAaFi", "é"])
    def test_a_place_that_is_none_is_refused(self, stores: Stores, after: str) -> None:
        with pytest.raises(InvalidInput):
            stores.traces.search(experiments=[3], after=after)

    def test_a_place_of_another_order_is_refused(self, stores: Stores) -> None:
        for number in range(3):
            stores.traces.record(a_trace(f"tr-{number}"))
        place = stores.traces.search(experiments=[3], limit=1).after
        with pytest.raises(InvalidInput):
            stores.traces.search(experiments=[3], order=[TraceOrder("attribute", "duration_ms")], after=place)

    @pytest.mark.parametrize(
        ("key", "operator", "value", "expected"),
        [
            ("start_ms", ">", 1, "ba"),
            ("start_ms", ">=", 1.5, "ba"),
            ("start_ms", "!=", 2, "bc"),
            ("duration_ms", "<", 50, "a"),
            ("duration_ms", "!=", 5, "c"),
            ("duration_ms", "IS NULL", None, "b"),
            ("end_ms", "=", 7, "a"),
            ("end_ms", "<=", 3, "b"),
            ("status", "=", "OK", "bc"),
            ("status", "IN", ("ERROR", "IN_PROGRESS"), "a"),
            ("status", "NOT IN", ("ERROR",), "bc"),
            ("status", "LIKE", "E%", "a"),
            ("status", "ILIKE", "e%r", "a"),
            ("status", "LIKE", "e%", ""),
            ("client_request", "=", "c-1", "c"),
            ("client_request", "!=", "c-2", "c"),
            ("client_request", "IS NOT NULL", None, "c"),
            ("id", "RLIKE", "-[ab]$", "ba"),
            ("id", "=", "tr-a", "a"),
        ],
    )
    def test_attributes_compare(self, stores: Stores, key: str, operator: Any, value: Any, expected: str) -> None:
        stores.traces.record(a_trace("tr-a", start_ms=2, duration_ms=5, status="ERROR"))
        stores.traces.record(a_trace("tr-b", start_ms=3))
        stores.traces.record(a_trace("tr-c", start_ms=1, duration_ms=90, client_request="c-1"))
        assert self.found(stores, TraceCompare("attribute", key, operator, value)) == expected

    @pytest.mark.parametrize("part", ["tag", "metadata"])
    @pytest.mark.parametrize(
        ("operator", "value", "expected"),
        [
            ("=", "x", "a"),
            ("!=", "x", "b"),
            ("LIKE", "%", "ab"),
            ("LIKE", "5_%*[a]", "b"),
            ("LIKE", "5%*_a]", "b"),
            ("LIKE", "5%*[a", ""),
            ("ILIKE", "5É%", ""),
            ("ILIKE", "5é%*[A]", "b"),
            ("RLIKE", r"\*\[a\]$", "b"),
            ("IS NULL", None, "c"),
            ("IS NOT NULL", None, "ab"),
            ("IN", ("y", "x"), "a"),
        ],
    )
    def test_strings_compare(self, stores: Stores, part: Any, operator: Any, value: Any, expected: str) -> None:
        for letter, held in (("a", {"k": "x"}), ("b", {"k": "5é%*[a]"}), ("c", {"l": "x"})):
            tags, metadata = (held, {}) if part == "tag" else ({}, held)
            stores.traces.record(a_trace(f"tr-{letter}", tags=tags, metadata=metadata))
        assert self.found(stores, TraceCompare(part, "k", operator, value)) == expected

    def test_one_span_matches_all_that_is_asked_of_a_span(self, stores: Stores) -> None:
        one = Span("01", "ask", 0, kind="LLM", attributes={"model": "small", "n": 5, "in": {"q": "Why?"}})
        two = Span("02", "look", 0, parent="01", kind="TOOL", status="ERROR", attributes={"model": "large"})
        stores.traces.log_spans(3, [SpanBatch("tr-a", (one, two)), SpanBatch("tr-b", (one,))])
        for compares, expected in (
            ([SpanCompare("name", "=", "look")], "a"),
            ([SpanCompare("kind", "IN", ("TOOL", "LLM"))], "ab"),
            ([SpanCompare("kind", "=", "LLM"), SpanCompare("status", "=", "ERROR")], ""),
            ([SpanCompare("attribute", "LIKE", "l%", key="model")], "a"),
            ([SpanCompare("attribute", "!=", "small", key="model")], "a"),
            ([SpanCompare("attribute", "=", "5", key="n")], "ab"),
            ([SpanCompare("attribute", "RLIKE", "Wh.\\?", key="in")], "ab"),
            ([SpanCompare("attribute", "=", "small", key="mod")], ""),
            ([SpanCompare("text", "ILIKE", "%MODEL: sm%")], "ab"),
            ([SpanCompare("text", "LIKE", "loo_")], "a"),
            ([SpanCompare("text", "LIKE", "%small%large%")], ""),
        ):
            assert self.found(stores, AnySpan(tuple(compares))) == expected, compares

    @pytest.mark.parametrize(
        ("operator", "value", "expected"),
        [
            ("=", "yes", "a"),
            ("=", "1", "b"),
            ("=", "1.0", "b"),
            ("=", 1, "b"),
            ("=", "true", "c"),
            ("!=", "yes", "bc"),
            (">", 0.5, "b"),
            ("<=", 0.5, ""),
            ("LIKE", "y%", "a"),
            ("IS NOT NULL", None, "abc"),
            ("IS NULL", None, "de"),
        ],
    )
    def test_judgements_compare_as_text_and_as_numbers(
        self, stores: Stores, operator: Any, value: Any, expected: str
    ) -> None:
        for letter, judgement in (("a", "yes"), ("b", 1.0), ("c", True), ("d", None), ("e", None)):
            stores.traces.record(a_trace(f"tr-{letter}"))
            if judgement is not None:
                stores.traces.assess(judged(f"tr-{letter}", "a-1", value=judgement))
        stores.traces.assess(judged("tr-d", "a-1", value="yes", valid=False))
        stores.traces.assess(judged("tr-e", "a-1", value="yes", kind="expectation"))
        assert self.found(stores, TraceCompare("feedback", "good", operator, value)) == expected

    def test_a_judgement_of_a_session_is_of_all_its_traces(self, stores: Stores) -> None:
        for letter, session, experiment in (("a", "s1", 3), ("b", "s1", 3), ("c", "s2", 3), ("d", "s1", 4)):
            stores.traces.record(a_trace(f"tr-{letter}", experiment=experiment, metadata={SESSION: session}))
        stores.traces.assess(judged("tr-a", "a-1", value="yes", metadata={SESSION: "s1"}))
        stores.traces.assess(judged("tr-c", "a-1", name="fair", value="yes"))
        assert self.found(stores, TraceCompare("feedback", "good", "=", "yes")) == "ab"
        assert self.found(stores, TraceCompare("feedback", "good", "IS NULL")) == "c"
        everywhere = stores.traces.search(experiments=[4], where=TraceCompare("feedback", "good", "=", "yes"))
        assert everywhere.traces == ()

    def test_links_and_issues_are_found(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-a"))
        stores.traces.record(a_trace("tr-b", metadata={SOURCE_RUN: "r1"}))
        stores.traces.record(a_trace("tr-c"))
        stores.traces.link(["tr-a"], ["run:r1", "model:prompt@2"])
        stores.traces.assess(judged("tr-c", "a-1", kind="issue", name="i-7"))
        assert self.found(stores, TraceCompare("link", "", "=", "run:r1")) == "ab"
        assert self.found(stores, TraceCompare("link", "", "=", "model:prompt@2")) == "a"
        assert self.found(stores, TraceCompare("link", "", "=", "model:prompt@1")) == ""
        assert self.found(stores, TraceCompare("issue", "", "=", "i-7")) == "c"

    def test_conditions_combine(self, stores: Stores) -> None:
        for letter, tags in (("a", {"x": "1"}), ("b", {"x": "2", "y": "1"}), ("c", {})):
            stores.traces.record(a_trace(f"tr-{letter}", tags=tags))
        x_is_1, y_is_1 = (TraceCompare("tag", key, "=", "1") for key in "xy")
        assert self.found(stores, AnyTraces((x_is_1, y_is_1))) == "ab"
        assert self.found(stores, AllTraces((x_is_1, y_is_1))) == ""
        assert self.found(stores, TraceNot(x_is_1)) == "bc"
        assert self.found(stores, TraceNot(TraceCompare("attribute", "duration_ms", ">", 1))) == "abc"
        assert self.found(stores, AllTraces(())) == "abc"
        assert self.found(stores, AnyTraces(())) == ""

    @pytest.mark.parametrize(
        "where",
        [
            TraceCompare("attribute", "colour", "=", "red"),
            TraceCompare("attribute", "start_ms", "=", "soon"),
            TraceCompare("attribute", "start_ms", "LIKE", "1%"),
            TraceCompare("attribute", "status", "<", "OK"),
            TraceCompare("tag", "k", ">", "1"),
            TraceCompare("tag", "k", "=", 1),
            TraceCompare("tag", "k", "IN", "x"),
            TraceCompare("tag", "k", "RLIKE", "("),
            TraceCompare("tag", "k", "=", "\0"),
            TraceCompare("feedback", "k", ">", "x"),
            TraceCompare("link", "", "!=", "run:r1"),
            AnySpan((SpanCompare("text", "=", "x"),)),
            AnySpan((SpanCompare("attribute", "IS NULL", None, key="k"),)),
        ],
    )
    def test_a_comparison_that_makes_no_sense_is_refused(self, stores: Stores, where: TraceFilter) -> None:
        with pytest.raises(InvalidInput):
            stores.traces.search(experiments=[3], where=where)

    def test_an_endless_filter_is_refused(self, stores: Stores) -> None:
        nested: TraceFilter = TraceCompare("tag", "k", "=", "x")
        with pytest.raises(LimitExceeded):
            stores.traces.search(experiments=[3], where=AnyTraces((nested,) * 201))
        for _ in range(40):
            nested = TraceNot(nested)
        with pytest.raises(LimitExceeded):
            stores.traces.search(experiments=[3], where=nested)
