"""Answer the commonest question, one row to one version, without what all others need."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns, time_ns
from typing import Any

from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.errors import InterlockError
from interlock.core.ids import new_id
from interlock.ports.prediction_log import Prediction, PredictionLog
from interlock.serving.at_work import BEHIND, DESK
from interlock.serving.routing import Routing

_MOST_COLUMNS = 256
_TYPES = frozenset({"double", "long", "boolean", "string"})
_no_context: dict[str, str] = {}


class OneRow:
    """One row's way through an endpoint behind which one version answers, and answers at once.

    It does what `EndpointEngine.predict` does: it predicts, counts, and returns when the answer is logged.

    Cost: half of that.

    Args:
        endpoint: Name of the endpoint.
        routing: What answers; see `fits`.
        log: Where answers are logged.
        clock: Tells when they were given.
    """

    def __init__(self, endpoint: str, routing: Routing, log: PredictionLog, clock: Clock) -> None:
        live = routing.live
        self.routing = routing
        self.ref = live.model.ref
        self.version = live.model.version
        self.signature = live.model.signature
        self.revision = routing.revision
        self._endpoint = endpoint
        self._role = live.role
        self._statistics = live.statistics
        self._predict = live.model.predictor.predict
        self._at_work = DESK.board.cells
        self._place = DESK.board.place(f"{self.ref}{BEHIND}{endpoint}")
        self._wanted = [column.name for column in self.signature.outputs]
        self._log = log
        self._clock = None if isinstance(clock, SystemClock) else clock

    @staticmethod
    def fits(routing: Routing) -> bool:
        """Say whether one quick version answers, no shadow listens, and the columns are plain ones."""
        signature = routing.live.model.signature
        return (
            routing.is_quick
            and len(routing.answering) == 1
            and not routing.shadows
            and not routing.live.model.gains_together
            and not signature.is_tensor
            and all(column.shape is None for column in signature.outputs)
            and len(signature.inputs) <= _MOST_COLUMNS
            and all(column.type in _TYPES for column in signature.inputs)
        )

    def ask(self, columns: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
        """Return the id of the prediction and its values, in the order of the signature's outputs.

        Args:
            columns: One checked value each, none missing, in the order of the signature's inputs.

        Raises:
            InvalidInput: The model refuses the row.
            Unavailable: The log cannot be written.
        """
        began = perf_counter_ns()
        at_work, place = self._at_work, self._place
        at_work[place] += 1
        try:
            outputs = self._predict(columns, rows=1)
        except InterlockError as error:
            self._statistics.refused(error, perf_counter_ns() - began)
            raise
        finally:
            at_work[place] -= 1
        now = time_ns() // 1_000 if self._clock is None else to_micros(self._clock.now())
        answers = {name: values.tolist()[0] for name, values in outputs.items()}
        prediction_id = new_id()
        row = Prediction(
            prediction_id,
            self._endpoint,
            self.ref,
            self._role,
            now,
            now,
            tuple([value for (value,) in columns]),
            answers,
            self.revision,
            _no_context,
        )
        self._statistics.answered(1, perf_counter_ns() - began, now)
        self._log.append((row,))
        return prediction_id, [answers[name] for name in self._wanted]
