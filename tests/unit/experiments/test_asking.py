"""A store that takes its time is not waited for."""

from __future__ import annotations

import threading

import pytest

from interlock.core.errors import NotFound, TimedOut
from interlock.experiments.asking import asked


def test_an_answer_in_time() -> None:
    assert asked(lambda: 3, within_s=20) == 3
    assert asked(lambda: None, within_s=20) is None


def test_what_the_store_raises() -> None:
    def refuse() -> int:
        raise NotFound("there is none")

    with pytest.raises(NotFound, match="there is none"):
        asked(refuse, within_s=20)
    with pytest.raises(OSError, match="no route"):
        asked(lambda: (_ for _ in ()).throw(OSError("no route")), within_s=20)


def test_no_answer_in_time() -> None:
    go_on = threading.Event()
    with pytest.raises(TimedOut, match="has not answered"):
        asked(lambda: go_on.wait(20), within_s=0.01)
    go_on.set()
