"""A supervised server over memory stores, whose model does what it is told to: run as a program by tests."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from interlock.core.errors import InterlockError, NotFound
from interlock.ports.model_runtime import Predictor
from interlock.server import serve_workers, supervisor, worker_watch
from interlock.server.listening import address, listen_for_each
from interlock.server.serve_app import ServeApp
from interlock.server.serve_workers import WORKER_DIED, ServeProcess, ended_hard, run_worker, tell_deaths, worker_of
from tests.serving_examples import SIGNATURE, Adding, Shelf, fresh_stores, hosted, loaded

_grown: list[bytes] = []


class Misbehaving(Predictor):
    """Does what the city of the first row says."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        city = columns[2][0]
        if city == "crash":
            ctypes.string_at(0)
        elif city == "exit":
            os._exit(3)
        elif city == "hang":
            time.sleep(600)
        elif city == "grow":
            _grown.append(b"x" * 200_000_000)
        return Adding(SIGNATURE, 0.0).predict(columns, rows=rows)


def say(**what: Any) -> None:
    """Print one line."""
    os.write(1, json.dumps(what).encode() + b"\n")


def main(workers: str, timeout_s: str, max_memory_mb: str, is_quick: str, fails: str) -> None:
    """Serve until told to stop."""
    process = ServeProcess(
        workers=int(workers),
        timeout_s=float(timeout_s),
        max_memory_bytes=int(max_memory_mb) * 1_000_000 or None,
    )
    worker_watch.STUCK_AFTER_S = 0.5
    supervisor.HANGS_AFTER_S = 4.0
    if fails == "threads":
        serve_workers.threads_run_together = lambda: True
    listeners = listen_for_each("127.0.0.1", 0, int(workers))
    worker = worker_of(process, listeners, lambda: say(url=address(listeners[0])))
    if worker is None:
        say(ended=True)
        return
    if fails == "fails":
        raise NotFound("there is no endpoint")
    stores = fresh_stores()
    quick = is_quick == "quick"
    with ended_hard() as end_hard, hosted(stores, Shelf(loaded(predictor=Misbehaving(), is_quick=quick))) as host:
        tell_deaths(worker, stores.journal, host.engines)
        for event in stores.journal.events(kinds=[WORKER_DIED]):
            say(event=event.subject, **event.payload)
        app = ServeApp(host, limits=process.limits(ServeApp(host).limits))
        try:
            run_worker(worker, app, process, on_ready=lambda: None, on_stuck=end_hard)
        finally:
            app.close()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InterlockError as error:
        say(error=error.what)
        sys.exit(error.exit_code)
