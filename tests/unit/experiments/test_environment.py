"""Which distributions are installed is written as pip and uv read it."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from interlock.experiments.environment import LOCK_FILE, installed, lock_files


def test_every_distribution_is_named_with_its_version() -> None:
    lines = dict(line.split("==") for line in installed(tuple(sys.path)).decode().splitlines())
    for name in ("msgspec", "numpy", "pytest", "pytest-randomly"):
        assert lines[name] == metadata.version(name)


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    for folder, version in (("a", "2.0"), ("b", "1.0")):
        (tmp_path / folder / f"Some_Package-{version}.dist-info").mkdir(parents=True)
    (tmp_path / "b" / "old-3-py3.11.egg-info").mkdir()
    (tmp_path / "b" / "nameless.egg-info").mkdir()
    path = (str(tmp_path / "a"), str(tmp_path / "absent"), str(tmp_path / "b"))
    assert installed(path) == b"old==3\nsome-package==2.0\n"


def test_the_locks_of_a_project_are_kept_with_it(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    found = lock_files(tmp_path)
    assert set(found) == {LOCK_FILE, "environment/uv.lock"}
    assert found["environment/uv.lock"] == b"version = 1\n"
    assert set(lock_files(None)) >= {LOCK_FILE}
