"""Keep forks away from moments in which a thread holds what a child could never get back."""

from __future__ import annotations

import os
import threading
import weakref

PATIENCE_S = 1.0


class ForkGate:
    """A block that no fork of this process falls into, as far as it is short.

    A child has only the thread that forked: what another thread holds at that moment (a lock, an import that is under
    way) nobody releases in the child. So a fork waits, a second at most, until the block is left.

    Example:
        >>> gate = ForkGate()
        >>> with gate:
        ...     pass
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held_by_fork = False
        _gates.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def _before(self) -> None:
        self._held_by_fork = self._lock.acquire(timeout=PATIENCE_S)

    def _after(self) -> None:
        if self._held_by_fork:
            self._held_by_fork = False
            self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        self._held_by_fork = False


_gates: weakref.WeakSet[ForkGate] = weakref.WeakSet()


def _before() -> None:
    for gate in list(_gates):
        gate._before()


def _after() -> None:
    for gate in list(_gates):
        gate._after()


def _in_child() -> None:
    for gate in list(_gates):
        gate._in_child()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_in_child)
