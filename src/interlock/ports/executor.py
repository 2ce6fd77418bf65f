"""Port: where steps run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol


class Executor(Protocol):
    """Run functions somewhere and give back futures.

    Thread-safe. Order of completion is free. An exception of the function reaches the future unchanged; a worker
    that dies gives `StepFailed` naming the function, and the executor stays usable. `close` waits for what
    runs and is idempotent; `submit` after it raises `InvalidInput`.
    """

    @abstractmethod
    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one call."""

    @abstractmethod
    def close(self) -> None:
        """Wait for running calls and free the workers."""
