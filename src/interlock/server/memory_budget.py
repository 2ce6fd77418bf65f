"""Keep the models of many endpoints within a budget of memory: those not asked for longest rest until they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import count

from interlock.core.errors import StorageFull
from interlock.server.worker_watch import resident_bytes
from interlock.serving.engine import EndpointEngine


class MemoryBudget:
    """What is loaded, how large it is, and who makes room for whom.

    Thread-safe. Models are loaded one after the other, never on the event loop. A request that has begun keeps the
    models that it began with, also where they are let go meanwhile.

    How large an endpoint is: what the process grew by when it was loaded, and no less than its packages on disk.

    Args:
        limit_bytes: The budget.
        engines: Gives the endpoints by name.
        resident: Tells how much memory the process has.
    """

    def __init__(
        self,
        limit_bytes: int,
        engines: Callable[[], Mapping[str, EndpointEngine]],
        *,
        resident: Callable[[], int] = resident_bytes,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._engines = engines
        self._resident = resident
        self._loading = threading.Lock()
        self._ticks = count(1)
        self._used: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    @property
    def used_bytes(self) -> int:
        """How much the loaded models take."""
        loaded = self._engines()
        return sum(size for name, size in self._sizes.items() if name in loaded and loaded[name].is_ready)

    def touch(self, name: str) -> None:
        """Note that an endpoint is asked."""
        self._used[name] = next(self._ticks)

    def load_early(self, engine: EndpointEngine) -> bool:
        """Load an endpoint that nobody has asked for yet, if there is room; return whether its routing changed.

        Raises:
            InterlockError: It cannot be loaded.
        """
        with self._loading:
            if engine.is_ready:
                return self._load(engine)
            if self.used_bytes + self._sizes.get(engine.name, 1) > self._limit_bytes:
                engine.rest()
                return False
            changed = self._load(engine)
            if self.used_bytes > self._limit_bytes:
                # whoever came first stays: nobody has asked for either
                engine.rest()
            return changed

    def wake(self, engine: EndpointEngine) -> None:
        """Load an endpoint that is asked for, and let others rest where there is no room; of several calls one loads.

        Raises:
            StorageFull: Its models alone exceed the budget.
            InterlockError: They cannot be loaded.
        """
        with self._loading:
            self.touch(engine.name)
            if engine.is_ready:
                return
            self._make_room(self._sizes.get(engine.name, 0), but=engine)
            self._load(engine)
            size = self._sizes[engine.name]
            if size > self._limit_bytes:
                engine.rest()
                raise StorageFull(
                    f"endpoint '{engine.name}' does not fit the memory of this server",
                    why=f"its models take {size / 1e6:.0f} MB; the budget is {self._limit_bytes / 1e6:.0f} MB",
                    fix=f"interlock serve --memory {2 * size // 1_000_000}MB",
                )
            self._make_room(0, but=engine)

    def _load(self, engine: EndpointEngine) -> bool:
        was_ready = engine.is_ready
        before = self._resident()
        changed = engine.reload()
        if changed or engine.name not in self._sizes:
            grown = 0 if was_ready else self._resident() - before
            self._sizes[engine.name] = max(grown, engine.package_bytes, 1)
        return changed

    def _make_room(self, wanted: int, *, but: EndpointEngine) -> None:
        """Let endpoints rest, those not asked for longest first, until so much fits."""
        loaded = [one for one in self._engines().values() if one.is_ready and one is not but]
        for one in sorted(loaded, key=lambda one: self._used.get(one.name, 0)):
            if self.used_bytes + wanted <= self._limit_bytes:
                return
            one.rest()
