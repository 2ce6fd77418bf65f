"""Port: every answer a model gave, and what later proved true."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from interlock.core.errors import InvalidInput
from interlock.ports.deployment_store import Role

MAX_ID_CHARS = 200
FIRST_MICROS, LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, which every backend and `datetime` can hold."""


class Prediction(msgspec.Struct, frozen=True, array_like=True):
    """One logged answer; its Ref is `prediction:<id>`.

    Args:
        id: Unique; the caller's own row id, or one that Interlock made.
        endpoint: Name of the endpoint that was asked.
        model: Ref of the version that answered (`model:delay@7`).
        role: Under which role it answered.
        event_time: Microseconds since 1970 UTC: the moment the question is about; windows go by it.
        served_at: Microseconds since 1970 UTC: when it was answered.
        inputs: The row that was asked about, in the order of the signature's inputs.
        outputs: What was answered, by output name.
        revision: The endpoint's routing revision.
        context: What the caller said of the row (entity, feature snapshot); kept for tracing.
    """

    id: str
    endpoint: str
    model: str
    role: Role
    event_time: int
    served_at: int
    inputs: tuple[Any, ...]
    outputs: dict[str, Any]
    revision: int = 0
    context: dict[str, str] = {}


class Feedback(msgspec.Struct, frozen=True, array_like=True):
    """The later truth about a prediction.

    Args:
        prediction: Id of the prediction.
        truth: What proved true.
        known_at: Microseconds since 1970 UTC: when it became known.
        source: Who says so.
    """

    prediction: str
    truth: Any
    known_at: int
    source: str = ""


class JudgedPrediction(msgspec.Struct, frozen=True, array_like=True):
    """A prediction with its truth, if that is known by now."""

    prediction: Prediction
    feedback: Feedback | None


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """What became of some feedback.

    Args:
        accepted: How many were stored.
        duplicates: How many repeated what was stored before.
        unknown: Ids for which there is no prediction; nothing is stored for them.
    """

    accepted: int
    duplicates: int
    unknown: tuple[str, ...]


def is_prediction_id(text: str) -> bool:
    """Say whether the text may be the id of a prediction: 1 to 200 printable characters."""
    return 0 < len(text) <= MAX_ID_CHARS and text.isprintable()


def check_predictions(predictions: Sequence[Prediction]) -> None:
    """Refuse rows that not every backend could keep.

    Raises:
        InvalidInput: An id is empty, too long or unprintable, or a time lies outside the years 1 to 9999.
    """
    ids = [row.id for row in predictions]
    if not (all(ids) and "".join(ids).isprintable() and max(map(len, ids), default=0) <= MAX_ID_CHARS):
        bad = next(one for one in ids if not is_prediction_id(one))
        raise InvalidInput(
            f"{bad[:60]!r} cannot be the id of a prediction", why=f"an id is 1 to {MAX_ID_CHARS} printable characters"
        )
    for times, one in {(row.event_time, row.served_at): row.id for row in predictions}.items():
        for micros in times:
            check_micros(micros, of=f"prediction {one}")


def check_micros(micros: int, *, of: str) -> int:
    """Return a time in microseconds if it lies in the years 1 to 9999.

    Raises:
        InvalidInput: It does not; most often it is in another unit.
    """
    if not FIRST_MICROS <= micros <= LAST_MICROS:
        raise InvalidInput(
            f"{of}: {micros} is not a time in microseconds since 1970 UTC",
            why="it lies outside the years 1 to 9999; nanoseconds look like this",
        )
    return micros


class PredictionLog(Protocol):
    """Predictions and feedback.

    Thread-safe and process-safe. `append` returns when the rows survive a killed process; it is idempotent by
    `(id, model)`: a shadow's answer to the same request carries the same id under its own model. The first
    feedback for an id stands; a repetition counts as duplicate, another truth for it replaces the first only if its
    `known_at` is later. Reads see everything appended before. Ids and times that not every backend can keep
    raise `InvalidInput`, and nothing of the batch is stored.

    Events: none per row; `feedback.received` once per batch and endpoint with at least one accepted (payload:
    accepted, endpoint).
    """

    @abstractmethod
    def append(self, predictions: Sequence[Prediction]) -> None:
        """Store some answers, all or none."""

    @abstractmethod
    def find(self, prediction_id: str) -> list[JudgedPrediction]:
        """Return the answers under an id: the one the caller saw first, then shadows; empty if unknown."""

    @abstractmethod
    def feedback(self, truths: Sequence[Feedback]) -> FeedbackReceipt:
        """Store some truths, all or none of the known ones."""

    @abstractmethod
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
        """List by `(event_time, id)` those with `start <= event_time < end`, after a `(event_time, id)`.

        Without `model`, only the answers that callers saw: no shadows. A page never ends between two answers under one
        id (a request asked again after the routing changed), so that it may exceed `limit` by these.
        """

    @abstractmethod
    def recent(self, endpoint: str, *, limit: int = 50) -> list[JudgedPrediction]:
        """List the last answers served that callers saw, newest first."""

    @abstractmethod
    def counts(self, endpoint: str) -> dict[str, int]:
        """Return the number of answers by `<model> <role>`, and of truths under `feedback`."""

    @abstractmethod
    def flush(self) -> None:
        """Return once everything appended by this process is in its final place."""
