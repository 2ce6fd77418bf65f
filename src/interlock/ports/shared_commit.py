"""Port: what several calls write, committed at once."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Protocol


class SharedCommit(Protocol):
    """One transaction for the writes of several calls, each of which stands or falls by itself.

    A database that waits for its disk at every commit then waits once for all of them. Thread-safe: a block is one
    thread's, which sees its own writes; others see them once it has ended, and write before or after it. What the
    calls return is true only once the block has ended without an error; with one, nothing of them was written.
    """

    @abstractmethod
    def together(self) -> AbstractContextManager[None]:
        """Open a block whose writes are committed at its end."""

    @abstractmethod
    def apart(self) -> AbstractContextManager[None]:
        """Open, within such a block, the part of one call: an error that leaves it takes along what the call wrote."""
