"""The code version and the environment are noted, and their absence too."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.experiments import capture as module
from interlock.experiments.capture import capture


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "train.py").write_text("alpha = 1\n")
    git(tmp_path, "add", "train.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_repository(repository: Path) -> None:
    found = capture(repository)
    assert found.code["vcs"] == "git"
    assert found.code["commit"] == git(repository, "rev-parse", "HEAD")
    assert (found.code["branch"], found.code["dirty"], found.code["untracked"]) == ("trunk", False, [])
    assert found.diff == b""


def test_uncommitted_changes_are_a_patch_and_new_files_are_named(repository: Path) -> None:
    (repository / "train.py").write_text("alpha = 2\n")
    (repository / "new file é.py").write_text("x = 1\n")
    found = capture(repository)
    assert found.code["dirty"]
    assert found.code["untracked"] == ["new file é.py"]
    assert b"-alpha = 1\n+alpha = 2\n" in found.diff


def test_staged_changes_count(repository: Path) -> None:
    (repository / "other.py").write_text("x = 1\n")
    git(repository, "add", "other.py")
    assert b"+x = 1" in capture(repository).diff


def test_a_patch_applies(repository: Path) -> None:
    (repository / "train.py").write_text("alpha = 2\n")
    diff = capture(repository).diff
    git(repository, "checkout", "-q", "train.py")
    subprocess.run(["git", "apply", "-"], cwd=repository, input=diff, check=True)
    assert (repository / "train.py").read_text() == "alpha = 2\n"


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "add", "a.py")
    found = capture(tmp_path)
    assert (found.code["commit"], found.code["dirty"]) == ("", True)
    assert b"+x = 1" in found.diff


def test_a_very_large_patch_is_cut_and_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_DIFF_BYTES", 100)
    (repository / "train.py").write_text("beta = 2\n" * 100)
    found = capture(repository)
    assert len(found.diff) == 100
    assert found.code["diff_cut_at_bytes"] == 100


def test_outside_git_that_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = capture(tmp_path)
    assert found.code["vcs"] == "none"
    assert found.diff == b""


def test_without_git_installed_nothing_fails(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert capture(repository).code["vcs"] == "none"


def test_the_environment(tmp_path: Path) -> None:
    found = capture(tmp_path)
    assert found.environment["python"] == platform.python_version()
    assert found.environment["argv"] == sys.argv
    assert found.environment["folder"] == str(tmp_path)
    assert found.code["entry_point"]


def test_an_edit_between_two_runs_is_seen(repository: Path) -> None:
    before = capture(repository).diff
    (repository / "train.py").write_text("x = 'edited'\n")
    assert capture(repository).diff != before


def test_libraries_are_those_imported(tmp_path: Path) -> None:
    libraries = capture(tmp_path).libraries
    assert {"msgspec", "pytest"} <= libraries.keys()
    assert "flask" not in libraries
