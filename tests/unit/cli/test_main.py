from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.cli import main as edge
from interlock.cli.main import main
from interlock.cli.output import Answer
from interlock.core.errors import Refused


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTERLOCK_URI", raising=False)
    monkeypatch.delenv("INTERLOCK_DEBUG", raising=False)

    def run(line: str) -> tuple[int, str, str]:
        code = main(line.split())
        out, err = capsys.readouterr()
        return code, out, err

    return run


def acting(monkeypatch: pytest.MonkeyPatch, act) -> None:
    """Let every command do this instead."""
    monkeypatch.setattr(edge, "_bind", lambda tokens: lambda session: act())


@pytest.mark.parametrize("line", ["", "--help", "-h", "--dir x --help", "--dir x"])
def test_help_is_printed(run, line: str) -> None:
    code, out, err = run(line)
    assert (code, err) == (0, "") and out.startswith("Usage: interlock")


def test_the_version_is_printed(run) -> None:
    code, out, _ = run("--version")
    assert code == 0 and out.strip() == edge._version()
    assert json.loads(run("--version --json")[1]) == {"version": out.strip()}


@pytest.mark.parametrize("line", ["run --help", "run list --help", "verify -h"])
def test_a_command_has_help(run, line: str) -> None:
    code, out, _ = run(line)
    assert code == 0 and "Usage: interlock" in out and "--dir FOLDER" in out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rnu list", ["there is no command 'rnu'", "did you mean 'run'", "interlock --help"]),
        ("--nonsense", ["there is no command '--nonsense'"]),
        ("run lsit", ['unknown command "lsit"', 'Did you mean "list"?', "interlock run --help"]),
        ("run show", ["requires an argument", "interlock run --help"]),
        ("run show a b", ["unused Tokens", "interlock run --help"]),
        ("run list --nonsense", ["--nonsense"]),
        ("run list --limit many", ["many", "int"]),
        ("--dir", ["--dir needs a folder"]),
        ("run show dataset:x", ["is a dataset"]),
    ],
)
def test_bad_input_has_words_and_exit_code_2(run, line: str, words: list[str]) -> None:
    code, out, err = run(line)
    assert (code, out) == (2, "") and err.startswith("error: ")
    assert all(word in err for word in words), err
    assert "Traceback" not in err


def test_a_missing_workspace_is_not_made_by_reading(run, tmp_path: Path) -> None:
    code, out, err = run("--json run list")
    assert (code, out) == (3, "")
    problem = json.loads(err)["error"]
    assert problem["code"] == "IL404" and "there is no workspace" in problem["what"] and problem["fix"]
    assert list(tmp_path.iterdir()) == []


def test_an_error_sets_its_exit_code(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise Refused("the gate said no", why="worse", fix="train more")

    acting(monkeypatch, refuse)
    assert run("x") == (1, "", "error: the gate said no [IL403]\nbecause: worse\ntry: train more\n")


def test_a_fault_has_words_and_exit_code_70(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("oh")

    acting(monkeypatch, fail)
    code, out, err = run("x")
    assert (code, out) == (70, "") and "a fault in Interlock: RuntimeError: oh" in err
    assert "INTERLOCK_DEBUG=1" in err and "Traceback" not in err
    monkeypatch.setenv("INTERLOCK_DEBUG", "1")
    assert "Traceback" in run("x")[2]


def test_an_interrupt_is_exit_code_130(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    acting(monkeypatch, interrupt)
    assert run("x") == (130, "", "interrupted\n")


def test_an_answer_sets_the_exit_code(run, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(monkeypatch, lambda: Answer({"a": 1}, ("one",), exit_code=6))
    assert run("x") == (6, "one\n", "")
    assert run("x --json") == (6, '{"a":1}\n', "")
