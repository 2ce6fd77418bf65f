from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.settings import find_workspace_uri


def test_the_environment_comes_first(tmp_path: Path) -> None:
    (tmp_path / ".interlock").mkdir()
    assert find_workspace_uri(tmp_path, {"INTERLOCK_URI": "postgresql://db/il"}) == "postgresql://db/il"


def test_a_folder_above_is_found_like_git(tmp_path: Path) -> None:
    (tmp_path / ".interlock").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace_uri(deep, {}) == str(tmp_path / ".interlock")


def test_without_one_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_workspace_uri(environ={"INTERLOCK_URI": "  "}) == str(tmp_path / ".interlock")
