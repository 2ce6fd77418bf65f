"""What a step may ask for, in a recorded run and outside one."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest

import interlock
from interlock.core.errors import InvalidInput
from interlock.pipelines.context import Progress, Scope, ctx, current_scope
from interlock.pipelines.step_logs import StepLog


def test_outside_a_step_it_works_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert interlock.ctx is ctx
    assert pickle.loads(pickle.dumps(ctx)) is ctx
    ctx.log("a", 1)
    ctx.progress(1, 2)
    assert capsys.readouterr().out == "a 1\n"
    assert ctx.checkpoint.is_dir() and ctx.checkpoint == ctx.checkpoint
    assert ctx.attempt == 1
    assert "context" in repr(ctx)


def test_progress_is_told_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "live" / "run.progress"
    scope = Scope(StepLog(1024), checkpoint=str(tmp_path / "c"), progress=str(file))
    token = current_scope.set(scope)
    try:
        ctx.progress(1, 100)
        ctx.progress(2, 100)
        assert msgspec.json.decode(file.read_bytes(), type=Progress) == Progress(1, 100)
        ctx.progress(100, 100, note="done")
        assert msgspec.json.decode(file.read_bytes(), type=Progress) == Progress(100, 100, "done")
        for done, total in ((-1, None), (3, 2)):
            with pytest.raises(InvalidInput, match="progress"):
                ctx.progress(done, total)
    finally:
        current_scope.reset(token)


def test_a_progress_file_that_cannot_be_written_does_not_end_the_step(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    scope = Scope(StepLog(1024), checkpoint=str(tmp_path / "c"), progress=str(tmp_path / "taken" / "run.progress"))
    scope.tell(Progress(1))
    Scope(StepLog(1024), checkpoint=str(tmp_path / "c")).tell(Progress(1))
    assert (tmp_path / "taken").read_text() == "a file"
