from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.cli.main import main
from interlock.core.errors import InvalidInput, NotFound, StepFailed
from interlock.loop.reproducing.reproducing import Plan
from interlock.ports.run_store import Run
from interlock.workspace import Workspace, open_workspace
from tests.unit.loop.reproducing.conftest import SCRIPT, Project

Recorded = Callable[..., tuple[Workspace, Run]]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_the_same_comes_out_whatever_the_project_became(project: Project, recorded: Recorded, scratch: Path) -> None:
    project.write("train.py", SCRIPT.replace("the same too", "uncommitted"))
    project.write("notes.txt", "unknown to git")
    workspace, run = recorded()
    project.write("train.py", "raise SystemExit('another program')")
    project.commit()
    lines: list[str] = []
    found = workspace.loop.reproduce(run.id, told=lines.append)
    assert (found.judgement.verdict, found.judgement.deviations) == ("equal", ())
    assert found.judgement.compared == {"data": 0, "param": 1, "metric": 1, "artifact": 2}
    assert found.environment == "here" and "notes.txt" in found.notes[0]
    made = workspace.stores.runs.get(found.reproduced_by.removeprefix("run:"))
    assert made.tags["reproduces"] == f"run:{run.id}"
    assert (made.code["commit"], made.code["dirty"]) == (run.code["commit"], True)
    edges = workspace.stores.journal.walk(f"run:{run.id}", direction="forward", depth=1)
    assert (f"run:{made.id}", "reproduced_by") in [(one.target, one.relation) for one in edges]
    assert [one.subject for one in workspace.stores.journal.events(kinds=("run.reproduced",))] == [f"run:{run.id}"]
    assert lines[0].startswith("code: commit") and lines[-1] == "comparing"
    assert list(scratch.iterdir()) == []


def test_the_first_artifact_that_differs_is_named(
    project: Project, recorded: Recorded, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAID", raising=False)
    project.write("train.py", SCRIPT.replace('b"the same too"', '__import__("os").environ.get("SAID", "x").encode()'))
    project.commit()
    workspace, run = recorded()
    monkeypatch.setenv("SAID", "y")
    words = ["reproduce", f"run:{run.id}", "--here", "--dir", workspace.uri]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "different" in out and "b.txt" in out and "a.txt" not in out
    monkeypatch.setenv("SAID", "x")
    assert main([*words, "--json"]) == 0
    assert '"verdict":"equal"' in capsys.readouterr().out


def test_a_module_is_started_again(project: Project, recorded: Recorded, scratch: Path) -> None:
    project.write("pack/fit.py", SCRIPT)
    project.commit()
    workspace, run = recorded("-m", "pack.fit", "4")
    found = workspace.loop.reproduce(run.id, Plan(keep=True))
    assert (found.judgement.verdict, found.command) == ("equal", ("-m", "pack.fit", "4"))
    assert found.kept is not None and (Path(found.kept) / "code" / "pack" / "fit.py").is_file()


def test_a_repository_that_moved_is_named(project: Project, recorded: Recorded, tmp_path: Path) -> None:
    workspace, run = recorded()
    workspace.close()
    moved = project.folder.rename(tmp_path / "elsewhere")
    with open_workspace(moved / ".interlock") as opened:
        with pytest.raises(NotFound, match="gone") as refusal:
            opened.loop.reproduce(run.id)
        assert "--repository" in refusal.value.fix
        found = opened.loop.reproduce(run.id, Plan(repository=moved))
    assert found.judgement.verdict == "equal"


def test_what_fails_says_what_it_may_have_needed(project: Project, recorded: Recorded, scratch: Path) -> None:
    project.write("train.py", SCRIPT + "pathlib.Path(__file__).with_name('data.csv').read_text()\n")
    project.commit()
    project.write("data.csv", "1,2")
    workspace, run = recorded()
    with pytest.raises(StepFailed, match="failed with 1") as refusal:
        workspace.loop.reproduce(run.id)
    assert "data.csv" in refusal.value.fix and "FileNotFoundError" in refusal.value.why
    assert list(scratch.iterdir()) == []


def test_a_commit_that_is_gone_is_told(project: Project, recorded: Recorded) -> None:
    workspace, run = recorded()
    import shutil

    shutil.rmtree(project.folder / ".git")
    with pytest.raises(NotFound, match="no git repository"):
        workspace.loop.reproduce(run.id)
    project.git("init", "-q")
    (project.folder / "another.txt").write_text("so that within one second it is not the same commit again")
    project.commit()
    project.git("-c", "user.name=b", "-c", "user.email=b@b.c", "commit", "-q", "--amend", "-m", "another")
    with pytest.raises(NotFound, match="is not in"):
        workspace.loop.reproduce(run.id)


def test_a_script_that_git_does_not_know_is_refused(project: Project, recorded: Recorded) -> None:
    project.write("own.py", SCRIPT)
    workspace, run = recorded("own.py", "1")
    with pytest.raises(NotFound, match="script"):
        workspace.loop.reproduce(run.id)


def test_a_workspace_in_memory_is_refused() -> None:
    with open_workspace("memory:") as workspace:
        with workspace.experiments.run("e", console=False, system_every_s=0) as run:
            pass
        with pytest.raises(InvalidInput, match="memory"):
            workspace.loop.reproduce(run.id)
        with pytest.raises(InvalidInput, match="tolerance"):
            workspace.loop.reproduce(run.id, Plan(tolerance=-1))
