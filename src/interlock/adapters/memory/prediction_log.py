"""Keep predictions and feedback in dictionaries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.core.clock import to_micros
from interlock.core.plain import pack
from interlock.ports.prediction_log import (
    Feedback,
    FeedbackReceipt,
    JudgedPrediction,
    Prediction,
    PredictionLog,
    check_micros,
    check_predictions,
)


class MemoryPredictionLog(PredictionLog):
    """Predictions in memory."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._answers: defaultdict[str, dict[str, Prediction]] = defaultdict(dict)
        self._truths: dict[str, Feedback] = {}
        self._judged: Counter[str] = Counter()

    def append(self, predictions: Sequence[Prediction]) -> None:
        check_predictions(predictions)
        rows = [settled(row) for row in predictions]
        with self._journal.lock:
            for row in rows:
                self._answers[row.id].setdefault(row.model, row)

    def find(self, prediction_id: str) -> list[JudgedPrediction]:
        with self._journal.lock:
            return self._with_truth(self._under(prediction_id))

    def _under(self, prediction_id: str) -> list[Prediction]:
        answers = self._answers.get(prediction_id, {}).values()
        return sorted(answers, key=lambda row: (row.role == "shadow", row.served_at, row.model))

    def feedback(self, truths: Sequence[Feedback]) -> FeedbackReceipt:
        for truth in truths:
            check_micros(truth.known_at, of=f"feedback for {truth.prediction}")
        accepted: Counter[str] = Counter()
        unknown: dict[str, None] = {}
        duplicates = 0
        with self._journal.lock:
            for truth in map(settled, truths):
                answers = self._under(truth.prediction)
                before = self._truths.get(truth.prediction)
                if not answers:
                    unknown[truth.prediction] = None
                elif before is None or _replaces(truth, before):
                    self._truths[truth.prediction] = truth
                    accepted[answers[0].endpoint] += 1
                    self._judged[answers[0].endpoint] += before is None
                else:
                    duplicates += 1
            for endpoint, count in sorted(accepted.items()):
                self._journal.append(
                    "feedback.received", f"endpoint:{endpoint}", payload={"accepted": count, "endpoint": endpoint}
                )
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
        with self._journal.lock:
            rows = sorted(
                (
                    row
                    for row in self._of(endpoint, model)
                    if first <= row.event_time < last and (after is None or (row.event_time, row.id) > after)
                ),
                key=lambda row: (row.event_time, row.id, row.model),
            )
            page = rows[:limit]
            for row in rows[limit:]:
                if not page or (row.event_time, row.id) != (page[-1].event_time, page[-1].id):
                    break
                page.append(row)
            return self._with_truth(page)

    def recent(self, endpoint: str, *, limit: int = 50) -> list[JudgedPrediction]:
        with self._journal.lock:
            rows = sorted(self._of(endpoint, None), key=lambda row: (row.served_at, row.id, row.model), reverse=True)
            return self._with_truth(rows[:limit])

    def counts(self, endpoint: str) -> dict[str, int]:
        with self._journal.lock:
            rows = (row for answers in self._answers.values() for row in answers.values())
            found = Counter(f"{row.model} {row.role}" for row in rows if row.endpoint == endpoint)
            return {**found, "feedback": self._judged[endpoint]}

    def flush(self) -> None:
        """Return at once; there is no other place."""

    def _of(self, endpoint: str, model: str | None) -> Iterable[Prediction]:
        for answers in self._answers.values():
            for row in answers.values():
                if row.endpoint == endpoint and (row.role != "shadow" if model is None else row.model == model):
                    yield row

    def _with_truth(self, rows: Iterable[Prediction]) -> list[JudgedPrediction]:
        return [JudgedPrediction(row, self._truths.get(row.id)) for row in rows]


def _replaces(truth: Feedback, before: Feedback) -> bool:
    return truth.known_at > before.known_at and pack(truth.truth) != pack(before.truth)
