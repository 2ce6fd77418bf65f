"""Run calls in workers of one's own inside a worker of another engine, where limits hold and calls can be stopped.

The engine decides where and when a call runs; here it gets its process, which can be ended without ending the engine's.
"""

from __future__ import annotations

import functools
import threading
from concurrent.futures import CancelledError

import msgspec

from interlock.adapters.local.environments import EnvironmentFolder
from interlock.adapters.local.pool import ProcessExecutor
from interlock.core.errors import InterlockError, StepFailed
from interlock.ports.call_rules import answer, write_error
from interlock.ports.executor import Call, Outcome, Resources

_MORE_THAN_ENOUGH = 1024
_REMEMBERED = 1000

_running: dict[str, Outcome] = {}
_stopped: dict[str, None] = {}
_lock = threading.Lock()


def answer_in_worker(payload: bytes, call_id: str, label: str, resources: Resources) -> bytes:
    """Have a worker of this process make a call, within its limits; return the answer as `answer` writes it."""
    # how many run at once is the engine's to say, and its devices are those that this process sees
    limits = msgspec.structs.replace(resources, cpus=1.0, gpus=0.0)
    outcome = _workers().start(Call(answer, (payload,), name=label, resources=limits))
    with _lock:
        _running[call_id] = outcome
        stopped = call_id in _stopped
    if stopped:
        outcome.cancel()
    try:
        return bytes(outcome.result())
    except CancelledError:
        return write_error(StepFailed(f"{label} was cancelled"))
    except InterlockError as error:
        return write_error(error)
    finally:
        with _lock:
            del _running[call_id]


def stop_in_worker(call_id: str) -> bool:
    """Stop a call that `answer_in_worker` runs in this process; return whether it was there."""
    with _lock:
        outcome = _running.get(call_id)
        _stopped[call_id] = None
        while len(_stopped) > _REMEMBERED:
            del _stopped[next(iter(_stopped))]
    return outcome is not None and outcome.cancel()


@functools.cache
def _workers() -> ProcessExecutor:
    return ProcessExecutor(_MORE_THAN_ENOUGH, environments=EnvironmentFolder())
