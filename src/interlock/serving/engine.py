"""Answer what is asked of one endpoint: route, predict, log, and let shadows listen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter_ns
from typing import Any

import msgspec

from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.errors import InterlockError, Unavailable
from interlock.ports.deployment_store import DeploymentStore
from interlock.ports.prediction_log import Prediction, PredictionLog
from interlock.serving.loading import LoadedModel
from interlock.serving.requests import Question
from interlock.serving.routing import Deployed, Routing, build_routing

_MOST_WAITING_SHADOWS = 1_000
_logger = logging.getLogger(__name__)


class Answer(msgspec.Struct):
    """What an endpoint said to a request.

    Args:
        ids: The prediction id of each row.
        models: Ref of the version that answered each row; one for all where all are the same.
        version: Number of the version that answered the first row.
        revision: The endpoint's routing revision.
        outputs: By output name, a value per row.
    """

    ids: Sequence[str]
    models: Sequence[str]
    version: str
    revision: int
    outputs: dict[str, list[Any]]


class EndpointEngine:
    """The serving side of one endpoint.

    Thread-safe. The routing is replaced as a whole: a request that has begun ends on the routing it began with,
    so none is dropped. A routing that cannot be loaded leaves the old one in place. An answer is returned only after
    it was logged; shadows are asked afterwards, in a thread of their own, and cannot delay or fail it.

    Args:
        endpoint: Name of the endpoint.
        deployments: Where its routing is kept.
        load: Loads the version of a Ref.
        log: Where answers are logged.
        clock: Tells when they were given.

    Example:
        engine = EndpointEngine("delay", stores.deployments, load, stores.predictions)
        engine.reload()
        answer = engine.predict(question(engine.routing.check.records(rows), {}, now_micros=engine.now_micros()))
    """

    def __init__(
        self,
        endpoint: str,
        deployments: DeploymentStore,
        load: Callable[[str], LoadedModel],
        log: PredictionLog,
        clock: Clock | None = None,
    ) -> None:
        self.name = endpoint
        self.problem: InterlockError | None = None
        self._deployments = deployments
        self._load = load
        self._log = log
        self._clock = clock or SystemClock()
        self._routing: Routing | None = None
        self._reloading = threading.Lock()
        self._shadow_slots = threading.BoundedSemaphore(_MOST_WAITING_SHADOWS)
        self._shadows = ThreadPoolExecutor(1, thread_name_prefix=f"shadow-{endpoint}")

    @property
    def routing(self) -> Routing:
        """What answers now.

        Raises:
            Unavailable: Nothing has been loaded yet.
        """
        if self._routing is None:
            raise Unavailable(
                f"endpoint '{self.name}' is not ready",
                why=self.problem.what if self.problem else "its model is not loaded yet",
            )
        return self._routing

    @property
    def is_ready(self) -> bool:
        """Whether it can answer."""
        return self._routing is not None

    def now_micros(self) -> int:
        """Return the present in microseconds since 1970 UTC."""
        return to_micros(self._clock.now())

    def reload(self) -> bool:
        """Follow the endpoint's routing; return whether it changed.

        Raises:
            InterlockError: The new routing cannot be loaded; the old one goes on, and `problem` says why.
        """
        with self._reloading:
            try:
                endpoint = self._deployments.get(self.name)
                before = self._routing
                if before is not None and before.revision == endpoint.revision:
                    return False
                self._routing = build_routing(endpoint, self._load, before)
            except InterlockError as error:
                self.problem = error
                raise
            self.problem = None
            return True

    @property
    def is_quick(self) -> bool:
        """Whether a small request is answered fast enough for an event loop to do it itself."""
        return self._routing is not None and self._routing.is_quick

    def predict(self, asked: Question, *, routing: Routing | None = None, version: str | None = None) -> Answer:
        """Answer every row, and return when the answers are logged.

        Args:
            asked: The checked rows.
            routing: The routing whose check passed them; the present one by default.
            version: Number of the version that shall answer, in place of the endpoint's shares.

        Raises:
            InvalidInput: The model refuses the rows.
            NotFound: The version does not answer behind this endpoint.
            Unavailable: Nothing is loaded yet, or the log cannot be written.
        """
        routing = routing or self.routing
        parts: list[tuple[Deployed, Sequence[int]]]
        if version is not None:
            parts = [(routing.version(version), range(asked.table.rows))]
        elif len(routing.answering) == 1:
            parts = [(routing.live, range(asked.table.rows))]
        else:
            parts = _parted(routing, asked.ids)
        rows: list[Prediction] = []
        for deployed, places in parts:
            rows += self._ask(deployed, routing, asked, places)
        self._log.append(rows)
        answer = _answer(routing, parts, rows, asked.ids)
        for shadow in routing.shadows:
            self._listen(shadow, routing, asked)
        return answer

    def drain(self) -> None:
        """Return once every shadow has been asked what was asked before."""
        self._shadows.submit(int).result()

    def close(self) -> None:
        """End the shadows' thread after what it still has to do."""
        self._shadows.shutdown()

    def _ask(self, deployed: Deployed, routing: Routing, asked: Question, places: Sequence[int]) -> list[Prediction]:
        """Ask one version some of the rows; return what there is to log."""
        began = perf_counter_ns()
        columns = asked.table.columns
        whole = len(places) == asked.table.rows
        if not whole:
            columns = [[values[place] for place in places] for values in columns]
        inputs = columns if deployed.order is None else [columns[place] for place in deployed.order]
        try:
            outputs = deployed.model.predictor.predict(inputs, rows=len(places))
        except InterlockError as error:
            deployed.statistics.failed(perf_counter_ns() - began, error.what)
            raise
        names = tuple(outputs)
        given = zip(*[values.tolist() for values in outputs.values()], strict=True)
        taken = zip(*(inputs if not asked.table.has_missing else map(_with_none, inputs)), strict=True)
        rows = [
            Prediction(
                asked.ids[place],
                self.name,
                deployed.model.ref,
                deployed.role,
                asked.event_times[place],
                asked.asked_at,
                row,
                dict(zip(names, answers, strict=True)),
                routing.revision,
                asked.contexts[place],
            )
            for place, row, answers in zip(places, taken, given, strict=True)
        ]
        deployed.statistics.answered(len(places), perf_counter_ns() - began, asked.asked_at)
        return rows

    def _listen(self, shadow: Deployed, routing: Routing, asked: Question) -> None:
        """Ask a shadow in the background; a shadow that is too slow misses requests."""
        if not self._shadow_slots.acquire(blocking=False):
            shadow.statistics.shadow_failures += 1
            shadow.statistics.last_problem = "it is too slow to hear every request"
            return
        self._shadows.submit(self._ask_shadow, shadow, routing, asked)

    def _ask_shadow(self, shadow: Deployed, routing: Routing, asked: Question) -> None:
        try:
            self._log.append(self._ask(shadow, routing, asked, range(asked.table.rows)))
        except Exception as error:  # noqa: BLE001 (the edge of its thread; a shadow may fail in any way but must not matter)
            shadow.statistics.shadow_failures += 1
            shadow.statistics.last_problem = str(error)
            _logger.warning("the shadow %s failed: %s", shadow.model.ref, error)
        finally:
            self._shadow_slots.release()


def _parted(routing: Routing, ids: Sequence[str]) -> list[tuple[Deployed, Sequence[int]]]:
    """Return who answers which rows."""
    parts: dict[int, tuple[Deployed, list[int]]] = {}
    for place, prediction_id in enumerate(ids):
        deployed = routing.route(prediction_id)
        parts.setdefault(id(deployed), (deployed, []))[1].append(place)
    return list(parts.values())


def _answer(
    routing: Routing, parts: Sequence[tuple[Deployed, Sequence[int]]], rows: list[Prediction], ids: Sequence[str]
) -> Answer:
    """Put the answers back into the order of the request."""
    if len(parts) == 1:
        model = parts[0][0].model
        models: Sequence[str] = (model.ref,)
        version = model.version
    else:
        by_id = {row.id: row for row in rows}
        rows = [by_id[prediction_id] for prediction_id in ids]
        models = [row.model for row in rows]
        version = next(one.model.version for one in routing.answering if one.model.ref == models[0])
    names = [column.name for column in routing.live.model.signature.outputs]
    outputs = {name: [row.outputs[name] for row in rows] for name in names}
    return Answer(ids, models, version, routing.revision, outputs)


def _with_none(values: list[Any]) -> list[Any]:
    return [None if value != value else value for value in values]
