"""Give the code of a step what it may ask for while it runs: a log, progress, and a folder that a retry finds again."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sys
import tempfile
import time
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.ids import new_id
from interlock.pipelines.step_logs import StepLog

_SOONEST_S = 0.2


class Progress(msgspec.Struct, frozen=True):
    """How far a step has come.

    Args:
        done: How much is done.
        total: How much there is to do; None if nobody knows.
        note: A few words for people.
    """

    done: float
    total: float | None = None
    note: str = ""


class Scope:
    """What one step run has: its log, its progress file and its checkpoint folder (`folder`).

    Args:
        log: What is printed goes there.
        checkpoint: The folder of the step's key, made when it is asked for; if empty, one that ends with the step run.
        progress: The file that says how far it has come; empty for none.
    """

    def __init__(self, log: StepLog, *, checkpoint: str = "", progress: str = "") -> None:
        self.log = log
        self.attempt = 1
        self._lasts = bool(checkpoint)
        self.folder = checkpoint or f"{tempfile.gettempdir()}/interlock-checkpoint-{new_id()}"
        self._progress = progress
        self._told_at = float("-inf")

    def checkpoint(self) -> Path:
        """Return the folder, which is there from now on."""
        folder = Path(self.folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def tell(self, progress: Progress) -> None:
        """Write down how far it has come, a few times a second at most."""
        now = time.monotonic()
        if not self._progress or (now - self._told_at < _SOONEST_S and progress.done != progress.total):
            return
        self._told_at = now
        with contextlib.suppress(OSError):  # a full disk must not end the step
            file = Path(self._progress)
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(progress))
            fresh.replace(file)

    def close(self) -> None:
        """Delete a checkpoint folder that no later run would find."""
        if not self._lasts:
            self.succeeded()

    def succeeded(self) -> None:
        """Delete the checkpoint folder, which nobody needs any more."""
        if Path(self.folder).exists():
            shutil.rmtree(self.folder, ignore_errors=True)


current_scope: ContextVar[Scope | None] = ContextVar("interlock_step_scope", default=None)
"""The step run that the present code belongs to."""


@lru_cache(maxsize=1)
def process_folder() -> Path:
    """Return a folder that lasts as long as the process, and that nobody else can write to."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-steps-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class StepContext:
    """What the code of a step may ask for: `from interlock import ctx`.

    Outside a recorded step it works too, so that the step stays a plain function: lines are printed, progress goes
    nowhere, and the checkpoint folder lasts as long as the process.

    Example:
        >>> from interlock import ctx
        >>> (ctx.checkpoint / "epoch-3.npz").name
        'epoch-3.npz'
    """

    @property
    def checkpoint(self) -> Path:
        """A folder kept under the step's key: a retry and a resumed run find it again; deleted after success."""
        scope = current_scope.get()
        if scope is not None:
            return scope.checkpoint()
        folder = process_folder() / "checkpoint"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        scope = current_scope.get()
        return scope.attempt if scope is not None else 1

    def log(self, *values: Any) -> None:
        """Write a line to the step's log, as `print` does."""
        sys.stdout.write(" ".join(map(str, values)) + "\n")

    def progress(self, done: float, total: float | None = None, *, note: str = "") -> None:
        """Say how far the step has come.

        Raises:
            InvalidInput: It is less than nothing, or more than all.
        """
        if done < 0 or (total is not None and done > total):
            raise InvalidInput(f"progress({done}, {total})", why="expected 0 <= done <= total")
        scope = current_scope.get()
        if scope is not None:
            scope.tell(Progress(done, total, note))

    def __repr__(self) -> str:
        return "<the context of the running step>"

    def __reduce__(self) -> str:
        return "ctx"


ctx = StepContext()
