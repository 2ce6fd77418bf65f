"""Run calls as tasks of a Dask cluster."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from interlock.adapters.local.hosting import answer_in_worker, stop_in_worker
from interlock.core.errors import InvalidInput, missing_extra
from interlock.core.ids import new_id
from interlock.ports.call_rules import closed, died, pack_call, read_answer
from interlock.ports.executor import Call, Executor, Outcome


class DaskExecutor(Executor):
    """Runs each call as one task, in a process beside the Dask worker, which outlives what the call does.

    Interlock has to be installed on the workers, and so has the code of the steps that is not a notebook's or a
    script's. A call that needs GPUs goes to workers that were started with the resource `GPU`; how many calls run
    beside each other is the number of their threads.

    Args:
        address: Of the scheduler, such as `tcp://10.0.0.1:8786`; a new cluster on this machine, which ends with the
            executor, if not given.
        workers: How many workers the new cluster has; as many as there are processors if not given.
        processes: Whether its workers are processes, or threads of this one.

    Raises:
        MissingExtra: Dask is not installed.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None, processes: bool = True) -> None:
        try:
            import distributed
        except ImportError as error:
            raise missing_extra("distributed", extra="dask", purpose="running steps on Dask") from error
        library: Any = distributed
        self._lock = threading.Lock()
        self._running: dict[str, Outcome] = {}
        self._closed = False
        self._cluster: Any = None
        if address is None:
            self._cluster = library.LocalCluster(
                n_workers=workers if processes else 1,
                threads_per_worker=1 if processes else workers,
                processes=processes,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=50,
            )
        self._client: Any = library.Client(address or self._cluster, set_as_default=False)

    @property
    def slots(self) -> int:
        return sum(self._client.nthreads().values())

    def start(self, call: Call) -> Outcome:
        if self._closed:
            raise closed()
        self._check(call)
        payload, call_id, outcome = pack_call(call), new_id(), Outcome()
        with self._lock:
            self._running[call_id] = outcome
        wanted = {"GPU": call.resources.gpus} if call.resources.gpus else None
        task = self._client.submit(
            answer_in_worker,
            payload,
            call_id,
            call.label,
            call.resources,
            key=f"{call.label}-{call_id}",
            pure=False,
            resources=wanted,
            priority=call.priority,
        )
        outcome.set_running_or_notify_cancel()
        outcome.stop = partial(self._stop, call_id, task, outcome)
        task.add_done_callback(partial(self._settle, call, call_id, outcome))
        return outcome

    def close(self) -> None:
        with self._lock:
            first, self._closed = not self._closed, True
            waiting = list(self._running.values())
        for outcome in waiting:
            with contextlib.suppress(CancelledError):
                outcome.exception()
        if first:
            self._client.close()
            if self._cluster is not None:
                self._cluster.close()

    def _stop(self, call_id: str, task: Any, outcome: Outcome) -> bool:
        if outcome.done():
            return False
        outcome.answer(error=CancelledError())
        task.cancel()
        self._client.run(stop_in_worker, call_id, on_error="ignore")
        return True

    def _settle(self, call: Call, call_id: str, outcome: Outcome, task: Any) -> None:
        if task.status == "finished":
            succeeded, value = read_answer(task.result())
            outcome.answer(value if succeeded else None, None if succeeded else value)
        elif task.status == "cancelled":
            outcome.answer(error=CancelledError())
        else:
            outcome.answer(error=died(call.label, f"its Dask worker is gone: {task.exception()}"))
        with self._lock:
            self._running.pop(call_id, None)

    def _check(self, call: Call) -> None:
        threads = self._client.nthreads().values()
        if call.resources.cpus > max(threads, default=0) and call.resources.cpus > 1:
            raise InvalidInput(
                f"{call.label} needs cpus={call.resources.cpus:g}, and no Dask worker has as many threads",
                why="it would wait for ever",
                fix="start workers with --nthreads, or ask for less",
            )
