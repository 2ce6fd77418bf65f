"""Answer one row part by part, and log the whole once its last part was given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from time import perf_counter_ns
from typing import Any

from interlock.core.errors import InterlockError, InvalidInput
from interlock.core.model_answers import joined
from interlock.ports.model_runtime import StreamingPredictor
from interlock.ports.prediction_log import Prediction
from interlock.serving.requests import Question
from interlock.serving.routing import Deployed, Routing
from interlock.serving.tensor_check import is_whole
from interlock.serving.tensor_rows import plain

Part = dict[str, Any]


class AnswerStream:
    """The parts of one row's answer, as its model gives them.

    Not thread-safe, but each part may be asked for in another thread. What was given is logged when the stream ends,
    also where whoever listens stops it (`close`), but not where the model fails.

    Args:
        deployed: The version that answers.
        routing: The routing that chose it.
        asked: The row.
        log: Logs the whole.

    Raises:
        InvalidInput: There are several rows.
    """

    def __init__(
        self, deployed: Deployed, routing: Routing, asked: Question, log: Callable[[Prediction], None]
    ) -> None:
        if asked.table.rows != 1:
            raise InvalidInput(
                f"{asked.table.rows} rows cannot be streamed at once",
                why="a stream answers one row",
                fix="send one row",
            )
        self.id = asked.ids[0]
        self.version = deployed.model.version
        self.model = deployed.model.ref
        self._deployed = deployed
        self._routing = routing
        self._asked = asked
        self._log = log
        self._parts: Generator[Part, None, None] = self._given()

    def __iter__(self) -> Iterator[Part]:
        return self._parts

    def next(self) -> Part | None:
        """Return the next part, or None after the last.

        Raises:
            InterlockError: The model refuses the row, or fails.
        """
        return next(self._parts, None)

    def whole(self, parts: Sequence[Part]) -> Part:
        """Return the answer that its parts come to."""
        return joined(parts)

    def close(self) -> None:
        """Stop the model, if it is still at it."""
        self._parts.close()

    def _given(self) -> Generator[Part, None, None]:
        began = perf_counter_ns()
        deployed, table = self._deployed, self._asked.table
        columns = table.columns if deployed.order is None else [table.columns[place] for place in deployed.order]
        given: list[Part] = []
        predictor = deployed.model.predictor
        try:
            if isinstance(predictor, StreamingPredictor):
                for part in predictor.stream(columns, rows=1):
                    given.append(part)
                    yield part
            else:
                whole = predictor.predict(columns, rows=1)
                given.append({name: values.tolist()[0] for name, values in whole.items()})
                yield given[0]
        except InterlockError as error:
            given = []
            deployed.statistics.refused(error, perf_counter_ns() - began)
            raise
        finally:
            if given and not self._asked.is_trial:
                deployed.statistics.answered(1, perf_counter_ns() - began, self._asked.asked_at)
                self._log(self._prediction(columns, joined(given)))

    def _prediction(self, columns: Any, outputs: Part) -> Prediction:
        asked = self._asked
        if asked.table.is_tensor:
            whole = is_whole(self._routing.check.signature)
            row = tuple(plain(values if whole else values[0]) for values in columns)
        else:
            row = tuple(None if values[0] != values[0] else values[0] for values in columns)
        return Prediction(
            asked.ids[0],
            self._routing.endpoint.name,
            self._deployed.model.ref,
            self._deployed.role,
            asked.event_times[0],
            asked.asked_at,
            row,
            outputs,
            self._routing.revision,
            asked.contexts[0],
        )
