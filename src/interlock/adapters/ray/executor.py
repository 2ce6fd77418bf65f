"""Run calls as tasks of a Ray cluster."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from interlock.adapters.local.hosting import answer_in_worker
from interlock.core.errors import InvalidInput, missing_extra
from interlock.core.ids import new_id
from interlock.ports.call_rules import answer, closed, died, pack_call, read_answer
from interlock.ports.executor import Call, Executor, Outcome


class RayExecutor(Executor):
    """Runs each call as one task; Ray finds the node, by `cpus`, `gpus` and `memory_bytes`.

    Interlock has to be installed on the nodes, and so has the code of the steps that is not a notebook's or a script's.
    A task is never tried again by Ray itself: whether a step may be is the pipeline's to say.

    Args:
        address: Of the cluster's head, such as `10.0.0.1:6379`; if not given, the one that this process is connected
            to, or else a new one on this machine, which ends with the executor.
        **options: More arguments for `ray.init`.

    Raises:
        MissingExtra: Ray is not installed.
    """

    def __init__(self, address: str | None = None, **options: Any) -> None:
        try:
            import ray
        except ImportError as error:
            raise missing_extra("ray", extra="ray", purpose="running steps on Ray") from error
        self._ray: Any = ray
        self._lock = threading.Lock()
        self._running: dict[Any, Outcome] = {}
        self._closed = False
        self._owned = not ray.is_initialized()
        if self._owned:
            quiet = {"logging_level": "error", "log_to_driver": True}
            local = {} if address else {"include_dashboard": False}
            ray.init(address=address, **{**quiet, **local, **options})
        self._answer = ray.remote(max_retries=0)(answer)
        self._limited = ray.remote(max_retries=0)(answer_in_worker)

    @property
    def slots(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 1))

    def start(self, call: Call) -> Outcome:
        if self._closed:
            raise closed()
        self._check(call)
        payload = pack_call(call)
        needs = call.resources
        wanted: dict[str, Any] = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "name": call.label}
        if needs.memory_bytes:
            wanted["memory"] = needs.memory_bytes
        outcome = Outcome()
        with self._lock:
            if needs.memory_bytes or needs.timeout_s or needs.environment:
                ref = self._limited.options(**wanted).remote(payload, new_id(), call.label, needs)
            else:
                ref = self._answer.options(**wanted).remote(payload)
            self._running[ref] = outcome
        outcome.set_running_or_notify_cancel()
        outcome.stop = partial(self._stop, ref, outcome)
        ref.future().add_done_callback(partial(self._settle, call, ref, outcome))
        return outcome

    def close(self) -> None:
        with self._lock:
            self._closed = True
            waiting = list(self._running.values())
        for outcome in waiting:
            with contextlib.suppress(Exception, CancelledError):
                outcome.exception()
        if self._owned and self._ray.is_initialized():
            self._owned = False
            self._ray.shutdown()

    def _stop(self, ref: Any, outcome: Outcome) -> bool:
        if outcome.done():
            return False
        self._ray.cancel(ref, force=True)
        outcome.answer(error=CancelledError())
        return True

    def _settle(self, call: Call, ref: Any, outcome: Outcome, done: Any) -> None:
        error = done.exception()
        if error is None:
            succeeded, value = read_answer(done.result())
            outcome.answer(value if succeeded else None, None if succeeded else value)
        elif isinstance(error, self._ray.exceptions.TaskCancelledError):
            outcome.answer(error=CancelledError())
        else:
            outcome.answer(error=died(call.label, _first_line(error)))
        with self._lock:
            self._running.pop(ref, None)

    def _check(self, call: Call) -> None:
        there = self._ray.cluster_resources()
        for what, needed, name in (
            ("cpus", call.resources.cpus, "CPU"),
            ("gpus", call.resources.gpus, "GPU"),
            ("memory_bytes", call.resources.memory_bytes or 0, "memory"),
        ):
            if needed > there.get(name, 0):
                raise InvalidInput(
                    f"{call.label} needs {what}={needed:g}, and the cluster has {there.get(name, 0):g}",
                    why="it would wait for ever",
                    fix="add nodes to the cluster, or ask for less",
                )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
