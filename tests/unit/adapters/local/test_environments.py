"""Steps in environments of their own, made without a network from a wheel that the test builds."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from interlock.adapters.local.environments import EnvironmentFolder
from interlock.adapters.local.pool import ProcessExecutor
from interlock.core.errors import InvalidInput, StepFailed
from interlock.ports.executor import Call, Resources
from tests.unit.adapters.local.lonely import add, lacks, version_here


def build_wheel(folder: Path, *, version: str) -> Path:
    """Write a wheel of a library with one module; return the requirements file that asks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"lonely_library-{version}.dist-info"
    with zipfile.ZipFile(folder / f"lonely_library-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lonely_library.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: lonely-library\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    needs = folder / f"needs-{version}.txt"
    needs.write_text(f"lonely-library=={version}\n")
    return needs


def offline(cache: Path, wheels: Path) -> EnvironmentFolder:
    return EnvironmentFolder(cache, options=("--offline", "--no-index", f"--find-links={wheels}"))


def test_steps_run_side_by_side_with_different_versions_of_a_library(tmp_path: Path) -> None:
    wheels, cache = tmp_path / "wheels", tmp_path / "cache"
    files = [str(build_wheel(wheels, version=version)) for version in ("1.0", "2.0")]
    executor = ProcessExecutor(2, environments=offline(cache, wheels))
    try:
        calls = [Call(version_here, resources=Resources(environment=file)) for file in (*files, *files)]
        found = [executor.start(call).result(timeout=120) for call in calls]
        assert [version for version, _ in found] == ["1.0", "2.0", "1.0", "2.0"]
        homes = {prefix for _, prefix in found}
        assert len(homes) == 2
        assert all(Path(home).parent == cache for home in homes)
        # Interlock is lent to them, what else is installed here is not
        alone = Resources(environment=files[0])
        assert executor.start(Call(add, (1, 2), resources=alone)).result(timeout=60) == 3
        assert executor.start(Call(lacks, ("duckdb",), resources=alone)).result(timeout=60)
        assert not executor.submit(lacks, "duckdb").result(timeout=60)
    finally:
        executor.close()


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    needs = build_wheel(tmp_path / "wheels", version="1.0")
    folder = offline(tmp_path / "cache", tmp_path / "wheels")
    python = folder(str(needs))
    made = python.lstat().st_mtime_ns
    assert folder(str(needs)) == python
    assert python.lstat().st_mtime_ns == made
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [python.parent.parent.name]


def test_a_library_that_cannot_be_had_leaves_nothing_behind(tmp_path: Path) -> None:
    needs = tmp_path / "needs.txt"
    needs.write_text("no-such-library==1.0\n")
    executor = ProcessExecutor(1, environments=offline(tmp_path / "cache", tmp_path))
    try:
        outcome = executor.start(Call(add, (1,), resources=Resources(environment=str(needs))))
        error = outcome.exception(timeout=60)
        assert isinstance(error, StepFailed)
        assert "environment of 'needs.txt' could not be made" in error.what
        assert "no-such-library" in error.why
        assert list((tmp_path / "cache").iterdir()) == []
        assert executor.submit(add, 1).result(timeout=60) == 1
    finally:
        executor.close()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'.*gone\.txt' is not there"):
        EnvironmentFolder(tmp_path)(str(tmp_path / "gone.txt"))


def test_without_uv_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    needs = build_wheel(tmp_path / "wheels", version="1.0")
    with pytest.raises(InvalidInput, match="needs the program 'uv'"):
        EnvironmentFolder(tmp_path / "cache")(str(needs))


def test_the_cache_of_the_user_is_the_place_if_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    needs = tmp_path / "needs.txt"
    needs.write_text("")
    assert EnvironmentFolder()(str(needs)).is_relative_to(tmp_path / "interlock" / "environments")


def test_an_executor_that_makes_none_says_so(tmp_path: Path) -> None:
    executor = ProcessExecutor(1)
    try:
        with pytest.raises(InvalidInput, match="asks for an environment"):
            executor.start(Call(add, (1,), resources=Resources(environment="needs.txt")))
    finally:
        executor.close()
