"""Keep predictions and feedback in SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec

from interlock.adapters.sql import prediction_blocks
from interlock.adapters.sql.database import Database, Readable, Row, Transaction, encode
from interlock.adapters.sql.prediction_blocks import Holder, parts_of_ids
from interlock.core.clock import to_micros
from interlock.ports.prediction_log import (
    Feedback,
    FeedbackReceipt,
    JudgedPrediction,
    Prediction,
    PredictionLog,
    check_micros,
    check_predictions,
    is_prediction_id,
)

SCHEMA = (
    """CREATE TABLE predictions (
        id TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL, role TEXT NOT NULL,
        event_time INTEGER NOT NULL, served_at INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (id, model))""",
    "CREATE INDEX predictions_window ON predictions (endpoint, event_time, id)",
    "CREATE INDEX predictions_recent ON predictions (endpoint, served_at)",
    *prediction_blocks.SCHEMA,
    "CREATE TABLE feedback (prediction TEXT PRIMARY KEY, record BLOB NOT NULL)",
    # counting 300,000 rows takes longer than a page of the web interface may: each append adds to these instead
    """CREATE TABLE prediction_counts (
        endpoint TEXT NOT NULL, counted TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (endpoint, counted))""",
)

_COLUMNS = "id, model, endpoint, role, event_time, served_at, record"
_JUDGED = (
    "SELECT predictions.record, feedback.record FROM predictions "
    "LEFT JOIN feedback ON feedback.prediction = predictions.id"
)
_FEEDBACK = "feedback"
_decode_prediction = msgspec.msgpack.Decoder(Prediction).decode
_decode_feedback = msgspec.msgpack.Decoder(Feedback).decode


class SqlPredictionLog(PredictionLog):
    """Predictions in one table or, where many came together, as blocks in another; their truths, and counts of both.

    Cost: a row and three index entries (id, event time, time served) per prediction, or per block of them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, predictions: Sequence[Prediction]) -> None:
        check_predictions(predictions)
        rows, runs = prediction_blocks.parted(predictions)
        singles = list(rows)
        with self._database.write() as tx:
            for place, run in enumerate(runs):
                added = prediction_blocks.add(tx, run)
                if added is None:
                    # all that follow too: what came first must be stored first
                    singles += chain(*runs[place:])
                    break
                _count(tx, run[0].endpoint, f"{run[0].model} {run[0].role}", added)
            # one group per count: the number of rows that were new is known only per statement
            groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
            unique: dict[tuple[str, str], Prediction] = {}
            for row in prediction_blocks.not_held(tx, singles):
                unique.setdefault((row.id, row.model), row)
            for row in unique.values():
                columns = (row.id, row.model, row.endpoint, row.role, row.event_time, row.served_at, encode(row))
                groups[row.endpoint, f"{row.model} {row.role}"].append(columns)
            for (endpoint, counted), group in groups.items():
                inserted = tx.insert(f"predictions ({_COLUMNS})", group, then="ON CONFLICT DO NOTHING")
                _count(tx, endpoint, counted, inserted)

    def find(self, prediction_id: str) -> list[JudgedPrediction]:
        if not is_prediction_id(prediction_id):
            return []
        with self._database.snapshot() as view:
            return _found(view, prediction_id)

    def feedback(self, truths: Sequence[Feedback]) -> FeedbackReceipt:
        for truth in truths:
            check_micros(truth.known_at, of=f"feedback for {truth.prediction}")
        accepted: Counter[str] = Counter()
        first: Counter[str] = Counter()
        stands: dict[str, Feedback] = {}
        unknown: dict[str, None] = {}
        duplicates = 0
        with self._database.write() as tx:
            endpoints, before = _known(tx, {truth.prediction for truth in truths})
            for truth in truths:
                endpoint = endpoints.get(truth.prediction)
                held = stands.get(truth.prediction) or before.get(truth.prediction)
                if endpoint is None:
                    unknown[truth.prediction] = None
                elif held is None or _replaces(truth, held):
                    stands[truth.prediction] = truth
                    accepted[endpoint] += 1
                    first[endpoint] += held is None
                else:
                    duplicates += 1
            tx.insert(
                "feedback (prediction, record)",
                [(prediction, encode(truth)) for prediction, truth in stands.items()],
                then="ON CONFLICT (prediction) DO UPDATE SET record = excluded.record",
            )
            for endpoint, count in sorted(accepted.items()):
                _count(tx, endpoint, _FEEDBACK, first[endpoint])
                tx.event("feedback.received", f"endpoint:{endpoint}", {"accepted": count, "endpoint": endpoint})
        return FeedbackReceipt(accepted.total(), duplicates, tuple(unknown))

    def window(
        self,
        endpoint: str,
        *,
        start: datetime,
        end: datetime,
        model: str | None = None,
        after: tuple[int, str] | None = None,
        limit: int = 10_000,
    ) -> list[JudgedPrediction]:
        first, last = to_micros(start), to_micros(end)
        if after is not None:
            first = max(first, after[0])
        where = "endpoint = ? AND event_time >= ? AND event_time < ? AND "
        where += "role <> 'shadow'" if model is None else "model = ?"
        params = [endpoint, first, last, *([] if model is None else [model])]
        # nothing comes before the empty id
        place = after or (first, "")
        with self._database.snapshot() as view:
            page = _judged(
                view,
                f"WHERE {where} AND (event_time, id) > (?, ?) ORDER BY event_time, id, model LIMIT ?",
                [*params, *place, limit],
            )
            page += _with_truth(
                view,
                prediction_blocks.first_rows(
                    view,
                    f"{where} AND (event_time, last_id) > (?, ?)",
                    [*params, *place],
                    order="event_time, first_id, model",
                    least=limit,
                ),
            )
            page = sorted((one for one in page if _moment(one)[:2] > place), key=_moment)[:limit]
            if model is None and page and len(page) == limit:
                page += _rest_of_id(view, page[-1].prediction)
        return page

    def recent(self, endpoint: str, *, limit: int = 50) -> list[JudgedPrediction]:
        where = "endpoint = ? AND role <> 'shadow'"
        with self._database.snapshot() as view:
            newest = _judged(
                view, f"WHERE {where} ORDER BY served_at DESC, id DESC, model DESC LIMIT ?", [endpoint, limit]
            )
            newest += _with_truth(
                view,
                prediction_blocks.first_rows(
                    view, where, [endpoint], order="served_at DESC, first_id DESC, model DESC", least=limit
                ),
            )
        newest.sort(key=lambda one: (one.prediction.served_at, one.prediction.id, one.prediction.model), reverse=True)
        return newest[:limit]

    def counts(self, endpoint: str) -> dict[str, int]:
        rows = self._database.query("SELECT counted, rows FROM prediction_counts WHERE endpoint = ?", (endpoint,))
        return {_FEEDBACK: 0, **dict(rows)}

    def flush(self) -> None:
        """Return at once: `append` has committed."""


def _judged(source: Readable, clauses: str, params: list[Any]) -> list[JudgedPrediction]:
    return [
        JudgedPrediction(_decode_prediction(row), None if truth is None else _decode_feedback(truth))
        for row, truth in source.query(f"{_JUDGED} {clauses}", params)
    ]


def _with_truth(source: Readable, rows: list[Prediction]) -> list[JudgedPrediction]:
    truths = _truths(source, [row.id for row in rows])
    return [JudgedPrediction(row, truths.get(row.id)) for row in rows]


def _found(source: Readable, prediction_id: str) -> list[JudgedPrediction]:
    found = _judged(source, "WHERE predictions.id = ?", [prediction_id])
    found += _with_truth(source, prediction_blocks.find(source, prediction_id))
    return sorted(found, key=lambda one: _as_seen(one.prediction))


def _rest_of_id(source: Readable, last: Prediction) -> list[JudgedPrediction]:
    """Return the other answers under the last id of a page, to the same question."""
    return sorted(
        (
            one
            for one in _found(source, last.id)
            if one.prediction.endpoint == last.endpoint
            and one.prediction.event_time == last.event_time
            and one.prediction.role != "shadow"
            and one.prediction.model > last.model
        ),
        key=_moment,
    )


def _moment(one: JudgedPrediction) -> tuple[int, str, str]:
    return one.prediction.event_time, one.prediction.id, one.prediction.model


def _as_seen(one: Prediction | Holder) -> tuple[bool, int, str]:
    """Order what is under one id: the answer that the caller saw first, then shadows."""
    return one.role == "shadow", one.served_at, one.model


def _known(tx: Transaction, ids: Iterable[str]) -> tuple[dict[str, str], dict[str, Feedback]]:
    wanted = [one for one in ids if is_prediction_id(one)]
    found = list(prediction_blocks.holders(tx, wanted))
    for part in parts_of_ids(wanted):
        rows = tx.query(
            f"SELECT id, endpoint, role, served_at, model FROM predictions WHERE id IN ({_marks(part)})", part
        )
        found += [Holder(*row) for row in rows]
    # the answer that the caller saw comes last and stands
    found.sort(key=_as_seen, reverse=True)
    return {one.id: one.endpoint for one in found}, _truths(tx, wanted)


def _truths(source: Readable, ids: list[str]) -> dict[str, Feedback]:
    truths: dict[str, Feedback] = {}
    for part in parts_of_ids(ids):
        for (record,) in source.query(f"SELECT record FROM feedback WHERE prediction IN ({_marks(part)})", part):
            truth = _decode_feedback(record)
            truths[truth.prediction] = truth
    return truths


def _marks(part: Sequence[str]) -> str:
    return ", ".join("?" * len(part))


def _replaces(truth: Feedback, before: Feedback) -> bool:
    return truth.known_at > before.known_at and encode(truth.truth) != encode(before.truth)


def _count(tx: Transaction, endpoint: str, counted: str, added: int) -> None:
    if added > 0:
        tx.execute(
            """INSERT INTO prediction_counts (endpoint, counted, rows) VALUES (?, ?, ?)
            ON CONFLICT (endpoint, counted) DO UPDATE SET rows = prediction_counts.rows + excluded.rows""",
            (endpoint, counted, added),
        )
