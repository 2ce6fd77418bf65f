"""Every block of a tutorial runs, in order, in one folder, as its reader would run it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 180
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
SHELL = "import subprocess as _subprocess\n_subprocess.run({block!r}, shell=True, check=True)\n"


def script_of(page: Path) -> str:
    """Return the page's blocks as one script; shell blocks are run where they stand."""
    parts = [code if kind == "python" else SHELL.format(block=code) for kind, code in BLOCK.findall(page.read_text())]
    return "\n".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial-researcher.md", "tutorial-engineer.md"])
def test_a_tutorial_runs(page: str, tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "interlock").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m interlock.cli.main "$@"\n')
    (commands / "interlock").chmod(0o755)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "tutorial.py").write_text(script_of(ROOT / "docs" / page))
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    kept = {key: value for key, value in os.environ.items() if not key.startswith("INTERLOCK_")}
    log = tmp_path / "log.txt"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [sys.executable, "-W", "error", "tutorial.py"],
            cwd=folder,
            env=kept | {"PATH": path},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as reader,
    ):
        timer = threading.Timer(LIMIT_S, os.killpg, (reader.pid, signal.SIGKILL))
        timer.start()
        try:
            code = reader.wait()
        finally:
            timer.cancel()
            # a failing page may leave a server behind
            with suppress(ProcessLookupError):
                os.killpg(reader.pid, signal.SIGKILL)
    assert code == 0, log.read_text()
