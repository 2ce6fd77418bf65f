"""What observing a request costs: CPU time, of the thread that writes the access log too.

Run: .venv/bin/python benchmarks/observing.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import SystemClock
from interlock.server.access_log import AccessLog
from interlock.server.api_keys import KeyGate
from interlock.server.guard import Guard
from interlock.server.observing import Observer
from interlock.serving.api_keys import ApiKeys
from interlock.serving.engine import Answer
from interlock.serving.request_statistics import RequestBook
from interlock.serving.statistics import StatisticsBook

TIMES = 100_000


def cpu_us(work: Callable[[], object], after: Callable[[], object] = int) -> float:
    """Return the least CPU time of a call. Unit: microseconds."""
    best = float("inf")
    for _ in range(7):
        began = time.process_time_ns()
        for _ in range(TIMES):
            work()
        after()
        best = min(best, (time.process_time_ns() - began) / TIMES)
    return best / 1_000


def requests(observer: Observer) -> Callable[[], None]:
    """Return what observes one request."""
    answer = Answer(["01M7YMEHB6CSZAVY38N8AC4E9J"], ("model:delay@3",), "3", 1, {})

    def observe() -> None:
        seen = observer.begin(None)
        seen.answer = answer
        observer.done(
            seen,
            method="POST",
            target=b"/v2/models/delay/infer",
            route="/v2/models/{name}/infer",
            endpoint="delay",
            status=200,
            size=300,
            client="127.0.0.1",
        )

    return observe


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = StatisticsBook(folder).of("delay", "model:delay@3", "live")
        now = time.time_ns() // 1_000
        stores = memory_stores(clock=SystemClock())
        keys = ApiKeys(stores.records, stores.journal)
        without = Guard(keys=KeyGate(keys, stores.journal))
        scope = {"headers": [(b"host", b"localhost"), (b"content-type", b"application/json")]}
        rows = {
            "statistics of the version": cpu_us(lambda: done.answered(1, 45_000, now)),
            "request counted": cpu_us(requests(Observer(RequestBook(folder)))),
            "admitted where no key exists": cpu_us(lambda: without.admit(scope, "data", "delay")),
        }
        rows["together, as it is by default"] = sum(rows.values())
        log = AccessLog(str(folder / "access.log"), most_waiting=10**7)
        with_log = cpu_us(requests(Observer(RequestBook(folder), access_log=log)), log.flush)
        log.close()
        rows["access log, writing included"] = with_log - rows["request counted"]
        _, secret = keys.create("dash", endpoints=["delay"], rate_per_s=1e6, burst=10**6)
        guard = Guard(keys=KeyGate(keys, stores.journal, folder=folder))
        scope["headers"].append((b"x-api-key", secret.encode()))
        rows["admitted by a key with a rate"] = cpu_us(lambda: guard.admit(scope, "data", "delay"))
        for title, took_us in rows.items():
            print(f"{title:32} {took_us:6.2f} us")


if __name__ == "__main__":
    main()
