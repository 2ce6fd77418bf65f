"""Pipelines from the command line: run, backfilled, scheduled, each with its words for what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.cli.main import main
from interlock.loop.turns import TurnRight
from interlock.workspace import open_workspace

CODE = """
from datetime import date
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step

@step
def load(day: date) -> int:
    if day.day == 13:
        raise ValueError("no data on the thirteenth")
    return day.day

@step
def scale(value: int, alpha: float) -> float:
    return value * alpha

@pipeline
def nightly(day: date, alphas: list[float] = [1.0]) -> float:
    value = load(day)
    return max(scale(value, alpha) for alpha in alphas)

@pipeline
def bare() -> None:
    pass
"""


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Type a command in a folder with `cli_jobs.py`; give the exit code and what was said, as JSON where it is."""
    (tmp_path / "cli_jobs.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERLOCK_URI", str(tmp_path / ".interlock"))
    path = list(sys.path)

    def typing(*words: str, as_json: bool = True) -> tuple[int, Any]:
        sys.modules.pop("cli_jobs", None)
        code = main(["pipeline", *words, *(["--json"] if as_json else [])])
        said = capsys.readouterr()
        text = said.out if code in (0, 1) and said.out else said.err
        return code, json.loads(text) if as_json and text else text

    yield typing
    sys.modules.pop("cli_jobs", None)
    sys.path[:] = path


def test_run_with_flags(typed: Callable[..., tuple[int, Any]]) -> None:
    code, said = typed("run", "cli_jobs.py:nightly", "--day", "2026-11-20", "--alphas", "0.5,2")
    assert (code, said["value"], len(said["steps"])) == (0, "40", 3)
    code, text = typed("run", "cli_jobs.py:nightly", "--day=2026-11-20", "--alphas", "2", as_json=False)
    assert code == 0 and "0 executed, 2 reused" in text and "reused: same code" in text
    assert typed("run", "cli_jobs.py:nightly", "--day=2026-11-20", "--quiet", as_json=False) == (0, "")


def test_run_from_a_file(typed: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text("pipeline: cli_jobs.py:nightly\narguments: {day: 2026-11-20, alphas: [3]}\n")
    assert typed("run", "n.yaml")[1]["value"] == "60"
    assert typed("run", "n.yaml", "--alphas", "4")[1]["value"] == "80"
    assert typed("run", "n.yaml", "--arguments", '{"alphas": [5]}')[1]["value"] == "100"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "cli_jobs.py:nightly"), 2, "--day DATE"),
        (("run", "cli_jobs.py:nightly", "--dy", "1"), 2, "--day"),
        (("run", "cli_jobs.py:nightly", "--arguments", "["), 2, "JSON"),
        (("run", "other.py:nightly"), 3, "other.py"),
        (("backfill", "cli_jobs.py:nightly", "day", "never"), 2, "day"),
        (("backfill", "cli_jobs.py:nightly", "days", "2026-01-01..2026-01-02"), 2, "day"),
        (("schedule", "cli_jobs.py:nightly", "--day", "{date}"), 2, "--cron"),
        (("schedule", "cli_jobs.py:nightly", "--cron", "0 4 * * *"), 2, "--day DATE"),
        (("schedule", "cli_jobs.py:nightly", "--day", "{date}", "--cron", "61 4 * * *"), 2, "cron"),
        (("schedule", "cli_jobs.py:bare", "--event", "x", "--where", "y"), 2, "KEY=VALUE"),
        (("unschedule", "cli_jobs"), 3, "cli_jobs"),
    ],
)
def test_what_is_wrong_is_said(
    typed: Callable[..., tuple[int, Any]], tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    open_workspace(tmp_path / ".interlock").close()
    found, text = typed(*words, as_json=False)
    assert found == code and said in text and "Traceback" not in text


def test_arguments_are_listed(typed: Callable[..., tuple[int, Any]]) -> None:
    _, flags = typed("arguments", "cli_jobs.py:nightly")
    assert [(one["name"], one["default"]) for one in flags] == [("day", None), ("alphas", "[1.0]")]
    assert "takes no arguments" in typed("arguments", "cli_jobs.py:bare", as_json=False)[1]


def test_a_backfill_goes_on_after_a_failure(typed: Callable[..., tuple[int, Any]]) -> None:
    span = "2026-01-12..2026-01-14"
    code, said = typed("backfill", "cli_jobs.py:nightly", "day", span)
    assert code == 1
    assert [(one["partition"], one["status"]) for one in said] == [
        ("2026-01-12", "finished"),
        ("2026-01-13", "failed"),
        ("2026-01-14", "finished"),
    ]
    assert "no data on the thirteenth" in said[1]["error"]
    code, said = typed("backfill", "cli_jobs.py:nightly", "day", span, "--stop-on-failure")
    assert [one["reused"] for one in said] == [2, 0]
    code, text = typed("backfill", "cli_jobs.py:nightly", "day", "2026-01-12", as_json=False)
    assert code == 0 and "1 of 1 partitions done, 0 failed" in text


def test_schedules_come_and_go(typed: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    at = ("--cron", "0 4 * * *", "--time-zone", "Europe/Berlin")
    code, said = typed("schedule", "cli_jobs.py:nightly", "--day", "{date}", *at)
    assert code == 0 and said["params"]["arguments"] == {"day": "{date}"}
    assert said["params"]["folder"] == str(tmp_path)
    (tmp_path / "n.yaml").write_text(
        "pipeline: cli_jobs.py:bare\nname: on-data\n"
        "schedule: {event: dataset.committed, where: {subject: 'dataset:x'}}\n"
    )
    assert typed("schedule", "n.yaml")[1]["on"] == "dataset.committed"
    text = typed("schedules", as_json=False)[1]
    assert "on dataset.committed where subject=dataset:x" in text and "at '0 4 * * *' Europe/Berlin, next" in text
    assert typed("unschedule", "trigger:nightly")[0] == 0
    assert [one["name"] for one in typed("schedules")[1]] == ["on-data"]


def test_runs_of_one_schedule_do_not_overlap(typed: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    with open_workspace(tmp_path / ".interlock") as workspace:
        right = TurnRight(workspace.stores.leases, workspace.clock, name="pipeline of t", what="another test")
        with right.held():
            code, said = typed("run", "cli_jobs.py:bare", "--trigger", "t")
        assert code == 4 and "still goes on" in said["error"]["what"]
        assert workspace.stores.journal.events(kinds=["trigger.skipped"])
    assert typed("run", "cli_jobs.py:bare", "--trigger", "t")[0] == 0


def runs(typed: Callable[..., tuple[int, Any]]) -> list[str]:
    return [one["id"] for one in typed("list")[1]]


def test_a_failed_run_is_shown_debugged_and_resumed(typed: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    assert typed("run", "cli_jobs.py:nightly", "--day", "2026-01-13")[0] == 1
    (run,) = runs(typed)
    text = typed("show", run, as_json=False)[1]
    assert "✗ load" in text and "no data on the thirteenth" in typed("debug", "load", "--run", run, as_json=False)[1]
    assert typed("resume", run)[0] == 1
    (tmp_path / "cli_jobs.py").write_text(CODE.replace("== 13", "== 14"))
    code, said = typed("resume", f"run:{run}")
    assert (code, said["value"]) == (0, "13")
    newest = runs(typed)[0]
    assert typed("debug", "scale", "--run", newest)[1]["value"] == "13.0"
    assert "scale" in typed("diff", run, newest, as_json=False)[1]
    assert "every step" in typed("diff", newest, newest, as_json=False)[1]
    assert typed("why", "load", "--run", newest)[1]["step"] == "load"
    assert typed("cancel", newest, as_json=False)[0] == 4


def test_many_steps_are_listed_on_request(typed: Callable[..., tuple[int, Any]]) -> None:
    alphas = ",".join(str(number) for number in range(120))
    typed("run", "cli_jobs.py:nightly", "--day", "2026-01-12", "--alphas", alphas, "--quiet", as_json=False)
    (run,) = runs(typed)
    text = typed("show", run, as_json=False)[1]
    assert "scale × 120" in text and "and 21 more" in text
    assert "more: --steps" not in typed("show", run, "--steps", as_json=False)[1]


def test_results_are_made_again_and_compared(typed: Callable[..., tuple[int, Any]]) -> None:
    day = ("--day", "2026-01-12")
    code, said = typed("run", "cli_jobs.py:nightly", *day, "--verify", "1")
    assert code == 0 and [(one["step"], one["same"]) for one in said["verified"]] == [("load", True), ("scale", True)]
    (run,) = runs(typed)
    assert "yes" in typed("verify", run, "--share", "1", as_json=False)[1]
    assert typed("verify", run, "--share", "2", as_json=False)[0] == 2


def test_a_result_that_differs_is_told(typed: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    (tmp_path / "cli_jobs.py").write_text(
        CODE.replace("return value * alpha", "return value * len(alpha_of())")
        + "\nseen: list[int] = []\ndef alpha_of() -> list[int]:\n    seen.append(1)\n    return seen\n"
    )
    code, text = typed("run", "cli_jobs.py:nightly", "--day", "2026-01-12", "--verify", "1", as_json=False)
    assert code == 1 and "12 → 24" in text.replace("12.0", "12").replace("24.0", "24")
