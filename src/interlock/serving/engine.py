"""Answer what is asked of one endpoint: route, predict, log, and let shadows listen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from time import perf_counter_ns
from typing import Any

import msgspec

from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.errors import InterlockError, Unavailable
from interlock.ports.deployment_store import DeploymentStore
from interlock.ports.prediction_log import Prediction, PredictionLog
from interlock.serving.at_work import DESK
from interlock.serving.loading import LoadedModel
from interlock.serving.one_row import OneRow
from interlock.serving.requests import Question
from interlock.serving.routing import Deployed, Routing, build_routing
from interlock.serving.seen import SEEN
from interlock.serving.statistics import StatisticsBook
from interlock.serving.streaming import AnswerStream
from interlock.serving.tensor_rows import all_rows, logged, rows_of, some_rows
from interlock.serving.validation import Table

_MOST_WAITING_SHADOWS = 1_000
_logger = logging.getLogger(__name__)


class Answer(msgspec.Struct):
    """What an endpoint said to a request.

    Args:
        ids: The prediction id of each row.
        models: Ref of the version that answered each row; one for all where all are the same.
        version: Number of the version that answered the first row.
        revision: The endpoint's routing revision.
        outputs: By output name, a value per row; of tensors, the row's part of the array.
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
        statistics: Where it is counted what each version did.

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
        statistics: StatisticsBook | None = None,
    ) -> None:
        self.name = endpoint
        self.problem: InterlockError | None = None
        self.is_unloaded = False
        self.is_resting = False
        self._deployments = deployments
        self._load = load
        self._log = log
        self._clock = clock or SystemClock()
        self._statistics = statistics or StatisticsBook()
        self._routing: Routing | None = None
        self._one_row: tuple[Routing | None, OneRow | None] = (None, None)
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
                why=self.problem.what
                if self.problem
                else f"its model was unloaded; POST /v2/repository/models/{self.name}/load brings it back"
                if self.is_unloaded
                else "its models rest until it is asked"
                if self.is_resting
                else "its model is not loaded yet",
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
                self._routing = build_routing(endpoint, self._load, before, self._statistics)
            except InterlockError as error:
                self.problem = error
                raise
            self.problem = None
            self.is_unloaded = self.is_resting = False
            return True

    def unload(self) -> None:
        """Let go of what answers, until `reload` is called or the endpoint is routed anew."""
        with self._reloading:
            self._routing = None
            self.problem = None
            self.is_unloaded = True

    def rest(self) -> None:
        """Let go of what answers until somebody asks; requests that have begun keep it to their end."""
        with self._reloading:
            self._routing = None
            self.is_resting = True

    @property
    def package_bytes(self) -> int:
        """How large the packages of what is loaded are on disk."""
        routing = self._routing
        folders = {one.model.folder for one in routing.deployed if one.model.folder} if routing is not None else set()
        return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())

    @property
    def is_quick(self) -> bool:
        """Whether a small request is answered fast enough for an event loop to do it itself."""
        return self._routing is not None and self._routing.is_quick

    @property
    def gains_together(self) -> bool:
        """Whether requests that wait for it are better answered together."""
        return self._routing is not None and self._routing.live.model.gains_together

    @property
    def one_row(self) -> OneRow | None:
        """The short way of one row, where what answers now has one."""
        routing, (made_for, one_row) = self._routing, self._one_row
        if made_for is not routing:
            fits = routing is not None and OneRow.fits(routing)
            one_row = OneRow(self.name, routing, self._log, self._clock) if routing and fits else None
            self._one_row = (routing, one_row)
        return one_row

    def predict(self, asked: Question, *, routing: Routing | None = None, version: str | None = None) -> Answer:
        """Answer every row, and return when the answers are logged; a trial is only answered.

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
        seen = SEEN.get()
        if seen is not None and seen.is_traced:
            seen.asked_ns = perf_counter_ns()
        for deployed, places in parts:
            rows += self._ask(deployed, routing, asked, places)
        if seen is not None and seen.is_traced:
            seen.predicted_ns = perf_counter_ns()
        if asked.is_trial:
            return _answer(routing, parts, rows, asked.ids)
        self._log.append(logged(rows) if asked.table.is_tensor else rows)
        answer = _answer(routing, parts, rows, asked.ids)
        if seen is not None:
            seen.answer = answer
            if seen.is_traced:
                seen.logged_ns = perf_counter_ns()
        for shadow in routing.shadows:
            self._listen(shadow, routing, asked)
        return answer

    def stream(self, asked: Question, *, routing: Routing | None = None, version: str | None = None) -> AnswerStream:
        """Answer one row part by part; the whole is logged, and shadows are asked, when the last part was given.

        Args:
            asked: The checked row.
            routing: The routing whose check passed it; the present one by default.
            version: Number of the version that shall answer, in place of the endpoint's shares.

        Raises:
            InvalidInput: There are several rows.
            NotFound: The version does not answer behind this endpoint.
            Unavailable: Nothing is loaded yet.
        """
        chosen = routing or self.routing
        deployed = chosen.version(version) if version is not None else chosen.route(asked.ids[0])

        def log(answered: Prediction) -> None:
            self._log.append(logged([answered]) if asked.table.is_tensor else [answered])
            for shadow in chosen.shadows:
                self._listen(shadow, chosen, asked)

        return AnswerStream(deployed, chosen, asked, log)

    def predict_together(self, asked: Sequence[Question], routing: Routing) -> list[Answer | Exception]:
        """Answer several requests by one call of the model; each gets its answer, or its own error.

        Args:
            asked: Checked rows for one and the same routing, behind which one version answers.
            routing: That routing.
        """
        began = perf_counter_ns()
        try:
            rows = self._ask_together(routing.live, routing, asked)
            told = [row for one, mine in zip(asked, rows, strict=True) if not one.is_trial for row in mine]
            self._log.append(logged(told) if asked[0].table.is_tensor else told)
        except Exception as error:  # noqa: BLE001 (whoever caused it is found by asking one by one)
            return [self._answer_or_error(one, routing) for one in asked] if len(asked) > 1 else [error]
        took_ns = perf_counter_ns() - began
        statistics = routing.live.statistics
        statistics.executed(sum(one.table.rows for one in asked))
        answers: list[Answer | Exception] = []
        for one, mine in zip(asked, rows, strict=True):
            answers.append(_answer(routing, [(routing.live, range(one.table.rows))], mine, one.ids))
            if not one.is_trial:
                statistics.answered(one.table.rows, took_ns, one.asked_at, batched=True)
                for shadow in routing.shadows:
                    self._listen(shadow, routing, one)
        return answers

    def _answer_or_error(self, asked: Question, routing: Routing) -> Answer | Exception:
        try:
            return self.predict(asked, routing=routing)
        except Exception as error:  # noqa: BLE001 (handed to the one whose request it is)
            return error

    def _ask_together(self, deployed: Deployed, routing: Routing, asked: Sequence[Question]) -> list[list[Prediction]]:
        """Ask one version the rows of several requests at once; return what there is to log of each."""
        tables = [one.table for one in asked]
        is_tensor = tables[0].is_tensor
        join = all_rows if is_tensor else lambda parts: list(chain(*parts))
        columns = [join(parts) for parts in zip(*[one.columns for one in tables], strict=True)]
        together = Question(
            Table(columns, sum(one.rows for one in tables), any(one.has_missing for one in tables), is_tensor),
            list(chain(*[one.ids for one in asked])),
            list(chain(*[one.event_times for one in asked])),
            list(chain(*[one.contexts for one in asked])),
            asked[0].asked_at,
            # it is counted by request
            is_trial=True,
        )
        rows = iter(self._ask(deployed, routing, together, range(together.table.rows)))
        return [list(islice(rows, one.table.rows)) for one in asked]

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
            columns = (
                some_rows(columns, places)
                if asked.table.is_tensor
                else [[values[place] for place in places] for values in columns]
            )
        inputs = columns if deployed.order is None else [columns[place] for place in deployed.order]
        try:
            with DESK.board.at(deployed.model.ref, self.name):
                outputs = deployed.model.predictor.predict(inputs, rows=len(places))
        except InterlockError as error:
            deployed.statistics.refused(error, perf_counter_ns() - began)
            raise
        names = tuple(outputs)
        given: Iterable[tuple[Any, ...]]
        taken: Iterable[tuple[Any, ...]]
        if asked.table.is_tensor:
            names = tuple(column.name for column in deployed.model.signature.outputs)
            taken, given = rows_of(deployed.model.signature, inputs, outputs, rows=len(places))
        else:
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
        if not asked.is_trial:
            deployed.statistics.answered(len(places), perf_counter_ns() - began, asked.asked_at)
        return rows

    def _listen(self, shadow: Deployed, routing: Routing, asked: Question) -> None:
        """Ask a shadow in the background; a shadow that is too slow misses requests."""
        if not self._shadow_slots.acquire(blocking=False):
            shadow.statistics.shadow_failed("it is too slow to hear every request")
            return
        self._shadows.submit(self._ask_shadow, shadow, routing, asked)

    def _ask_shadow(self, shadow: Deployed, routing: Routing, asked: Question) -> None:
        try:
            rows = self._ask(shadow, routing, asked, range(asked.table.rows))
            self._log.append(logged(rows) if asked.table.is_tensor else rows)
        except Exception as error:  # noqa: BLE001 (the edge of its thread; a shadow may fail in any way but must not matter)
            shadow.statistics.shadow_failed(str(error))
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
