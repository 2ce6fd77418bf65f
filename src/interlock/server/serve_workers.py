"""Serve from one process, or from workers under a supervisor."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from interlock.core.refs import ref_of
from interlock.ports.journal import Journal
from interlock.server.limits import Limits
from interlock.server.serve_app import ServeApp
from interlock.server.supervisor import Supervisor, Worker
from interlock.server.wire.serving import WireServer, serving_wire, settle
from interlock.server.worker_watch import WorkerWatch
from interlock.serving.at_work import BEHIND, DESK
from interlock.serving.engine import EndpointEngine
from interlock.serving.routing import Deployed

LINGER_S = 0.25
SWITCH_S = 0.001
WORKER_DIED = "serving.worker_died"


@dataclass(frozen=True, kw_only=True)
class ServeProcess:
    """How a data plane is served.

    Args:
        workers: How many processes answer, under a supervisor; 0 for this process alone. Where threads run side by
            side (a free-threaded interpreter), one process with so many event loops, which share the models.
        timeout_s: How long an answer may take; None for the usual limit, 0 for as long as it takes.
        memory_bytes: How much memory loaded models may take together; None for any.
        max_memory_bytes: How much memory a worker may have before another takes its place; None for any.
        grpc_port: Port to answer gRPC on, if that is wanted; 0 for any free one.
    """

    workers: int = 0
    timeout_s: float | None = None
    memory_bytes: int | None = None
    max_memory_bytes: int | None = None
    grpc_port: int | None = None

    def limits(self, usual: Limits) -> Limits:
        """Return the limits of requests."""
        if self.timeout_s is None:
            return usual
        return msgspec.structs.replace(usual, timeout_s=self.timeout_s or None)


def worker_of(process: ServeProcess, listeners: Sequence[socket.socket], on_ready: Callable[[], None]) -> Worker | None:
    """Return the worker that this process is to be; None in a supervisor, once it was told to stop.

    Raises:
        SystemExit: A worker could not start, and has said why.
    """
    if process.workers == 0:
        return Worker(0, listeners[0])
    # what is here by now is shared by all workers as long as none writes to it
    settle()
    apart, together = (listeners[:1], listeners[1:]) if threads_run_together() else (listeners, ())
    worker = Supervisor(apart, on_ready=on_ready, say=_say).run()
    if worker is None:
        return None
    DESK.board = worker.board
    return replace(worker, others=tuple(together))


def threads_run_together() -> bool:
    """Say whether threads of this interpreter run side by side: one process then does what several do elsewhere."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def _say(what: str) -> None:
    sys.stderr.write(what + "\n")
    sys.stderr.flush()


def tell_deaths(worker: Worker, journal: Journal, engines: Mapping[str, EndpointEngine]) -> None:
    """Write down how workers ended that were there before, each under the endpoint that was being asked.

    Args:
        worker: What knows of them.
        journal: Where to write.
        engines: The endpoints of this process; all of them are suspected where nothing tells which it was.
    """
    for death in worker.deaths:
        told = [running.partition(BEHIND)[::2] for running in death.running]
        told = told or [(one.model.ref, name) for name, engine in engines.items() for one in deployed_of(engine)]
        payload = {"worker": death.worker, "pid": death.pid, "how": death.how, "uptime_s": round(death.uptime_s, 1)}
        for endpoint in sorted({endpoint for _, endpoint in told}):
            models = sorted({model for model, name in told if name == endpoint})
            journal.append(WORKER_DIED, ref_of("endpoint", endpoint), payload={**payload, "models": models})


def deployed_of(engine: EndpointEngine) -> Sequence[Deployed]:
    """Return what answers behind an endpoint, nothing where it is not loaded."""
    return engine.routing.deployed if engine.is_ready else ()


@contextlib.contextmanager
def _beside(app: ServeApp, listeners: Sequence[socket.socket]) -> Iterator[None]:
    """Serve from further threads for the length of a block, each with an event loop of its own over the same models."""
    with contextlib.ExitStack() as exits:
        for listener in listeners:
            sibling = exits.enter_context(contextlib.closing(app.sibling()))
            exits.enter_context(serving_wire(sibling, listener))
        yield


@contextlib.contextmanager
def ended_hard() -> Iterator[Callable[[], None]]:
    """Give what has this process end, at the end of the block, without waiting for threads that are stuck."""
    wanted: list[bool] = []
    yield lambda: wanted.append(True)
    if wanted:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def run_worker(
    worker: Worker,
    app: ServeApp,
    process: ServeProcess,
    *,
    on_ready: Callable[[], None],
    on_stuck: Callable[[], None] | None = None,
) -> None:
    """Serve until told to stop.

    Args:
        worker: What this process is.
        app: What answers.
        process: How it is served.
        on_ready: Called once requests are answered, where no supervisor is told instead.
        on_stuck: Called at the end where threads have to be left behind.
    """
    supervised = worker.says >= 0
    server = WireServer(
        app,
        on_ready=worker.is_ready if supervised else on_ready,
        on_look=lambda: watch.look() if supervised else None,
        linger_s=LINGER_S,
    )
    watch = WorkerWatch(worker, stuck=app.stuck, stop=server.stop, max_bytes=process.max_memory_bytes)
    # what moves the log on in the background lets go more often, so that answers do not wait for it
    sys.setswitchinterval(SWITCH_S)
    with _beside(app, worker.others):
        server.run(worker.listener)
    if on_stuck is not None and app.stuck(0.0):
        on_stuck()
