"""Secrets are read when a step starts, and are nowhere afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.secrets import in_environment, read_secrets


def test_from_the_environment_and_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from a file\n")
    monkeypatch.setenv("SOME_TOKEN", "from the environment")
    monkeypatch.setenv("KEPT", "before")
    monkeypatch.delenv("A", raising=False)
    found = read_secrets({"A": "env:SOME_TOKEN", "KEPT": f"file:{tmp_path}/token"}, step="s")
    assert dict(found) == {"A": "from the environment", "KEPT": "from a file"}
    assert repr(found) == "<secrets A, KEPT>"
    with in_environment(found):
        assert (os.environ["A"], os.environ["KEPT"]) == ("from the environment", "from a file")
    assert ("A" in os.environ, os.environ["KEPT"]) == (False, "before")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "empty").write_text("\n")
    for place, why in (
        ("env:NOT_SET", "NOT_SET is not set"),
        (f"file:{tmp_path}/no", "FileNotFoundError"),
        (f"file:{tmp_path}/empty", "is empty"),
    ):
        with pytest.raises(InvalidInput, match="step 's' has no secret TOKEN") as refusal:
            read_secrets({"TOKEN": place}, step="s")
        assert why in refusal.value.why
