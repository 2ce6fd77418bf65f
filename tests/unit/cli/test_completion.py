from __future__ import annotations

from pathlib import Path

import pytest

from interlock.cli.commands import COMMANDS
from interlock.cli.main import main
from tests.unit.cli.conftest import Runner


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_knows_every_command(cli: Runner, shell: str) -> None:
    script = cli("completion", "show", "--shell", shell).out
    assert [name for name in COMMANDS if name not in script] == []


def test_install_says_where(cli: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = cli("completion", "install", "--shell", "bash", "--json")
    path = Path(done.data["path"])
    assert path.is_relative_to(tmp_path) and "interlock" in path.read_text()


def test_an_unknown_shell_is_named(cli: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/nonsense")
    for name in ("ZSH_VERSION", "BASH_VERSION", "FISH_VERSION"):
        monkeypatch.delenv(name, raising=False)
    from interlock.cli.completion import _running_shell
    from interlock.core.errors import InvalidInput

    monkeypatch.setattr("cyclopts.completion.detect_shell", _undetected)
    with pytest.raises(InvalidInput, match="running shell is not known"):
        _running_shell()


def _undetected() -> str:
    from cyclopts.completion import ShellDetectionError

    raise ShellDetectionError("no shell")


def test_the_shell_may_ask_for_candidates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["__complete", "run", ""]) == 0
    assert "begin" in capsys.readouterr().out
