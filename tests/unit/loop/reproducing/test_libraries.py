from __future__ import annotations

import importlib.metadata
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import MissingExtra, NotFound, Refused, Unavailable
from interlock.loop.reproducing import libraries
from interlock.loop.reproducing.libraries import LOCK_FILE, differing, interpreter
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch
from interlock.ports.stores import Stores

HERE = {"msgspec": importlib.metadata.version("msgspec")}
UV = """#!/bin/sh
echo "$@" >> {log}
for last; do :; done
if [ "$1" = pip ]; then cat "$last" > {log}.lock; {ending}; fi
"""


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


def a_run(stores: Stores, libraries: dict[str, str], *, lock: bytes = b"", python: str = "") -> Run:
    environment = {"python": python or platform.python_version()}
    run = Run(
        "r1",
        "e",
        "training",
        "",
        "running",
        datetime(2026, 1, 1, tzinfo=UTC),
        libraries=libraries,
        environment=environment,
    )
    stores.runs.create(run)
    if lock:
        blob = stores.artifacts.put(lock)
        stores.runs.log("r1", RunBatch(artifacts=(ArtifactEntry(LOCK_FILE, blob.digest, blob.size_bytes),)))
    return run


def a_uv(folder: Path, monkeypatch: pytest.MonkeyPatch, *, ending: str = "true") -> Path:
    """Put a program uv on the path that notes what it is told."""
    log = folder / "told"
    (folder / "bin").mkdir()
    program = folder / "bin" / "uv"
    program.write_text(UV.format(log=log, ending=ending))
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(folder / "nowhere" / "python"))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    return log


def test_equal_libraries_are_taken_as_they_are(stores: Stores, tmp_path: Path) -> None:
    lines: list[str] = []
    found = interpreter(a_run(stores, HERE), stores, tmp_path / "venv", here=False, told=lines.append)
    assert found == (Path(sys.executable), "here")
    assert not (tmp_path / "venv").exists() and len(lines) == 1


def test_what_differs_is_named(stores: Stores) -> None:
    run = a_run(stores, {"msgspec": "0.0.1", "no-such-library": "1"}, python="3.0.0")
    assert [one.partition(" → ")[0] for one in differing(run)] == [
        "python 3.0.0",
        "msgspec 0.0.1",
        "no-such-library 1",
    ]


def test_another_environment_is_refused_where_this_one_is_asked_for(stores: Stores, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        interpreter(a_run(stores, {"msgspec": "0.0.1"}), stores, tmp_path / "venv", here=True, told=print)
    assert "msgspec 0.0.1 → " in refusal.value.why


def test_a_run_without_a_lock_is_refused(stores: Stores, tmp_path: Path) -> None:
    libraries = {f"none{at}": "1" for at in range(10)}
    with pytest.raises(NotFound, match="lock") as refusal:
        interpreter(a_run(stores, libraries), stores, tmp_path / "venv", here=False, told=print)
    assert "and 2 more" in refusal.value.why


def test_uv_is_told_the_recorded_lock(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = a_uv(tmp_path, monkeypatch)
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    monkeypatch.setattr(libraries, "_ROOT", tmp_path / "sources")
    run = a_run(stores, {"msgspec": "0.0.1"}, lock=b"interlock==0\nmsgspec==0.0.1\n")
    python, kind = interpreter(run, stores, tmp_path / "venv", here=False, told=lambda line: None)
    assert (python, kind) == (tmp_path / "venv" / "bin" / "python", "uv")
    venv, install = log.read_text().splitlines()
    assert venv == f"venv --quiet --python {platform.python_version()} {tmp_path / 'venv'}"
    assert install.startswith("pip install --quiet --no-deps")
    assert (log.parent / "told.lock").read_text() == "msgspec==0.0.1\n"
    assert (packages / "interlock.pth").read_text() == f"{tmp_path / 'sources'}\n"


@pytest.mark.parametrize(
    ("origin", "line"), [(None, "interlock==9.1"), ('{"url": "file:///w.whl"}', "interlock @ file:///w.whl")]
)
def test_an_installed_interlock_is_installed_there_too(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str | None, line: str
) -> None:
    log = a_uv(tmp_path, monkeypatch)
    described = tmp_path / "interlock-9.1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: interlock\nVersion: 9.1\n")
    if origin is not None:
        (described / "direct_url.json").write_text(origin)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(libraries, "_ROOT", tmp_path)
    run = a_run(stores, {"msgspec": "0.0.1"}, lock=b"interlock==0\nmsgspec==0.0.1\n")
    interpreter(run, stores, tmp_path / "venv", here=False, told=lambda line: None)
    assert (log.parent / "told.lock").read_text() == f"msgspec==0.0.1\n{line}\n"


def test_an_index_that_is_out_of_reach_is_told(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_uv(tmp_path, monkeypatch, ending="echo no route >&2; exit 1")
    run = a_run(stores, {"msgspec": "0.0.1"}, lock=b"msgspec==0.0.1\n")
    with pytest.raises(Unavailable) as refusal:
        interpreter(run, stores, tmp_path / "venv", here=False, told=lambda line: None)
    assert refusal.value.why == "no route"


def test_a_missing_uv_is_told(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    run = a_run(stores, {"msgspec": "0.0.1"}, lock=b"msgspec==0.0.1\n")
    with pytest.raises(MissingExtra, match="uv"):
        interpreter(run, stores, tmp_path / "venv", here=False, told=lambda line: None)
