"""Keep traces in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cmp_to_key
from typing import Any

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.adapters.memory.trace_search import Shelf, check_patterns, matches, precedes, sort_keys
from interlock.ports.checks import check_limit
from interlock.ports.trace_filters import check_search, read_place, write_place
from interlock.ports.trace_rules import (
    SpanFigures,
    assessment_taken,
    begun,
    changed,
    check_assessment,
    check_spans,
    check_trace,
    grown,
    in_order,
    link_edge,
    read_span,
    reassessed,
    recorded,
    span_bytes,
    summed,
    told,
    unique,
    unknown_assessment,
    unknown_trace,
)
from interlock.ports.trace_search import TraceFilter, TraceOrder
from interlock.ports.trace_store import (
    Assessment,
    AssessmentChange,
    RecordedTrace,
    Span,
    SpanBatch,
    TraceChange,
    TracePage,
    TraceStore,
)


class MemoryTraceStore(TraceStore):
    """Traces in memory."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._shelf = Shelf()
        self._final: set[str] = set()

    def record(self, trace: RecordedTrace) -> RecordedTrace:
        check_trace(trace)
        given = settled(trace)
        with self._journal.lock:
            self._shelf.traces[given.id] = recorded(self._shelf.traces.get(given.id), given)
            self._final.add(given.id)
            for one in given.assessments:
                self._shelf.assessments.setdefault(given.id, {})[one.id] = one
            return self._get(given.id)

    def log_spans(self, experiment: int, batches: Sequence[SpanBatch]) -> None:
        for batch in batches:
            check_spans(batch)
        kept = [[read_span(span_bytes(span)) for span in batch.spans] for batch in batches]
        with self._journal.lock:
            for batch, new in zip(batches, kept, strict=True):
                before = self._shelf.traces.get(batch.trace) or begun(experiment, batch)
                spans = self._shelf.spans.setdefault(batch.trace, {})
                spans.update({span.id: span for span in new})
                keys = {key: None for span in batch.spans for key in span.figures}
                figures = summed((SpanFigures(one.id, one.parent, one.figures) for one in spans.values()), keys)
                final = batch.trace in self._final
                self._shelf.traces[batch.trace] = grown(before, batch, final=final, figures=figures)

    def get(self, trace_id: str) -> RecordedTrace:
        with self._journal.lock:
            return self._get(trace_id)

    def traces(self, ids: Sequence[str], *, experiments: Sequence[int] | None = None) -> list[RecordedTrace]:
        with self._journal.lock:
            found = [self._get(one) for one in unique(ids) if one in self._shelf.traces]
        return [trace for trace in found if experiments is None or trace.experiment in experiments]

    def spans(self, ids: Sequence[str]) -> dict[str, list[Span]]:
        with self._journal.lock:
            known = self._shelf.spans
            return {one: in_order(known[one].values()) for one in unique(ids) if one in known}

    def search(
        self,
        *,
        experiments: Sequence[int],
        where: TraceFilter | None = None,
        order: Sequence[TraceOrder] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> TracePage:
        check_search(where, order)
        check_limit(limit)
        check_patterns(where)
        last = None if after is None else read_place(after, order)

        def compare(left: list[Any], right: list[Any]) -> int:
            return -1 if precedes(left, right, order) else int(precedes(right, left, order))

        with self._journal.lock:
            found = [
                (sort_keys(trace, order), trace.id)
                for trace in self._shelf.traces.values()
                if trace.experiment in experiments and matches(self._shelf, trace, where)
            ]
            rest = [one for one in found if last is None or precedes(last, one[0], order)]
            rest.sort(key=lambda one: cmp_to_key(compare)(one[0]))
            page = rest[:limit]
            place = write_place(page[-1][0]) if page and len(rest) > limit else None
            return TracePage(tuple(self._get(one) for _, one in page), place)

    def update(self, trace_id: str, change: TraceChange) -> RecordedTrace:
        with self._journal.lock:
            self._shelf.traces[trace_id] = changed(self._known(trace_id), settled(change))
            return self._get(trace_id)

    def delete(
        self, experiment: int, *, ids: Sequence[str] = (), until_ms: int | None = None, limit: int | None = None
    ) -> int:
        with self._journal.lock:
            found = sorted(
                (trace.start_ms, trace.id)
                for trace in self._shelf.traces.values()
                if trace.experiment == experiment
                and (not ids or trace.id in ids)
                and (until_ms is None or trace.start_ms <= until_ms)
            )
            gone = [one for _, one in found][: None if limit is None else check_limit(limit)]
            for one in gone:
                del self._shelf.traces[one]
                self._final.discard(one)
                for kept in (self._shelf.spans, self._shelf.links, self._shelf.assessments):
                    kept.pop(one, None)
            if gone:
                payload = {"experiment": experiment, "count": len(gone)}
                self._journal.append("trace.deleted", f"trace:{gone[0]}", payload=payload)
            return len(gone)

    def link(self, ids: Sequence[str], refs: Sequence[str]) -> None:
        with self._journal.lock:
            edges = [link_edge(one, ref) for one in unique(ids) for ref in refs]
            for one in unique(ids):
                self._shelf.links.setdefault(one, set()).update(refs)
            self._journal.link(edges)

    def assess(self, assessment: Assessment) -> Assessment:
        check_assessment(assessment)
        new = settled(assessment)
        with self._journal.lock:
            self._known(new.trace)
            known = self._shelf.assessments.setdefault(new.trace, {})
            if new.id in known:
                raise assessment_taken(new)
            if new.overrides is not None:
                if new.overrides not in known:
                    raise unknown_assessment(new.trace, new.overrides)
                known[new.overrides] = msgspec.structs.replace(known[new.overrides], valid=False)
            known[new.id] = new
            self._journal.append("trace.assessed", f"trace:{new.trace}", payload=told(new))
            return new

    def reassess(self, trace_id: str, assessment_id: str, change: AssessmentChange, *, at: datetime) -> Assessment:
        with self._journal.lock:
            self._known(trace_id)
            known = self._shelf.assessments.get(trace_id, {})
            if assessment_id not in known:
                raise unknown_assessment(trace_id, assessment_id)
            known[assessment_id] = after = settled(reassessed(known[assessment_id], change, at=at))
            self._journal.append("trace.assessment_changed", f"trace:{trace_id}", payload=told(after))
            return after

    def remove_assessment(self, trace_id: str, assessment_id: str) -> bool:
        with self._journal.lock:
            self._known(trace_id)
            known = self._shelf.assessments.get(trace_id, {})
            gone = known.pop(assessment_id, None)
            if gone is None:
                return False
            if gone.overrides in known:
                known[gone.overrides] = msgspec.structs.replace(known[gone.overrides], valid=True)
            self._journal.append("trace.assessment_removed", f"trace:{trace_id}", payload=told(gone))
            return True

    def _known(self, trace_id: str) -> RecordedTrace:
        if trace_id not in self._shelf.traces:
            raise unknown_trace(trace_id)
        return self._shelf.traces[trace_id]

    def _get(self, trace_id: str) -> RecordedTrace:
        judged = self._shelf.assessments.get(trace_id, {})
        return msgspec.structs.replace(self._known(trace_id), assessments=tuple(judged.values()))
