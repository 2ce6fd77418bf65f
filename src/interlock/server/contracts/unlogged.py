"""Log no predictions: for containers whose platform captures what goes in and comes out, if anybody wants it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from interlock.ports.prediction_log import Feedback, FeedbackReceipt, JudgedPrediction, Prediction, PredictionLog


class Unlogged(PredictionLog):
    """A log that keeps nothing, and so knows of no prediction."""

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Forget some answers."""

    def find(self, prediction_id: str) -> list[JudgedPrediction]:
        """Return nothing."""
        return []

    def feedback(self, truths: Sequence[Feedback]) -> FeedbackReceipt:
        """Say that every prediction is unknown."""
        return FeedbackReceipt(0, 0, tuple(truth.prediction for truth in truths))

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
        """Return nothing."""
        return []

    def recent(self, endpoint: str, *, limit: int = 50) -> list[JudgedPrediction]:
        """Return nothing."""
        return []

    def counts(self, endpoint: str) -> dict[str, int]:
        """Return nothing."""
        return {}

    def flush(self) -> None:
        """Return at once."""
