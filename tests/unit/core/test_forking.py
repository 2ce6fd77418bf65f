"""A fork waits until the block is left, but not for ever."""

from __future__ import annotations

from tests.forks import play

WAITS = """
import os, threading, time
from interlock.core.forking import ForkGate

gate = ForkGate()
inside, left = threading.Event(), threading.Event()

def work():
    with gate:
        inside.set()
        time.sleep(0.2)
        left.set()

threading.Thread(target=work, daemon=True).start()
inside.wait()
child = os.fork()
if child == 0:
    with gate:
        pass
    os._exit(0 if left.is_set() else 1)
_, status = os.waitpid(child, 0)
with gate:
    print(os.waitstatus_to_exitcode(status))
"""
NOT_FOR_EVER = """
import os, threading
from interlock.core import forking

forking.PATIENCE_S = 0.05
gate = forking.ForkGate()
inside, go_on = threading.Event(), threading.Event()

def work():
    with gate:
        inside.set()
        go_on.wait()

thread = threading.Thread(target=work, daemon=True)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    with gate:
        os._exit(0)
_, status = os.waitpid(child, 0)
go_on.set()
thread.join()
with gate:
    print(os.waitstatus_to_exitcode(status))
"""


def test_a_fork_waits_for_the_block() -> None:
    assert play(WAITS) == "0\n"


def test_a_fork_does_not_wait_for_ever_and_both_sides_go_on() -> None:
    assert play(NOT_FOR_EVER) == "0\n"
