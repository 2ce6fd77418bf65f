"""Keep an engine for each endpoint, and follow their routing as it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InterlockError, NotFound, did_you_mean
from interlock.ports.deployment_store import DeploymentStore
from interlock.ports.journal import Journal
from interlock.ports.prediction_log import PredictionLog
from interlock.server.memory_budget import MemoryBudget
from interlock.serving.engine import EndpointEngine
from interlock.serving.loading import LoadedModel
from interlock.serving.statistics import StatisticsBook

_logger = logging.getLogger(__name__)
_PAGE = 100


class EndpointHost:
    """The endpoints that this process answers for.

    Thread-safe. While started, a thread looks at the journal ten times a second and reloads the endpoints whose
    routing changed. A routing that cannot be loaded is tried once per revision, leaves the old one answering, and
    is noted as `endpoint.reload_failed`.

    Args:
        deployments: Where routings are kept.
        journal: Tells that something changed.
        load: Loads the version of a Ref.
        log: Where answers are logged; `append` should be quick, as small requests call it on the event loop.
        clock: Tells when answers were given.
        endpoints: Names to answer for; all there are, and come to be, by default.
        poll_s: How often to look.
        wait: Whether `start` returns only when everything is loaded; else `is_ready` tells.
        statistics: Where it is counted what each version did.
        memory_bytes: How much memory loaded models may take; what is asked for least rests. None for any.

    Example:
        with EndpointHost(stores.deployments, stores.journal, load=load, log=stores.predictions) as host:
            serve(ServeApp(host), listen("127.0.0.1", 8080))
    """

    def __init__(
        self,
        deployments: DeploymentStore,
        journal: Journal,
        *,
        load: Callable[[str], LoadedModel],
        log: PredictionLog,
        clock: Clock | None = None,
        endpoints: Sequence[str] | None = None,
        poll_s: float = 0.1,
        wait: bool = True,
        statistics: StatisticsBook | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self.memory = None if memory_bytes is None else MemoryBudget(memory_bytes, lambda: self._engines)
        self.statistics = statistics or StatisticsBook()
        self._wait = wait
        self.log = log
        self.clock = clock or SystemClock()
        self._deployments = deployments
        self._journal = journal
        self._load = load
        self._chosen = None if endpoints is None else tuple(endpoints)
        self._poll_s = poll_s
        self._engines: dict[str, EndpointEngine] = {}
        self._tried: dict[str, int] = {}
        self._seen = -1
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def engines(self) -> Mapping[str, EndpointEngine]:
        """The engines by name."""
        return self._engines

    @property
    def is_ready(self) -> bool:
        """Whether every endpoint can answer, but for those that rest or were unloaded on purpose."""
        return self._seen >= 0 and all(
            engine.is_ready or engine.is_unloaded or engine.is_resting for engine in self._engines.values()
        )

    def engine(self, name: str) -> EndpointEngine:
        """Return the engine of an endpoint.

        Raises:
            NotFound: This process does not answer for it; the nearest names are given.
        """
        engine = self._engines.get(name)
        if engine is None:
            raise NotFound(f"there is no endpoint '{name[:100]}'", why=did_you_mean(name[:100], self._engines))
        return engine

    def only(self) -> EndpointEngine:
        """Return the one endpoint of this process.

        Raises:
            NotFound: There are none or several.
        """
        if len(self._engines) != 1:
            raise NotFound(
                "the request does not say which endpoint it is for",
                why=did_you_mean("", self._engines),
                fix="POST /endpoints/NAME/invocations",
            )
        return next(iter(self._engines.values()))

    def refresh(self) -> list[str]:
        """Follow what changed since the last time; return the endpoints that were reloaded."""
        with self._lock:
            seen = self._journal.last_seq()
            if seen == self._seen:
                return []
            reloaded = [name for name, revision in self._revisions().items() if self._follow(name, revision)]
            self._seen = seen
            return reloaded

    def reload(self, name: str) -> bool:
        """Follow the routing of one endpoint now, also one that failed before or is new; return whether it changed.

        Raises:
            NotFound: There is no such endpoint.
            InterlockError: Its routing cannot be loaded.
        """
        if name not in self._engines and self._chosen is None and self._deployments.find(name) is not None:
            with self._lock:
                self._add(name)
        engine = self.engine(name)
        if self.memory is None or engine.is_ready:
            return engine.reload()
        self.memory.wake(engine)
        return True

    def unload(self, name: str) -> None:
        """Let go of an endpoint's models, until it is reloaded or routed anew.

        Raises:
            NotFound: This process does not answer for it.
        """
        self.engine(name).unload()

    def start(self) -> None:
        """Load what there is, then keep following it in a thread."""
        if self._wait:
            self.refresh()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._watch, name="interlock-endpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following, and let shadows finish."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for engine in self._engines.values():
            engine.close()

    def __enter__(self) -> EndpointHost:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _revisions(self) -> dict[str, int]:
        """Return the endpoints to answer for, with their revisions."""
        if self._chosen is not None:
            return {name: self._deployments.get(name).revision for name in self._chosen}
        found: dict[str, int] = {}
        after = ""
        while page := self._deployments.endpoints(after=after, limit=_PAGE):
            found |= {endpoint.name: endpoint.revision for endpoint in page}
            after = page[-1].name
        return found

    def _follow(self, name: str, revision: int) -> bool:
        if self._tried.get(name) == revision:
            return False
        self._tried[name] = revision
        engine = self._add(name)
        try:
            return engine.reload() if self.memory is None else self.memory.load_early(engine)
        except InterlockError as error:
            _logger.warning("endpoint %s stays on its old routing: %s", name, error)
            self._journal.append(
                "endpoint.reload_failed",
                f"endpoint:{name}",
                payload={"revision": revision, "problem": error.what, "why": error.why},
            )
            return False

    def _add(self, name: str) -> EndpointEngine:
        """Return the engine of an endpoint, made where there is none; only ever under the lock."""
        engine = self._engines.get(name)
        if engine is None:
            engine = EndpointEngine(name, self._deployments, self._load, self.log, self.clock, self.statistics)
            self._engines = {**self._engines, name: engine}
        return engine

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 (the edge of its thread; the old routing goes on)
                _logger.warning("cannot follow the endpoints: %s", error)
            self._stopping.wait(self._poll_s)
