"""What every trace store must do."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.ports.trace_search import TraceCompare
from interlock.ports.trace_store import (
    AssessmentChange,
    Fault,
    RecordedTrace,
    Span,
    SpanBatch,
    SpanEvent,
    SpanLink,
    TraceChange,
)
from interlock.testing.machine import plain
from interlock.testing.trace_searching import TraceSearchContract, a_trace, judged

ROOT = Span("a" * 16, "answer", 1_000_000_000, 3_000_000_000, status="OK")
CHILD = Span("b" * 16, "ask", 1_500_000_000, 2_500_000_000, parent=ROOT.id, kind="LLM")
LATER = datetime(2026, 1, 2, tzinfo=UTC)


class TraceStoreContract(TraceSearchContract):
    """Traces, their spans, and what is judged of them."""

    def test_a_trace_comes_back_as_it_was_recorded(self, stores: Stores) -> None:
        trace = a_trace(
            "tr-1",
            duration_ms=20,
            client_request="their-1",
            request='{"q": "é"}',
            response="",
            metadata={"m": "1"},
            tags={"t": "v"},
            assessments=(judged("tr-1", "a-1", value={"score": [0.5, None]}),),
        )
        assert stores.traces.record(trace) == trace
        assert stores.traces.get("tr-1") == trace
        assert stores.traces.spans(["tr-1"]) == {}
        assert stores.journal.events() == []

    def test_spans_come_back_whole_and_in_order(self, stores: Stores) -> None:
        attributes: dict[str, Any] = {
            "z": 1,
            "a": [1.5, None, "x", {"k": True}],
            "inf": math.inf,
            "nan": math.nan,
            "bytes": b"\x00\xff",
            "": "empty key",
        }
        child = msgspec.structs.replace(
            CHILD,
            attributes=attributes,
            message="why",
            events=(SpanEvent("chunk", 1_600_000_000, {"n": 1}),),
            links=(SpanLink("tr-0", "c" * 16, {"why": "retry"}),),
        )
        stores.traces.log_spans(3, [SpanBatch("tr-1", (child, ROOT))])
        (found,) = stores.traces.spans(["tr-1", "tr-0", "tr-1"]).values()
        assert plain(found) == plain([ROOT, child])
        assert list(found[1].attributes) == list(attributes), "arguments keep their order"

    def test_spans_alone_make_a_trace(self, stores: Stores) -> None:
        stores.traces.log_spans(3, [SpanBatch("tr-1", (CHILD,), tags={"t": "v"})])
        begun = stores.traces.get("tr-1")
        assert begun == RecordedTrace("tr-1", 3, 1500, duration_ms=1000, tags={"t": "v"})
        stores.traces.log_spans(9, [SpanBatch("tr-1", (ROOT,), metadata={"m": "1"}, request="q", response="r")])
        grown = stores.traces.get("tr-1")
        assert (grown.experiment, grown.start_ms, grown.duration_ms, grown.status) == (3, 1000, 2000, "OK")
        assert (grown.tags, grown.metadata, grown.request, grown.response) == ({"t": "v"}, {"m": "1"}, "q", "r")

    @pytest.mark.parametrize(("status", "expected"), [("UNSET", "OK"), ("OK", "OK"), ("ERROR", "ERROR")])
    def test_the_root_says_how_it_went(self, stores: Stores, status: Any, expected: str) -> None:
        open_child = msgspec.structs.replace(CHILD, status="ERROR", end_ns=None)
        stores.traces.log_spans(3, [SpanBatch("tr-1", (open_child,))])
        assert (stores.traces.get("tr-1").status, stores.traces.get("tr-1").duration_ms) == ("IN_PROGRESS", None)
        stores.traces.log_spans(3, [SpanBatch("tr-1", (msgspec.structs.replace(ROOT, status=status),))])
        assert stores.traces.get("tr-1").status == expected

    def test_what_is_recorded_stands_before_and_after_spans(self, stores: Stores) -> None:
        said = a_trace("tr-1", start_ms=7, duration_ms=9, experiment=4, metadata={"m": "said"}, tags={"t": "said"})
        batch = SpanBatch("tr-1", (ROOT,), tags={"where": "here"}, metadata={"m": "guess", "n": "guess"}, request="q")
        stores.traces.log_spans(3, [batch])
        stores.traces.record(said)
        between = stores.traces.get("tr-1")
        stores.traces.log_spans(3, [batch])
        assert stores.traces.get("tr-1") == between
        assert (between.start_ms, between.duration_ms, between.experiment) == (7, 9, 4)
        assert between.metadata == {"m": "said", "n": "guess"}
        assert between.tags == {"t": "said", "where": "here"}
        assert between.request == "q"

    def test_figures_are_summed_once_for_every_branch(self, stores: Stores) -> None:
        spans = [
            Span("00", "root", 0),
            Span("01", "agent", 1, parent="00", figures={"tokens": {"in": 5, "out": 2}}),
            Span("02", "model", 2, parent="01", figures={"tokens": {"in": 5, "out": 2}, "cost": {"total": 0.5}}),
            Span("03", "model", 3, parent="00", figures={"tokens": {"in": 1}}),
            Span("04", "stray", 4, parent="0f", figures={"tokens": {"in": 10}}),
        ]
        for span in reversed(spans):
            stores.traces.log_spans(3, [SpanBatch("tr-1", (span,))])
        assert stores.traces.get("tr-1").metadata == {"tokens": '{"in":16,"out":2}', "cost": '{"total":0.5}'}

    def test_recorded_figures_are_not_summed_again(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-1", metadata={"tokens": "said"}))
        span = msgspec.structs.replace(CHILD, figures={"tokens": {"in": 5}, "cost": {"total": 2}})
        stores.traces.log_spans(3, [SpanBatch("tr-1", (span,))])
        assert stores.traces.get("tr-1").metadata == {"tokens": "said", "cost": '{"total":2}'}

    def test_a_span_sent_again_replaces_itself(self, stores: Stores) -> None:
        stores.traces.log_spans(3, [SpanBatch("tr-1", (CHILD, CHILD))])
        stores.traces.log_spans(3, [SpanBatch("tr-1", (msgspec.structs.replace(CHILD, name="again"),))])
        assert [span.name for span in stores.traces.spans(["tr-1"])["tr-1"]] == ["again"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "../x"},
            {"id": ""},
            {"name": "a\0b"},
            {"start_ns": -1},
            {"start_ns": 2**63},
            {"end_ns": 1.5},
            {"status": "FINE"},
            {"attributes": {"deep": [{"k": "a\0"}]}},
            {"attributes": {"k": "\ud800"}},
            {"attributes": {"k": object()}},
            {"attributes": {"k": 2**70}},
            {"figures": {"tokens": {"in": math.nan}}},
        ],
    )
    def test_a_span_that_cannot_be_kept_leaves_nothing_of_its_batch(
        self, stores: Stores, changes: dict[str, Any]
    ) -> None:
        bad = msgspec.structs.replace(CHILD, **changes)
        with pytest.raises(InvalidInput):
            stores.traces.log_spans(3, [SpanBatch("tr-1", (ROOT,)), SpanBatch("tr-2", (ROOT, bad))])
        with pytest.raises(NotFound):
            stores.traces.get("tr-1")
        assert stores.traces.spans(["tr-1", "tr-2"]) == {}

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "a/b"},
            {"id": "x" * 101},
            {"start_ms": -1},
            {"duration_ms": -1},
            {"status": "RUNNING"},
            {"tags": {"": "v"}},
            {"metadata": {"k": "\0"}},
            {"request": "x" * 200_000},
            {"assessments": (judged("tr-9", "a-1"),)},
        ],
    )
    def test_a_trace_that_cannot_be_kept_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            stores.traces.record(msgspec.structs.replace(a_trace("tr-1"), **changes))
        assert stores.traces.traces(["tr-1"]) == []

    def test_traces_are_got_by_id_in_the_order_asked_for(self, stores: Stores) -> None:
        for number in (1, 2, 3):
            stores.traces.record(a_trace(f"tr-{number}", experiment=number % 2))
        found = stores.traces.traces(["tr-3", "none", "tr-1", "tr-3", "tr-2"])
        assert [trace.id for trace in found] == ["tr-3", "tr-1", "tr-2"]
        assert [trace.id for trace in stores.traces.traces(["tr-3", "tr-2"], experiments=[0])] == ["tr-2"]
        assert stores.traces.traces(["tr-3"], experiments=[]) == []

    def test_tags_are_set_and_removed(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-1", tags={"a": "1", "b": "2"}))
        changed = stores.traces.update("tr-1", TraceChange(tags={"b": "3"}, remove_tags=("a",)))
        assert changed.tags == {"b": "3"} == stores.traces.get("tr-1").tags
        with pytest.raises(NotFound):
            stores.traces.update("tr-1", TraceChange(tags={"c": "4"}, remove_tags=("a",)))
        with pytest.raises(NotFound):
            stores.traces.update("tr-2", TraceChange(tags={"c": "4"}))
        assert stores.traces.get("tr-1").tags == {"b": "3"}

    def test_links_are_edges_and_found_once(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-1"))
        for _ in range(2):
            stores.traces.link(["tr-1"], ["run:r1", "model:prompt@2"])
        assert stores.journal.walk("trace:tr-1", direction="forward") == [Edge("trace:tr-1", "run:r1", "linked_to")]
        assert stores.journal.walk("trace:tr-1", direction="back") == [Edge("model:prompt@2", "trace:tr-1", "used_in")]
        with pytest.raises(InvalidInput):
            stores.traces.link(["tr-1"], ["dataset:flights@1"])
        with pytest.raises(InvalidInput):
            stores.traces.link(["tr 1"], ["run:r1"])

    def test_a_trace_that_comes_after_its_link_is_tied(self, stores: Stores) -> None:
        stores.traces.link(["tr-1"], ["run:r1"])
        tied = TraceCompare("link", "", "=", "run:r1")
        assert stores.traces.search(experiments=[3], where=tied).traces == ()
        stores.traces.record(a_trace("tr-1"))
        assert [one.id for one in stores.traces.search(experiments=[3], where=tied).traces] == ["tr-1"]
        assert stores.journal.walk("trace:tr-1", direction="forward") == [Edge("trace:tr-1", "run:r1", "linked_to")]
        stores.traces.delete(3, ids=["tr-1"])
        stores.traces.record(a_trace("tr-1"))
        assert stores.traces.search(experiments=[3], where=tied).traces == ()

    def test_what_is_deleted_is_gone_whole(self, stores: Stores) -> None:
        for number in range(4):
            stores.traces.log_spans(number // 3, [SpanBatch(f"tr-{number}", (ROOT,), tags={"t": "v"})])
            stores.traces.record(a_trace(f"tr-{number}", experiment=number // 3, start_ms=number))
        stores.traces.assess(judged("tr-0", "a-1"))
        assert stores.traces.delete(0, ids=["tr-0", "tr-3", "none"]) == 1
        assert stores.traces.delete(0, until_ms=5, limit=1) == 1
        assert [trace.id for trace in stores.traces.traces(["tr-0", "tr-1", "tr-2", "tr-3"])] == ["tr-2", "tr-3"]
        assert stores.traces.delete(0, until_ms=1) == 0
        assert stores.traces.spans(["tr-0", "tr-1"]) == {}
        told = [(event.subject, event.payload) for event in stores.journal.events(kinds=["trace.deleted"])]
        assert told == [
            ("trace:tr-0", {"experiment": 0, "count": 1}),
            ("trace:tr-1", {"experiment": 0, "count": 1}),
        ]
        stores.traces.record(a_trace("tr-0"))
        assert stores.traces.get("tr-0") == a_trace("tr-0")

    def test_many_threads_grow_one_trace(self, stores: Stores) -> None:
        def send(number: int) -> None:
            span = Span(f"{number:016x}", "work", number * 1_000_000, 50_000_000, parent="f" * 16)
            stores.traces.log_spans(3, [SpanBatch("tr-1", (msgspec.structs.replace(span, figures={"n": {"n": 1}}),))])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(24)))
        trace = stores.traces.get("tr-1")
        assert (trace.start_ms, trace.duration_ms, trace.metadata) == (0, 50, {"n": '{"n":24}'})
        assert len(stores.traces.spans(["tr-1"])["tr-1"]) == 24


class AssessmentContract(TraceStoreContract):
    """What is judged of traces."""

    def test_a_judgement_belongs_to_its_trace(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-1"))
        first = judged("tr-1", "a-1", value=True, rationale="good", metadata={"k": "v"}, span="b" * 16)
        failed = judged("tr-1", "a-2", fault=Fault("ValueError", "boom", "line 1"))
        assert stores.traces.assess(first) == first
        assert stores.traces.assess(failed) == failed
        assert stores.traces.get("tr-1").assessments == (first, failed)
        assert [(event.kind, event.subject, event.payload) for event in stores.journal.events()] == [
            ("trace.assessed", "trace:tr-1", {"assessment": "a-1", "name": "good", "kind": "feedback"}),
            ("trace.assessed", "trace:tr-1", {"assessment": "a-2", "name": "good", "kind": "feedback"}),
        ]

    def test_a_judgement_of_nothing_is_refused(self, stores: Stores) -> None:
        with pytest.raises(NotFound):
            stores.traces.assess(judged("tr-1", "a-1"))
        stores.traces.record(a_trace("tr-1"))
        stores.traces.assess(judged("tr-1", "a-1"))
        with pytest.raises(Conflict):
            stores.traces.assess(judged("tr-1", "a-1", value=2))
        with pytest.raises(NotFound):
            stores.traces.assess(judged("tr-1", "a-2", overrides="a-9"))
        for bad in ({"id": "a/b"}, {"name": ""}, {"kind": "praise"}, {"value": object()}, {"metadata": {"k": 1}}):
            with pytest.raises(InvalidInput):
                stores.traces.assess(msgspec.structs.replace(judged("tr-1", "a-3"), **bad))
        assert [one.id for one in stores.traces.get("tr-1").assessments] == ["a-1"]

    def test_what_is_overridden_is_not_valid_until_that_is_taken_back(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-1"))
        stores.traces.assess(judged("tr-1", "a-1"))
        stores.traces.assess(judged("tr-1", "a-2", overrides="a-1"))
        assert [(one.id, one.valid) for one in stores.traces.get("tr-1").assessments] == [
            ("a-1", False),
            ("a-2", True),
        ]
        assert stores.traces.remove_assessment("tr-1", "a-2") is True
        assert stores.traces.remove_assessment("tr-1", "a-2") is False
        assert [(one.id, one.valid) for one in stores.traces.get("tr-1").assessments] == [("a-1", True)]
        with pytest.raises(NotFound):
            stores.traces.remove_assessment("tr-9", "a-2")

    def test_a_judgement_changes_field_by_field(self, stores: Stores) -> None:
        stores.traces.record(a_trace("tr-1"))
        before = stores.traces.assess(judged("tr-1", "a-1", value=1, rationale="r", metadata={"a": "1"}))
        after = stores.traces.reassess("tr-1", "a-1", AssessmentChange(metadata={"b": "2"}), at=LATER)
        assert after == msgspec.structs.replace(before, metadata={"a": "1", "b": "2"}, updated_at=LATER)
        change = AssessmentChange(name="fair", value=(None,), fault=Fault("E"), rationale="s")
        after = stores.traces.reassess("tr-1", "a-1", change, at=LATER + timedelta(seconds=1))
        assert (after.name, after.value, after.fault, after.rationale) == ("fair", None, Fault("E"), "s")
        assert stores.traces.get("tr-1").assessments == (after,)
        with pytest.raises(NotFound):
            stores.traces.reassess("tr-1", "a-2", change, at=LATER)
        assert [event.kind for event in stores.journal.events()][1:] == ["trace.assessment_changed"] * 2
