"""Experiments and their runs, folder by folder, from the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from interlock.ports.run_store import Run
from interlock.workspace import Workspace
from tests.unit.cli.conftest import NOW, Runner

TREE = """plain  1 run
vision/
  resnet/
    one  2 runs
    two  0 runs
  vit  1 run
"""


@pytest.fixture(autouse=True)
def runs(workspace: Workspace) -> None:
    names = ("vision/resnet/one", "vision/resnet/one", "vision/vit", "plain")
    for number, name in enumerate(names):
        kind = "study" if name == "vision/vit" else "training"
        started = NOW + timedelta(seconds=number)
        workspace.stores.runs.create(Run(f"run-{number}", name, kind, "", "running", started))
    workspace.stores.experiments.ensure("vision/resnet/two")


def test_a_level_shows_folders_before_experiments(cli: Runner) -> None:
    titles, folder, experiment = cli("run", "experiments").out.splitlines()
    assert titles.split() == ["experiment", "experiments", "runs", "newest"]
    assert folder.split() == ["vision/", "3"]
    assert experiment.split()[:2] == ["plain", "1"]


def test_a_folder_is_opened_with_or_without_its_slash(cli: Runner) -> None:
    for folder in ("vision", "vision/"):
        data = cli("--json", "run", "experiments", "--folder", folder).data
        assert [one["path"] for one in data["folders"]] == ["vision/resnet"]
        assert [(one["experiment"]["name"], one["runs"]) for one in data["experiments"]] == [("vision/vit", 1)]


def test_the_tree_has_everything(cli: Runner) -> None:
    assert cli("run", "experiments", "--tree").out == TREE
    assert cli("run", "experiments", "--tree", "--folder", "vision", "--match", "ONE").out == "resnet/\n  one  2 runs\n"
    assert [one["runs"] for one in cli("--json", "run", "experiments", "--tree").data] == [1, 2, 0, 1]


def test_experiments_are_found_and_paged(cli: Runner) -> None:
    first = cli("--json", "run", "experiments", "--match", "RESNET", "--limit", "1").data
    assert first["after"] == "vision/resnet/one"
    rest = cli("--json", "run", "experiments", "--match", "RESNET", "--after", first["after"]).data
    assert [one["experiment"]["name"] for one in rest["experiments"]] == ["vision/resnet/two"]


@pytest.mark.parametrize("words", [("--folder", "nowhere"), ("--folder", "nowhere", "--tree"), ("--match", "nothing")])
def test_where_there_is_none_it_says_how_to_make_one(cli: Runner, words: tuple[str, ...]) -> None:
    assert "no such experiments: with interlock.run(" in cli("run", "experiments", *words).out


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("vision",), ["run-2", "run-1", "run-0"]),
        (("vision/", "--kind", "study"), ["run-2"]),
        (("vision", "--experiment", "vision/resnet/one"), ["run-1", "run-0"]),
        (("vision", "--status", "failed"), []),
        (("vision", "--experiment", "plain"), []),
        (("visio",), []),
        (("vision", "--limit", "1"), ["run-2"]),
    ],
)
def test_runs_of_a_folder_are_listed(cli: Runner, words: tuple[str, ...], ids: list[str]) -> None:
    assert [one["id"] for one in cli("--json", "run", "list", "--folder", *words).data] == ids
