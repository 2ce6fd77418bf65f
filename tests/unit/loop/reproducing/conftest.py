"""A project in git, with a script that records a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.ports.run_store import Run
from interlock.workspace import Workspace, open_workspace

SCRIPT = """
import pathlib, sys
import interlock

with interlock.run("delay", params={"depth": int(sys.argv[1])}, console=False, system_every_s=0) as run:
    for step in range(3):
        run.log_metric("loss", 1 / (step + 1), step=step)
    run.log_artifact(b"the same", "a.txt")
    run.log_artifact(b"the same too", "b.txt")
"""


class Project:
    """A folder under git, with a workspace in it."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self._environ = environ
        self.git("init", "-q")
        self.write("train.py", SCRIPT)
        self.commit()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", str(self.folder), *arguments], check=True, env=self._environ)

    def start(self, *arguments: str) -> None:
        """Run Python in the project."""
        words = arguments or ("train.py", "3")
        subprocess.run([sys.executable, *words], check=True, cwd=self.folder, env=self._environ)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitignore").write_text(".interlock\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "INTERLOCK_", "COV_"))}
    return Project(folder, {**kept, "INTERLOCK_URI": str(folder / ".interlock")})


@pytest.fixture
def recorded(project: Project) -> Iterator[Callable[..., tuple[Workspace, Run]]]:
    """Start something in the project, and return its workspace and the newest run."""
    opened: list[Workspace] = []

    def record(*arguments: str) -> tuple[Workspace, Run]:
        project.start(*arguments)
        workspace = open_workspace(project.folder / ".interlock")
        opened.append(workspace)
        return workspace, workspace.stores.runs.runs()[0]

    yield record
    for workspace in opened:
        workspace.close()
