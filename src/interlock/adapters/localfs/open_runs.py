"""Remember which runs the processes of this folder have open, and notice those whose process is gone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from interlock.adapters.localfs.disk import try_lock, writing

MOST_BYTES = 2 << 20
_TOUCH_EVERY_S = 1.0
_CUT = b"\n[... cut ...]\n"


class OpenRuns:
    """A file for each open run, locked while its process lives, touched while it logs, holding what it printed lately.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, int] = {}
        self._touched: dict[str, float] = {}

    def after_fork(self) -> None:
        """Let go, in a child, of what the parent holds."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def any_left(self) -> bool:
        """Say whether there is a file of any run."""
        return self._folder.is_dir() and next(self._folder.iterdir(), None) is not None

    def add(self, run_id: str) -> None:
        """Note that a run is open in this process; a run that another process has open is left to that one."""
        if run_id in self._files:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / run_id
        with writing(path):
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if try_lock(file) and path.exists():
            self._files[run_id] = file
            os.utime(file)
        else:
            os.close(file)

    def touch(self, run_id: str) -> None:
        """Note that a run is alive."""
        file = self._files.get(run_id)
        now = time.monotonic()
        if file is not None and now - self._touched.get(run_id, 0.0) >= _TOUCH_EVERY_S:
            self._touched[run_id] = now
            os.utime(file)

    def write(self, run_id: str, text: str) -> None:
        """Add to what a run printed; of more than two mebibytes the older half goes."""
        file = self._files.get(run_id)
        if file is None:
            return
        size = os.fstat(file).st_size
        if size > MOST_BYTES:
            kept = _CUT + os.pread(file, MOST_BYTES // 2, size - MOST_BYTES // 2)
            os.ftruncate(file, 0)
            size = os.pwrite(file, kept, 0)
        os.pwrite(file, text.encode("utf-8", "replace"), size)

    def remove(self, run_id: str) -> None:
        """Note that a run of this process has ended."""
        file = self._files.pop(run_id, None)
        self._touched.pop(run_id, None)
        if file is not None:
            (self._folder / run_id).unlink(missing_ok=True)
            os.close(file)

    def left_by_the_dead(self) -> Iterator[tuple[str, str, datetime]]:
        """Yield each run whose process is gone, with what it printed and when it was last alive.

        It is forgotten when the next one is asked for, so whoever cannot deal with one now gets it again later.
        """
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            try:
                file = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                if try_lock(file):
                    facts = os.fstat(file)
                    printed = os.pread(file, facts.st_size, 0).decode("utf-8", "replace")
                    yield path.name, printed, datetime.fromtimestamp(facts.st_mtime, UTC)
                    path.unlink(missing_ok=True)
            finally:
                os.close(file)

    def close(self) -> None:
        """Let go of every run, without saying that it ended."""
        self.after_fork()
