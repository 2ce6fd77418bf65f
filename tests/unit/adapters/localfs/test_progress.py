"""Who waits hears when all has arrived, when nothing moves, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from interlock.adapters.localfs import progress as module
from interlock.adapters.localfs.progress import Progress


def beside(*steps: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=lambda: [step() for step in steps])
    thread.start()
    return thread


def test_it_waits_until_all_has_arrived_and_a_pass_is_over() -> None:
    progress = Progress()
    hurried = threading.Event()
    thread = beside(
        lambda: hurried.wait(20), progress.move, lambda: progress.deliver(1), progress.pass_over,
        lambda: progress.deliver(1), progress.pass_over,
    )  # fmt: skip
    assert progress.wait(2, patience_s=20, hurry=hurried.set) == ""
    thread.join()


def test_it_waits_as_long_as_something_moves_and_no_longer() -> None:
    progress = Progress()
    assert progress.wait(1, patience_s=0.01, hurry=lambda: None) == "the store has not answered for 0.01 s"
    moves = iter(range(5))

    def move() -> None:
        if next(moves, None) is not None:
            threading.Timer(0.02, progress.move).start()

    assert "for 0.5 s" in progress.wait(1, patience_s=0.5, hurry=move)
    assert next(moves, None) is None, "every movement began a new wait"


def test_who_does_not_wait_learns_nothing() -> None:
    progress = Progress()
    assert progress.wait(1, patience_s=0, hurry=lambda: None) == "the store has not answered for 0 s"
    assert not progress.failed_lately()
    assert progress.wait(1, patience_s=0.001, hurry=lambda: None)
    assert progress.failed_lately()


def test_a_failure_ends_the_wait_and_is_known_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress()
    hurried = threading.Event()
    thread = beside(lambda: hurried.wait(20), lambda: progress.fail("the disk is full"))
    assert progress.wait(1, patience_s=20, hurry=hurried.set) == "the disk is full"
    thread.join()
    assert progress.failed_lately()
    assert not progress.fail("still full"), "no news"
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    assert not progress.failed_lately()
    progress.move()
    assert progress.failure == ""
    assert progress.fail("again")
