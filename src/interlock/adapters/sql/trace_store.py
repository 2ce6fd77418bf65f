"""Keep traces in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql import trace_search
from interlock.adapters.sql.database import Database, Transaction, encode
from interlock.adapters.sql.trace_reading import (
    PAGE,
    assembled,
    chunks,
    decode_assessment,
    find_trace,
    get_trace,
    marks,
    read_traces,
    values_of,
)
from interlock.core.plain import as_text
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
    number_of,
    read_span,
    reassessed,
    recorded,
    span_bytes,
    summed,
    texts_of,
    told,
    unique,
    unknown_assessment,
)
from interlock.ports.trace_search import TraceFilter, TraceOrder
from interlock.ports.trace_store import (
    SESSION,
    Assessment,
    AssessmentChange,
    RecordedTrace,
    Span,
    SpanBatch,
    TraceChange,
    TracePage,
    TraceStore,
)

SCHEMA = (
    """CREATE TABLE traces (
        id TEXT PRIMARY KEY, experiment INTEGER NOT NULL, started INTEGER NOT NULL, duration INTEGER,
        status TEXT NOT NULL, client_request TEXT, request TEXT, response TEXT, final INTEGER NOT NULL)""",
    "CREATE INDEX traces_experiment ON traces (experiment, started DESC, id)",
    "CREATE TABLE trace_tags (trace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trace, key))",
    """CREATE TABLE trace_metadata (
        trace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trace, key))""",
    "CREATE TABLE trace_links (trace TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY (trace, ref))",
    """CREATE TABLE trace_assessments (
        seq AUTOSEQ, trace TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        valid INTEGER NOT NULL, session TEXT, text TEXT NOT NULL, number REAL, record BLOB NOT NULL,
        UNIQUE (trace, id))""",
    "CREATE INDEX trace_assessments_name ON trace_assessments (kind, name)",
    """CREATE TABLE spans (
        trace TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, name TEXT NOT NULL, kind TEXT NOT NULL,
        status TEXT NOT NULL, texts TEXT NOT NULL, figures BLOB, record BLOB NOT NULL, PRIMARY KEY (trace, id))""",
)

_BESIDE = ("trace_tags", "trace_metadata", "trace_links", "trace_assessments", "spans")

_decode_figures = msgspec.msgpack.Decoder(dict[str, dict[str, int | float]]).decode


class SqlTraceStore(TraceStore):
    """Traces in SQL: a row for each, rows by key for tags and metadata, and a row for each span."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, trace: RecordedTrace) -> RecordedTrace:
        check_trace(trace)
        with self._database.write() as tx:
            before = find_trace(tx, trace.id)
            _write(tx, before, recorded(before, trace), final=True)
            for one in trace.assessments:
                _write_assessment(tx, one)
            return get_trace(tx, trace.id)

    def log_spans(self, experiment: int, batches: Sequence[SpanBatch]) -> None:
        for batch in batches:
            check_spans(batch)
        rows = [list({span.id: _row(batch.trace, span) for span in batch.spans}.values()) for batch in batches]
        with self._database.write() as tx:
            known = read_traces(tx, unique([batch.trace for batch in batches]))
            for batch, new in zip(batches, rows, strict=True):
                tx.insert(
                    "spans (trace, id, parent, name, kind, status, texts, figures, record)",
                    new,
                    then="""ON CONFLICT (trace, id) DO UPDATE SET parent = excluded.parent, name = excluded.name,
                        kind = excluded.kind, status = excluded.status, texts = excluded.texts,
                        figures = excluded.figures, record = excluded.record""",
                )
                before = known.get(batch.trace)
                figures = _summed(tx, batch)
                final = before is not None and _is_final(tx, batch.trace)
                after = grown(before or begun(experiment, batch), batch, final=final, figures=figures)
                _write(tx, before, after, final=final)
                known[batch.trace] = after

    def get(self, trace_id: str) -> RecordedTrace:
        return get_trace(self._database, trace_id)

    def traces(self, ids: Sequence[str], *, experiments: Sequence[int] | None = None) -> list[RecordedTrace]:
        found = read_traces(self._database, unique(ids))
        listed = [found[one] for one in unique(ids) if one in found]
        return [trace for trace in listed if experiments is None or trace.experiment in experiments]

    def spans(self, ids: Sequence[str]) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for some in chunks(unique(ids)):
            sql = f"SELECT trace, record FROM spans WHERE trace IN ({marks(some)})"
            for trace, record in self._database.query(sql, some):
                found.setdefault(trace, []).append(read_span(record))
        return {one: in_order(found[one]) for one in unique(ids) if one in found}

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
        place = None if after is None else read_place(after, order)
        condition, params = trace_search.condition(self._database.dialect, where)
        if not experiments:
            return TracePage((), None)
        keys = trace_search.ordering(order)
        rest, rest_params = ("1 = 1", []) if place is None else trace_search.behind(keys, place)
        in_turn = ", ".join(f"k{at} {'DESC' if key.descending else 'ASC'}" for at, key in enumerate(keys))
        head = f"""WITH few AS (
                SELECT t.id AS id, {", ".join(f"{key.text} AS k{at}" for at, key in enumerate(keys))} FROM traces t
                WHERE t.experiment IN ({marks(experiments)}) AND {condition} AND {rest} ORDER BY {in_turn} LIMIT ?),
            page AS (SELECT id, ROW_NUMBER() OVER (ORDER BY {in_turn}) AS place FROM few)"""
        asked = [one for key in keys for one in key.params]
        asked += [*experiments, *params, *rest_params, limit + 1]
        rows = self._database.query(head + PAGE, asked)
        found = list(assembled(rows).values())
        more = len(found) > limit
        found = found[:limit]
        return TracePage(tuple(found), write_place(values_of(found[-1], order)) if more and found else None)

    def update(self, trace_id: str, change: TraceChange) -> RecordedTrace:
        with self._database.write() as tx:
            before = get_trace(tx, trace_id)
            _write_strings(tx, "trace_tags", trace_id, before.tags, changed(before, change).tags)
            return get_trace(tx, trace_id)

    def delete(
        self, experiment: int, *, ids: Sequence[str] = (), until_ms: int | None = None, limit: int | None = None
    ) -> int:
        with self._database.write() as tx:
            meant = "SELECT started, id FROM traces WHERE experiment = ? AND started <= ?"
            asked = (experiment, 2**63 - 1 if until_ms is None else until_ms)
            found = [] if ids else tx.query(meant, asked)
            for some in chunks(unique(ids)):
                found += tx.query(f"{meant} AND id IN ({marks(some)})", (*asked, *some))
            gone = [one for _, one in sorted(found)][: None if limit is None else check_limit(limit)]
            for some in chunks(gone):
                for table in _BESIDE:
                    tx.execute(f"DELETE FROM {table} WHERE trace IN ({marks(some)})", some)
                tx.execute(f"DELETE FROM traces WHERE id IN ({marks(some)})", some)
            if gone:
                tx.event("trace.deleted", f"trace:{gone[0]}", {"experiment": experiment, "count": len(gone)})
            return len(gone)

    def link(self, ids: Sequence[str], refs: Sequence[str]) -> None:
        pairs = [(one, ref) for one in unique(ids) for ref in refs]
        edges = [link_edge(one, ref) for one, ref in pairs]
        with self._database.write() as tx:
            tx.many("INSERT INTO trace_links (trace, ref) VALUES (?, ?) ON CONFLICT DO NOTHING", pairs)
            tx.link(edges)

    def assess(self, assessment: Assessment) -> Assessment:
        check_assessment(assessment)
        with self._database.write() as tx:
            known = {one.id: one for one in get_trace(tx, assessment.trace).assessments}
            if assessment.id in known:
                raise assessment_taken(assessment)
            if assessment.overrides is not None:
                if assessment.overrides not in known:
                    raise unknown_assessment(assessment.trace, assessment.overrides)
                _write_assessment(tx, msgspec.structs.replace(known[assessment.overrides], valid=False))
            _write_assessment(tx, assessment)
            tx.event("trace.assessed", f"trace:{assessment.trace}", told(assessment))
            return decode_assessment(encode(assessment))

    def reassess(self, trace_id: str, assessment_id: str, change: AssessmentChange, *, at: datetime) -> Assessment:
        with self._database.write() as tx:
            known = {one.id: one for one in get_trace(tx, trace_id).assessments}
            if assessment_id not in known:
                raise unknown_assessment(trace_id, assessment_id)
            after = reassessed(known[assessment_id], change, at=at)
            _write_assessment(tx, after)
            tx.event("trace.assessment_changed", f"trace:{trace_id}", told(after))
            return decode_assessment(encode(after))

    def remove_assessment(self, trace_id: str, assessment_id: str) -> bool:
        with self._database.write() as tx:
            known = {one.id: one for one in get_trace(tx, trace_id).assessments}
            gone = known.get(assessment_id)
            if gone is None:
                return False
            tx.execute("DELETE FROM trace_assessments WHERE trace = ? AND id = ?", (trace_id, assessment_id))
            if gone.overrides in known:
                _write_assessment(tx, msgspec.structs.replace(known[gone.overrides], valid=True))
            tx.event("trace.assessment_removed", f"trace:{trace_id}", told(gone))
            return True


def _row(trace_id: str, span: Span) -> tuple[Any, ...]:
    texts = msgspec.json.encode(texts_of(span)).decode()
    figures = encode(span.figures) if span.figures else None
    return (trace_id, span.id, span.parent, span.name, span.kind, span.status, texts, figures, span_bytes(span))


def _summed(tx: Transaction, batch: SpanBatch) -> dict[str, dict[str, int | float]]:
    """Sum up what the spans of a trace consumed, where a batch brought any of it."""
    keys = {key: None for span in batch.spans for key in span.figures}
    if not keys:
        return {}
    rows = tx.query("SELECT id, parent, figures FROM spans WHERE trace = ? ORDER BY id", (batch.trace,))
    return summed((SpanFigures(one, parent, _decode_figures(data) if data else {}) for one, parent, data in rows), keys)


def _is_final(tx: Transaction, trace_id: str) -> bool:
    row = tx.one("SELECT final FROM traces WHERE id = ?", (trace_id,))
    return row is not None and row[0] == 1


def _write(tx: Transaction, before: RecordedTrace | None, after: RecordedTrace, *, final: bool) -> None:
    tx.execute(
        """INSERT INTO traces (id, experiment, started, duration, status, client_request, request, response, final)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET experiment = excluded.experiment, started = excluded.started,
               duration = excluded.duration, status = excluded.status, client_request = excluded.client_request,
               request = excluded.request, response = excluded.response, final = excluded.final""",
        (
            after.id,
            after.experiment,
            after.start_ms,
            after.duration_ms,
            after.status,
            after.client_request,
            after.request,
            after.response,
            int(final),
        ),
    )
    _write_strings(tx, "trace_tags", after.id, before.tags if before else {}, after.tags)
    _write_strings(tx, "trace_metadata", after.id, before.metadata if before else {}, after.metadata)


def _write_strings(tx: Transaction, table: str, trace_id: str, before: dict[str, str], after: dict[str, str]) -> None:
    for key in before.keys() - after.keys():
        tx.execute(f"DELETE FROM {table} WHERE trace = ? AND key = ?", (trace_id, key))
    rows = [(trace_id, key, value) for key, value in after.items() if before.get(key) != value]
    tx.insert(
        f"{table} (trace, key, value)", rows, then="ON CONFLICT (trace, key) DO UPDATE SET value = excluded.value"
    )


def _write_assessment(tx: Transaction, one: Assessment) -> None:
    tx.execute(
        """INSERT INTO trace_assessments (trace, id, kind, name, valid, session, text, number, record)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (trace, id) DO UPDATE SET kind = excluded.kind, name = excluded.name, valid = excluded.valid,
               session = excluded.session, text = excluded.text, number = excluded.number, record = excluded.record""",
        (
            one.trace,
            one.id,
            one.kind,
            one.name,
            int(one.valid),
            one.metadata.get(SESSION),
            as_text(one.value),
            number_of(one.value),
            encode(one),
        ),
    )
