from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import Conflict, InterlockError, InvalidInput, MissingExtra, NotFound
from interlock.loop.reproducing.code import recreate
from interlock.ports.run_store import DIFF_FILE, ArtifactEntry, Run, RunBatch
from tests.unit.loop.reproducing.conftest import Project


def head(project: Project) -> str:
    branch = (project.folder / ".git" / "HEAD").read_text().removeprefix("ref: ").strip()
    return (project.folder / ".git" / branch).read_text().strip()


def tried(project: Project, into: Path, *, diff: bytes = b"", code: dict[str, Any], argv: list[str]) -> Any:
    stores = memory_stores()
    run = Run("r1", "e", "training", "", "running", datetime(2026, 1, 1, tzinfo=UTC))
    environment = {"argv": argv, "folder": str(project.folder)}
    run = Run(**{**{name: getattr(run, name) for name in run.__struct_fields__}, "code": code})
    run = Run(**{**{name: getattr(run, name) for name in run.__struct_fields__}, "environment": environment})
    stores.runs.create(run)
    if diff:
        blob = stores.artifacts.put(diff)
        stores.runs.log("r1", RunBatch(artifacts=(ArtifactEntry(DIFF_FILE, blob.digest, blob.size_bytes),)))
    return recreate(run, stores, into / "code")


def test_a_script_called_from_a_folder_below_is_started_there(project: Project, tmp_path: Path) -> None:
    project.write("below/fit.py", "")
    project.commit()
    code = {"commit": head(project), "entry_point": str(project.folder / "below" / "fit.py")}
    root, command = tried(project, tmp_path, code=code, argv=["fit.py", "--x"])
    assert command.arguments == (str(root / "below" / "fit.py"), "--x")
    assert command.folder == root / "below"
    _, command = tried(project, tmp_path / "again", code=code, argv=["/abs/fit.py"])
    assert command.folder == tmp_path / "again" / "code"


@pytest.mark.parametrize(
    ("code", "argv", "error", "said"),
    [
        ({"vcs": "none"}, ["train.py"], InvalidInput, "no commit"),
        ({"commit": "HEAD", "diff_cut_at_bytes": 8}, ["train.py"], InvalidInput, "not kept whole"),
        ({"commit": "HEAD", "dirty": True}, ["train.py"], NotFound, "not kept"),
        ({"commit": "HEAD", "entry_point": "interactive"}, [""], InvalidInput, "no command"),
        ({"commit": "HEAD", "entry_point": "-m ipykernel_launcher"}, ["x"], InvalidInput, "notebook"),
        ({"commit": "HEAD", "entry_point": "/elsewhere/x.py"}, ["x.py"], NotFound, "not in its repository"),
        ({"commit": "0" * 40, "entry_point": "train.py"}, ["train.py"], NotFound, "is not in"),
    ],
)
def test_what_cannot_be_started_again_is_refused(
    project: Project, tmp_path: Path, code: dict[str, Any], argv: list[str], error: type[InterlockError], said: str
) -> None:
    if code.get("commit") == "HEAD":
        code = {**code, "commit": head(project)}
    with pytest.raises(error, match=said):
        tried(project, tmp_path, code=code, argv=argv)


def test_changes_that_do_not_fit_are_told(project: Project, tmp_path: Path) -> None:
    code = {"commit": head(project), "dirty": True, "entry_point": "train.py"}
    with pytest.raises(Conflict):
        tried(project, tmp_path, code=code, argv=["train.py"], diff=b"--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n")


def test_a_missing_git_is_told(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {"commit": head(project), "entry_point": "train.py"}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra):
        tried(project, tmp_path, code=code, argv=["train.py"])
