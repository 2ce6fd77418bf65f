from __future__ import annotations

import os
import subprocess
import sys

import pytest

from interlock.core import processes
from interlock.core.processes import ENDED, is_running, machine, start_of


def test_a_process_is_told_from_another_with_its_number() -> None:
    mine = start_of(os.getpid())
    assert is_running(os.getpid(), mine)
    assert not is_running(os.getpid(), mine + "1") or mine == ""
    assert not is_running(999_999_999, "1") and start_of(999_999_999) == ""
    # one that belongs to somebody else cannot be asked, but seen
    assert is_running(1, start_of(1))


def test_one_that_ended_and_was_not_waited_for_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        start = start_of(child.pid)
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert start_of(child.pid) in (ENDED, "")
        assert not is_running(child.pid, start) or sys.platform != "linux"


def test_who_may_not_be_signalled_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, sign: int) -> None:
        raise PermissionError

    monkeypatch.setattr(processes.os, "kill", refuse)
    assert is_running(os.getpid(), start_of(os.getpid()))


def test_a_machine_has_a_name_without_slashes() -> None:
    assert machine() == machine() and machine() and "/" not in machine()
