"""Keep predictions and feedback in SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql.database import Database, Row, Transaction, encode
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
_IDS_PER_QUERY = 500
_FEEDBACK = "feedback"
_decode_prediction = msgspec.msgpack.Decoder(Prediction).decode
_decode_feedback = msgspec.msgpack.Decoder(Feedback).decode


class SqlPredictionLog(PredictionLog):
    """Predictions in one table, their truths in another, and counts of both in a third.

    Cost: one index entry per row and order (id, event time, time served).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, predictions: Sequence[Prediction]) -> None:
        check_predictions(predictions)
        unique: dict[tuple[str, str], Prediction] = {}
        for row in predictions:
            unique.setdefault((row.id, row.model), row)
        # one group per count: the number of rows that were new is known only per statement
        groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in unique.values():
            columns = (row.id, row.model, row.endpoint, row.role, row.event_time, row.served_at, encode(row))
            groups[row.endpoint, f"{row.model} {row.role}"].append(columns)
        with self._database.write() as tx:
            for (endpoint, counted), group in groups.items():
                added = tx.insert(f"predictions ({_COLUMNS})", group, then="ON CONFLICT DO NOTHING")
                _count(tx, endpoint, counted, added)

    def find(self, prediction_id: str) -> list[JudgedPrediction]:
        if not is_prediction_id(prediction_id):
            return []
        return self._judged(
            "WHERE predictions.id = ? ORDER BY CASE role WHEN 'shadow' THEN 1 ELSE 0 END, served_at, model",
            [prediction_id],
        )

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
        where = "WHERE endpoint = ? AND event_time >= ? AND event_time < ?"
        params: list[Any] = [endpoint, max(first, after[0]) if after else first, last]
        if after is not None:
            where += " AND (event_time, id) > (?, ?)"
            params += after
        where += " AND role <> 'shadow'" if model is None else " AND model = ?"
        params += [] if model is None else [model]
        page = self._judged(f"{where} ORDER BY event_time, id, model LIMIT ?", [*params, limit])
        if model is None and page and len(page) == limit:
            page += self._rest_of_id(endpoint, page[-1].prediction)
        return page

    def _rest_of_id(self, endpoint: str, last: Prediction) -> list[JudgedPrediction]:
        return self._judged(
            """WHERE endpoint = ? AND event_time = ? AND id = ? AND model > ? AND role <> 'shadow' ORDER BY model""",
            [endpoint, last.event_time, last.id, last.model],
        )

    def recent(self, endpoint: str, *, limit: int = 50) -> list[JudgedPrediction]:
        return self._judged(
            "WHERE endpoint = ? AND role <> 'shadow' ORDER BY served_at DESC, id DESC, model DESC LIMIT ?",
            [endpoint, limit],
        )

    def counts(self, endpoint: str) -> dict[str, int]:
        rows = self._database.query("SELECT counted, rows FROM prediction_counts WHERE endpoint = ?", (endpoint,))
        return {_FEEDBACK: 0, **dict(rows)}

    def flush(self) -> None:
        """Return at once: `append` has committed."""

    def _judged(self, clauses: str, params: list[Any]) -> list[JudgedPrediction]:
        return [
            JudgedPrediction(_decode_prediction(row), None if truth is None else _decode_feedback(truth))
            for row, truth in self._database.query(f"{_JUDGED} {clauses}", params)
        ]


def _known(tx: Transaction, ids: Iterable[str]) -> tuple[dict[str, str], dict[str, Feedback]]:
    endpoints: dict[str, str] = {}
    truths: dict[str, Feedback] = {}
    for part in _parts([one for one in ids if is_prediction_id(one)]):
        marks = ", ".join("?" * len(part))
        # the answer that the caller saw comes last and stands
        rows = tx.query(
            f"""SELECT id, endpoint FROM predictions WHERE id IN ({marks})
            ORDER BY CASE role WHEN 'shadow' THEN 0 ELSE 1 END, served_at DESC, model DESC""",
            part,
        )
        endpoints.update(rows)
        for (record,) in tx.query(f"SELECT record FROM feedback WHERE prediction IN ({marks})", part):
            truth = _decode_feedback(record)
            truths[truth.prediction] = truth
    return endpoints, truths


def _parts(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _IDS_PER_QUERY):
        yield ids[start : start + _IDS_PER_QUERY]


def _replaces(truth: Feedback, before: Feedback) -> bool:
    return truth.known_at > before.known_at and encode(truth.truth) != encode(before.truth)


def _count(tx: Transaction, endpoint: str, counted: str, added: int) -> None:
    if added > 0:
        tx.execute(
            """INSERT INTO prediction_counts (endpoint, counted, rows) VALUES (?, ?, ?)
            ON CONFLICT (endpoint, counted) DO UPDATE SET rows = prediction_counts.rows + excluded.rows""",
            (endpoint, counted, added),
        )
