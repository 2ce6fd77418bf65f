"""Work is done in a thread, or the caller hears that it must do it itself."""

from __future__ import annotations

import threading

import pytest

from interlock.core.background import in_background


def test_work_is_done_beside() -> None:
    seen: list[str] = []
    thread = in_background(lambda: seen.append(threading.current_thread().name), name="beside")
    assert thread is not None
    thread.join()
    assert seen == ["beside"]
    assert thread.daemon


def test_where_no_thread_can_start_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert in_background(lambda: None, name="late") is None
