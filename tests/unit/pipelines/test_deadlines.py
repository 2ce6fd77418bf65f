"""Code that takes longer than it may is stopped from inside its own process."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from interlock.core.errors import TimedOut
from interlock.pipelines.deadlines import deadline

HANG_S = 60.0


def spin() -> None:
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        try:
            sum(range(100))
        except Exception:  # noqa: BLE001 (what swallows errors does not swallow the end)
            continue


def in_thread(timeout_s: float | None, work: object) -> BaseException | None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            with deadline(timeout_s, name="slow"):
                work()  # type: ignore[operator]
        except TimedOut as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(HANG_S)
    return caught[0] if caught else None


def test_waiting_is_interrupted_in_the_main_thread() -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut, match="step 'slow' took longer than 50.0 ms"), deadline(0.05, name="slow"):
        time.sleep(HANG_S)
    assert time.monotonic() - began < HANG_S / 2
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_code_that_computes_is_stopped_in_any_thread() -> None:
    assert isinstance(in_thread(0.05, spin), TimedOut)
    with pytest.raises(TimedOut), deadline(0.05, name="slow"):
        spin()


def test_what_ends_in_time_is_left_alone() -> None:
    with deadline(HANG_S, name="quick"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        with pytest.raises(TimedOut), deadline(0.05, name="inner"):  # the alarm is taken: by a thread
            spin()
    with deadline(None, name="any"):
        pass
    assert in_thread(HANG_S, lambda: None) is None
    assert in_thread(None, lambda: None) is None
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
