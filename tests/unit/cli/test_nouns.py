"""The commands that only read: each shows what the store holds, to people and to programs."""

from __future__ import annotations

import pytest

from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

SHOWN = {
    "label list": ["labels:late@1", "2"],
    "label list late": ["labels:late@1"],
    "label show late": ["labels:late@1", "person:ada", "agreement"],
    "feature list": ["feature:planes@1", "tail", "seats, age", "1"],
    "feature show feature:planes@1": ["feature:planes@1", "years", "dataset:flights"],
    "run list": ["run-1", "run-2", "1 min 30 s", "auc=0.7"],
    "run list --kind training": ["run-2"],
    "run show run:run-2": ["run:run-2", "alpha", "depth", "auc", "notes.txt", "5 B"],
    "run compare run-1 run-2": ["param", "alpha", "0.1", "0.2", "depth", "metric"],
    "study list": ["study-1", "a study"],
    "study show study-1": ["trial-1", "alpha=0.25", "auc=0.75"],
    "study show study:study-1": ["trial-1"],
    "pipeline list": ["pipeline-1", "finished"],
    "pipeline show pipeline-1": ["run:pipeline-1 has no steps"],
    "model list": ["model:delay@2", "sklearn", "onnx"],
    "model list delay": ["model:delay@2", "model:delay@1", "champion"],
    "model show model:delay@champion": ["model:delay@1", "run:run-1", "probability", "MLmodel", "speedup"],
    "model card delay@2": ["# delay 2"],
    "model alias delay": ["champion", "the first"],
    "model verdicts delay": ["verdict:v1", "model:delay@2", "it is worse"],
    "endpoint list": ["delay", "live model:delay@1 100%, shadow model:delay@2"],
    "endpoint show delay": ["endpoint:delay", "prediction:p1", "probability=0.25", "the first"],
    "monitor list": ["delay-auc", "performance: auc", "above 0.7", "0.61"],
    "monitor list --endpoint endpoint:delay": ["delay-auc"],
    "monitor show delay-auc": ["monitor:delay-auc", "900", "0.58", "168 h 0 min"],
    "monitor alerts": ["delay-auc", "auc 0.61 is below 0.7"],
    "monitor alerts --all --monitor delay-auc": ["delay-auc"],
    "event list": ["dataset.committed", "alert.opened", "dataset:flights@2"],
    "event list --kind model. --limit 1": ["model.alias_set"],
    "event list --subject endpoint:delay": ["endpoint.created"],
    "event tail --no-follow --lines 2": ["monitor.reported", "alert.opened"],
    "loop status": ["Data", "Registry", "attention"],
    "trace model:delay@1": ["model:delay@1", "Led to:"],
    "advisor radar --station serve --ring adopt": ["adopt", "serve"],
    "advisor readiness": ["level", "of 5", "next", "software practice"],
    "verify": ["is whole"],
}


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_shows_what_there_is(cli: Runner, seeded: Workspace, line: str) -> None:
    shown = cli(*line.split())
    assert (shown.code, shown.err) == (0, "")
    assert [word for word in SHOWN[line] if word not in shown.out] == [], shown.out


@pytest.mark.parametrize("line", [line for line in SHOWN if not line.startswith("event tail")])
def test_every_command_answers_in_json(cli: Runner, seeded: Workspace, line: str) -> None:
    shown = cli("--json", *line.split())
    assert shown.code == 0 and isinstance(shown.data, dict | list)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("data list", "interlock data commit FILE.csv"),
        ("label list", "no label sets yet"),
        ("feature list", "no feature views yet"),
        ("run list", "interlock.run("),
        ("study list", "no studies yet"),
        ("pipeline list", "no pipeline has run yet"),
        ("model list", "no models yet"),
        ("endpoint list", "interlock endpoint route"),
        ("monitor list", "no monitors yet"),
        ("monitor alerts", "no open alerts"),
        ("event list", "no such events"),
    ],
)
def test_an_empty_workspace_says_what_to_do_next(cli: Runner, workspace: Workspace, line: str, words: str) -> None:
    assert words in cli(*line.split()).out
    assert cli("--json", *line.split()).data == []


@pytest.mark.parametrize(
    "line",
    [
        *("data show x", "label show x", "feature show x", "run show x", "study show x", "pipeline show x"),
        *("model show x", "model card x", "model alias x@1 y", "endpoint show x", "endpoint rollback x"),
        *("monitor show x", "pipeline why x", "trace prediction:x", "trace model:x"),
    ],
)
def test_an_unknown_name_is_exit_code_3(cli: Runner, seeded: Workspace, line: str) -> None:
    missing = cli(*line.split())
    assert missing.code == 3 and missing.out == "" and "because: " in missing.err


def test_a_training_run_is_no_study(cli: Runner, seeded: Workspace) -> None:
    refused = cli("study", "show", "run-1")
    assert refused.code == 3 and "it is a training" in refused.err


def test_equal_runs_do_not_differ(cli: Runner, seeded: Workspace) -> None:
    assert "the same in params" in cli("run", "compare", "run-1", "run-1").out


def test_tail_prints_one_json_value_per_line(cli: Runner, seeded: Workspace) -> None:
    lines = cli("event", "tail", "--no-follow", "--lines", "3", "--json").out.splitlines()
    assert len(lines) == 3 and all(line.startswith('{"seq":') for line in lines)
    assert cli("event", "tail", "--no-follow", "--lines", "0").out == ""
