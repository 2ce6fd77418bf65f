"""Port: where steps run."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from interlock.core.errors import InvalidInput


class Resources(msgspec.Struct, frozen=True):
    """What one call needs while it runs.

    Args:
        cpus: Processors, or a fraction of one.
        gpus: Graphics processors, or a fraction of one.
        memory_bytes: The most memory that it may come to hold; a call that grows beyond is stopped.
        timeout_s: How long it may run; a call that takes longer is stopped.
        environment: Path of the requirements or lock file of the libraries that it runs with; the caller's own if None.

    Raises:
        InvalidInput: A number is out of range.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    timeout_s: float | None = None
    environment: str | None = None

    def __post_init__(self) -> None:
        for name, fine in (
            ("cpus", self.cpus >= 0),
            ("gpus", self.gpus >= 0),
            ("memory_bytes", self.memory_bytes is None or self.memory_bytes > 0),
            ("timeout_s", self.timeout_s is None or self.timeout_s > 0),
        ):
            if not fine:
                raise InvalidInput(
                    f"{name}={getattr(self, name)!r} is out of range", why="expected a number above zero"
                )

    @property
    def needs_worker(self) -> bool:
        """Whether only a process of its own can give it that: a limit, another environment, a device."""
        return bool(self.memory_bytes or self.timeout_s or self.environment or self.gpus)


ONE_CPU = Resources()
"""What a call needs that says nothing."""


@dataclass(frozen=True)
class Call:
    """One call to run somewhere.

    Args:
        function: What to call.
        args: Its positional arguments.
        kwargs: Its arguments by name.
        name: What people call it, in errors and where durations are remembered; the function's own name if empty.
        resources: What it needs.
        priority: Calls with a higher one start first where several wait.
        expected_s: How long it is known to take, if it is.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    resources: Resources = ONE_CPU
    priority: int = 0
    expected_s: float | None = None

    @property
    def label(self) -> str:
        """Its name, or else its function's."""
        return self.name or str(getattr(self.function, "__qualname__", repr(self.function)))


class Outcome(Future[Any]):
    """The future of a call; unlike other futures it can also be cancelled while the call runs.

    `cancel` returns whether the call was stopped or will be; `result` then raises `CancelledError`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stop: Callable[[], bool] | None = None
        """Set by the executor: stops the running call, and says whether it could."""
        self.took_s: float | None = None
        """How long the call ran, waiting not counted; None before it is answered, or if it never ran."""
        self._began_s: float | None = None

    def set_running_or_notify_cancel(self) -> bool:
        """Note that the call starts; return False if it was cancelled before."""
        self._began_s = time.monotonic()
        return super().set_running_or_notify_cancel()

    def cancel(self) -> bool:
        """Stop the call, whether it waits or runs; return False if it is done or cannot be stopped."""
        if super().cancel():
            return True
        return not self.done() and self.stop is not None and self.stop()

    def cancelled(self) -> bool:
        """Say whether it was cancelled, before it ran or while it did."""
        return super().cancelled() or (self.done() and isinstance(self._exception, CancelledError))

    def answer(self, value: Any = None, error: BaseException | None = None) -> None:
        """Give it its value or its error, unless it was cancelled or answered before."""
        if self._began_s is not None:
            self.took_s = time.monotonic() - self._began_s
        with contextlib.suppress(InvalidStateError):
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(value)


class StaleWorker(Exception):
    """Raised by a call that finds other code in its process than its caller has.

    An executor that can starts the call again in a new process, once; elsewhere the error reaches the future.
    """


class Executor(Protocol):
    """Run calls somewhere and give back futures.

    Thread-safe. Order of completion is free. An exception of the function reaches the future unchanged. No more runs
    at once than there is room for: the sum of `cpus` stays within `slots`, and GPUs and memory within what is there; a
    call that needs more than there will ever be raises `InvalidInput` when it is started.

    Where calls run in other processes: a worker that dies or outgrows its `memory_bytes` gives `StepFailed` naming the
    call, one that takes longer than `timeout_s` gives `TimedOut`, a cancelled one `CancelledError`; the executor stays
    usable, and only that call is affected. In the caller's own process limits cannot be enforced and are not.

    `close` waits for what runs and is idempotent; `start` after it raises `InvalidInput`.
    """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many calls of one cpu run at once."""

    @abstractmethod
    def start(self, call: Call) -> Outcome:
        """Start one call."""

    @abstractmethod
    def close(self) -> None:
        """Wait for running calls and free the workers."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Outcome:
        """Start a call that needs nothing in particular."""
        return self.start(Call(function, args, kwargs))
