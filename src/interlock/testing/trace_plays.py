"""Random operations on trace stores, for the comparison with memory."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from interlock.ports.trace_search import AllTraces, AnySpan, AnyTraces, SpanCompare, TraceCompare, TraceNot, TraceOrder
from interlock.ports.trace_store import AssessmentChange, Span, SpanBatch, TraceChange
from interlock.testing.machine import Plays
from interlock.testing.trace_searching import a_trace, judged

_ids = st.sampled_from(["tr-1", "tr-2", "tr-3"])
_texts = st.sampled_from(["", "a", "A%", "a_b", "1", "x*y?[z]", "é"])
_small = st.dictionaries(st.sampled_from(["k", "mlflow.trace.session"]), _texts, max_size=2)
_values = st.sampled_from([True, 1, 1.0, 0.5, "1", "a", None, ["a"]])
_assessments = st.builds(
    judged,
    _ids,
    st.sampled_from(["a-1", "a-2"]),
    kind=st.sampled_from(["feedback", "expectation", "issue"]),
    name=st.sampled_from(["good", "fair"]),
    value=_values,
    metadata=_small,
    overrides=st.sampled_from([None, "a-1", "a-2"]),
)
_traces = st.builds(
    a_trace,
    _ids,
    experiment=st.integers(0, 1),
    start_ms=st.integers(0, 3),
    duration_ms=st.sampled_from([None, 0, 2]),
    status=st.sampled_from(["OK", "ERROR", "IN_PROGRESS"]),
    client_request=st.sampled_from([None, "a"]),
    tags=_small,
    metadata=_small,
)
_spans = st.builds(
    Span,
    st.sampled_from(["01", "02", "03"]),
    _texts,
    st.integers(0, 5).map(lambda n: n * 1_000_000),
    end_ns=st.sampled_from([None, 7_000_000]),
    parent=st.sampled_from([None, "01", "02"]),
    kind=st.sampled_from(["", "LLM"]),
    status=st.sampled_from(["UNSET", "OK", "ERROR"]),
    attributes=st.dictionaries(st.sampled_from(["k", "l"]), _values | _texts, max_size=2),
    figures=st.sampled_from([{}, {"k": {"in": 2}}, {"cost": {"total": 0.25}}]),
)
_patterns = st.sampled_from(["a%", "%", "_", "%b", "A_", "%*%", "", "x%z_"])
_compares = st.one_of(
    st.builds(
        TraceCompare,
        st.sampled_from(["tag", "metadata"]),
        st.sampled_from(["k", "l"]),
        st.sampled_from(["=", "!=", "IS NULL", "IS NOT NULL"]),
        _texts,
    ),
    st.builds(TraceCompare, st.just("tag"), st.just("k"), st.sampled_from(["LIKE", "ILIKE"]), _patterns),
    st.builds(TraceCompare, st.just("tag"), st.just("k"), st.just("RLIKE"), st.sampled_from(["^a", "b$", "[xy]", "("])),
    st.builds(
        TraceCompare, st.just("attribute"), st.just("status"), st.sampled_from(["IN", "NOT IN"]), st.just(("OK",))
    ),
    st.builds(
        TraceCompare,
        st.just("attribute"),
        st.sampled_from(["start_ms", "end_ms", "duration_ms"]),
        st.sampled_from(["=", "!=", "<", ">="]),
        st.sampled_from([0, 2, 2.5]),
    ),
    st.builds(
        TraceCompare,
        st.sampled_from(["feedback", "expectation"]),
        st.just("good"),
        st.sampled_from(["=", "!=", "IS NULL", "IS NOT NULL", "LIKE"]),
        _texts | st.sampled_from(["true", "1.0"]),
    ),
    st.builds(TraceCompare, st.just("feedback"), st.just("good"), st.sampled_from([">", "<="]), st.just(0.5)),
    st.builds(TraceCompare, st.just("link"), st.just(""), st.just("="), st.sampled_from(["run:r1", "model:m@1"])),
    st.builds(TraceCompare, st.just("issue"), st.just(""), st.just("="), st.just("good")),
)
_span_compares = st.one_of(
    st.builds(SpanCompare, st.sampled_from(["name", "kind", "status"]), st.sampled_from(["=", "!=", "LIKE"]), _texts),
    st.builds(SpanCompare, st.just("attribute"), st.sampled_from(["=", "!=", "ILIKE"]), _texts, key=st.just("k")),
    st.builds(SpanCompare, st.just("text"), st.sampled_from(["LIKE", "ILIKE"]), _patterns),
)
_filters = st.recursive(
    _compares | st.builds(AnySpan, st.lists(_span_compares, max_size=2).map(tuple)),
    lambda inner: st.one_of(
        st.builds(TraceNot, inner),
        st.builds(AllTraces, st.lists(inner, max_size=2).map(tuple)),
        st.builds(AnyTraces, st.lists(inner, max_size=2).map(tuple)),
    ),
    max_leaves=4,
)
_orders = st.lists(
    st.one_of(
        st.builds(TraceOrder, st.just("tag"), st.just("k"), st.booleans()),
        st.builds(
            TraceOrder, st.just("attribute"), st.sampled_from(["duration_ms", "end_ms", "status"]), st.booleans()
        ),
    ),
    max_size=2,
)

TRACE_STORE_PLAYS: Plays = {
    "record": st.fixed_dictionaries({"trace": _traces}),
    "log_spans": st.fixed_dictionaries(
        {
            "experiment": st.integers(0, 1),
            "batches": st.lists(
                st.builds(
                    SpanBatch, _ids, st.lists(_spans, min_size=1, max_size=3).map(tuple), tags=_small, metadata=_small
                ),
                max_size=2,
            ),
        }
    ),
    "get": st.fixed_dictionaries({"trace_id": _ids}),
    "spans": st.fixed_dictionaries({"ids": st.lists(_ids, max_size=3)}),
    "search": st.fixed_dictionaries(
        {"experiments": st.just([0, 1]), "limit": st.integers(0, 2)},
        optional={"where": _filters, "order": _orders},
    ),
    "update": st.fixed_dictionaries(
        {"trace_id": _ids, "change": st.builds(TraceChange, tags=_small, remove_tags=st.sampled_from([(), ("k",)]))}
    ),
    "delete": st.fixed_dictionaries(
        {"experiment": st.integers(0, 1)},
        optional={"ids": st.lists(_ids, max_size=2), "until_ms": st.integers(0, 2), "limit": st.integers(0, 1)},
    ),
    "link": st.fixed_dictionaries(
        {"ids": st.lists(_ids, max_size=2), "refs": st.lists(st.sampled_from(["run:r1", "model:m@1"]), max_size=2)}
    ),
    "assess": st.fixed_dictionaries({"assessment": _assessments}),
    "reassess": st.fixed_dictionaries(
        {
            "trace_id": _ids,
            "assessment_id": st.sampled_from(["a-1", "a-2"]),
            "change": st.builds(AssessmentChange, value=st.none() | st.tuples(_values), metadata=_small),
            "at": st.just(datetime(2026, 1, 2, tzinfo=UTC)),
        }
    ),
    "remove_assessment": st.fixed_dictionaries({"trace_id": _ids, "assessment_id": st.sampled_from(["a-1", "a-2"])}),
}
