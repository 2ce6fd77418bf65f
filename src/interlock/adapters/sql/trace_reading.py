"""Read traces whole, a page at a time, in one statement and so at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from interlock.adapters.sql.database import Readable
from interlock.ports.trace_rules import unknown_trace
from interlock.ports.trace_search import TraceOrder
from interlock.ports.trace_store import Assessment, RecordedTrace, TraceStatus

PAGE = """SELECT 'assessment', trace, '', '', '', '', seq, 0, 0, 0, record FROM trace_assessments
        WHERE trace IN (SELECT id FROM page)
    UNION ALL SELECT 'trace', t.id, t.status, t.client_request, t.request, t.response, page.place, t.experiment,
        t.started, t.duration, NULL FROM page JOIN traces t ON t.id = page.id
    UNION ALL SELECT 'tag', trace, key, value, '', '', 0, 0, 0, 0, NULL FROM trace_tags
        WHERE trace IN (SELECT id FROM page)
    UNION ALL SELECT 'metadata', trace, key, value, '', '', 0, 0, 0, 0, NULL FROM trace_metadata
        WHERE trace IN (SELECT id FROM page)"""
"""What follows a table `page` of ids and places, so that a reader never sees half of a change."""
_IDS_PER_STATEMENT = 500

decode_assessment = msgspec.msgpack.Decoder(Assessment).decode
"""Read an assessment from its bytes."""


def get_trace(source: Readable, trace_id: str) -> RecordedTrace:
    """Return a trace without its spans, or raise `NotFound`."""
    found = find_trace(source, trace_id)
    if found is None:
        raise unknown_trace(trace_id)
    return found


def find_trace(source: Readable, trace_id: str) -> RecordedTrace | None:
    """Return a trace without its spans, or None."""
    return read_traces(source, [trace_id]).get(trace_id)


def read_traces(source: Readable, ids: Sequence[str]) -> dict[str, RecordedTrace]:
    """Return those of some traces that exist, by id."""
    found: dict[str, RecordedTrace] = {}
    for some in chunks(ids):
        head = f"WITH page AS (SELECT id, 0 AS place FROM traces WHERE id IN ({marks(some)})) "
        found.update(assembled(source.query(head + PAGE, some)))
    return found


def assembled(rows: Iterable[Sequence[Any]]) -> dict[str, RecordedTrace]:
    """Put traces together from the rows of a page, in its order."""
    heads: list[tuple[int, str, Sequence[Any]]] = []
    strings: dict[tuple[str, str], dict[str, str]] = {}
    judged: dict[str, list[tuple[int, bytes]]] = {}
    for part, trace, *rest in rows:
        if part == "trace":
            heads.append((rest[4], trace, rest))
        elif part == "assessment":
            judged.setdefault(trace, []).append((rest[4], rest[-1]))
        else:
            strings.setdefault((part, trace), {})[rest[0]] = rest[1]
    return {
        trace: _trace(
            trace,
            rest,
            tags=strings.get(("tag", trace), {}),
            metadata=strings.get(("metadata", trace), {}),
            assessments=[decode_assessment(record) for _, record in sorted(judged.get(trace, ()))],
        )
        for _, trace, rest in sorted(heads, key=lambda head: head[0])
    }


def _trace(
    trace_id: str,
    row: Sequence[Any],
    *,
    tags: dict[str, str],
    metadata: dict[str, str],
    assessments: Sequence[Assessment],
) -> RecordedTrace:
    status: TraceStatus
    status, client_request, request, response, _, experiment, started, duration, _ = row
    return RecordedTrace(
        id=trace_id,
        experiment=experiment,
        start_ms=started,
        status=status,
        duration_ms=duration,
        client_request=client_request,
        request=request,
        response=response,
        metadata=metadata,
        tags=tags,
        assessments=tuple(assessments),
    )


def values_of(trace: RecordedTrace, order: Sequence[TraceOrder]) -> list[Any]:
    """Return what a trace is ordered by, None where it has nothing; the last two are its start and its id."""
    found: list[Any] = []
    for one in order:
        if one.part == "tag":
            found.append(trace.tags.get(one.key))
        elif one.part == "metadata":
            found.append(trace.metadata.get(one.key))
        elif one.key == "end_ms":
            found.append(trace.start_ms + (trace.duration_ms or 0))
        else:
            found.append(getattr(trace, one.key))
    return [*found, trace.start_ms, trace.id]


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield ids, as many at a time as one statement takes."""
    for start in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[start : start + _IDS_PER_STATEMENT]


def marks(values: Sequence[Any]) -> str:
    """Return the placeholders of some values."""
    return ", ".join("?" * len(values))
