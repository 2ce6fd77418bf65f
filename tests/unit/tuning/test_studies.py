"""Studies are runs, trials are their children, and an interrupted study goes on."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.active_run import active_run
from interlock.core.errors import InvalidInput, StepFailed
from interlock.experiments.tracking import Experiments
from interlock.ports.journal import Edge
from interlock.ports.run_store import RunFilter
from interlock.ports.stores import Stores
from interlock.tuning.spaces import Float, Int, Space
from interlock.tuning.studies import Studies

SPACE: dict[str, Space] = {"x": Float(0.0, 1.0), "n": Int(1, 3)}


def parabola(params: dict[str, Any]) -> float:
    return float(params["n"] - (params["x"] - 0.3) ** 2)


def test_the_best_trial_is_returned(studies: Studies) -> None:
    study = studies.optimize("s", parabola, SPACE, n_trials=15, experiment="e")
    assert study.best_value == max(trial.value or 0.0 for trial in study.trials)
    assert parabola(study.best_params) == study.best_value
    assert [trial.number for trial in study.trials] == list(range(15))


def test_smaller_may_be_better(studies: Studies) -> None:
    study = studies.optimize("s", parabola, SPACE, n_trials=5, direction="minimize", experiment="e")
    assert study.best_value == min(trial.value or 0.0 for trial in study.trials)


def test_everything_is_recorded(studies: Studies, stores: Stores) -> None:
    study = studies.optimize("s", parabola, SPACE, n_trials=3, experiment="e", inputs=["dataset:a@1"])
    run = stores.runs.get(study.run_id)
    assert (run.kind, run.status, run.name, run.metrics["value"].last) == ("study", "finished", "s", study.best_value)
    children = stores.runs.runs(where=RunFilter(parent=run.id, kind="trial"))
    for trial, child in zip(study.trials, reversed(children), strict=True):
        assert (child.id, child.params, child.metrics["value"].last) == (trial.run_id, trial.params, trial.value)
    assert Edge("dataset:a@1", f"run:{children[0].id}", "trained_on") in stores.journal.walk(
        "dataset:a@1", direction="forward"
    )


def test_the_same_seed_gives_the_same_trials(studies: Studies) -> None:
    def tried(name: str, seed: int) -> list[dict[str, Any]]:
        study = studies.optimize(name, parabola, SPACE, n_trials=12, experiment="e", seed=seed)
        return [trial.params for trial in study.trials]

    assert tried("a", 1) == tried("b", 1)
    assert tried("c", 2) != tried("a2", 1)


def test_runs_opened_by_the_objective_are_children_of_the_trial(studies: Studies, stores: Stores) -> None:
    seen = []

    def objective(params: dict[str, Any]) -> float:
        seen.append(active_run.get())
        return 1.0

    study = studies.optimize("s", objective, SPACE, n_trials=2, experiment="e")
    assert seen == [trial.run_id for trial in study.trials]


def test_the_objective_cannot_change_what_is_recorded(studies: Studies) -> None:
    def objective(params: dict[str, Any]) -> float:
        return float(params.pop("x"))

    study = studies.optimize("s", objective, SPACE, n_trials=2, experiment="e")
    assert all("x" in trial.params for trial in study.trials)


@pytest.mark.parametrize("wrong", ["raise", float("nan"), float("inf"), None, "x"])
def test_a_failing_trial_is_recorded_and_the_study_goes_on(studies: Studies, stores: Stores, wrong: Any) -> None:
    def objective(params: dict[str, Any]) -> Any:
        if params["n"] == 1:
            if wrong == "raise":
                raise ZeroDivisionError("mine")
            return wrong
        return parabola(params)

    study = studies.optimize("s", objective, SPACE, n_trials=12, experiment="e")
    failed = [trial for trial in study.trials if trial.status == "failed"]
    assert failed
    assert all(trial.value is None and trial.params["n"] == 1 for trial in failed)
    assert all(stores.runs.get(trial.run_id).error for trial in failed)
    assert len(study.trials) == 12


def test_a_study_of_failures_says_so(studies: Studies, stores: Stores) -> None:
    def objective(params: dict[str, Any]) -> float:
        raise ZeroDivisionError("mine")

    with pytest.raises(StepFailed, match="every one of the 3 trials of study 's' failed") as failure:
        studies.optimize("s", objective, SPACE, n_trials=3, experiment="e")
    assert "ZeroDivisionError: mine" in failure.value.why
    [study] = stores.runs.runs(where=RunFilter(kind="study"))
    assert study.status == "failed"


class Stopping:
    """An objective that is interrupted at one call."""

    def __init__(self, at: int) -> None:
        self.calls = 0
        self.at = at

    def __call__(self, params: dict[str, Any]) -> float:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return parabola(params)


def test_an_interrupted_study_goes_on_as_if_it_had_not_been(studies: Studies, stores: Stores) -> None:
    whole = studies.optimize("whole", parabola, SPACE, n_trials=14, experiment="e")
    objective = Stopping(at=12)
    with pytest.raises(KeyboardInterrupt):
        studies.optimize("cut", objective, SPACE, n_trials=14, experiment="e")
    cut = studies.optimize("cut", objective, SPACE, n_trials=14, experiment="e")
    assert objective.calls == 12 + 3
    assert [trial.params for trial in cut.trials] == [trial.params for trial in whole.trials]
    assert cut.best_value == whole.best_value
    assert stores.runs.get(cut.run_id).status == "finished"
    assert len(stores.runs.runs(where=RunFilter(kind="study"))) == 2


def test_a_study_of_a_killed_process_goes_on(studies: Studies, stores: Stores, experiments: Experiments) -> None:
    objective = Stopping(at=4)
    with pytest.raises(KeyboardInterrupt):
        studies.optimize("s", objective, SPACE, n_trials=5, experiment="e")
    for run in stores.runs.runs():
        if run.status == "killed":  # a killed process leaves them running
            experiments.resume(run.id)
    study = studies.optimize("s", objective, SPACE, n_trials=5, experiment="e")
    assert len(study.trials) == 5
    statuses = [run.status for run in stores.runs.runs(where=RunFilter(kind="trial"))]
    assert sorted(statuses) == ["finished"] * 5 + ["killed"]


def test_a_resumed_study_counts_failed_trials(studies: Studies) -> None:
    def objective(params: dict[str, Any]) -> float:
        calls.append(params)
        if len(calls) == 1:
            raise ZeroDivisionError
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 1.0

    calls: list[dict[str, Any]] = []
    with pytest.raises(KeyboardInterrupt):
        studies.optimize("s", objective, SPACE, n_trials=4, experiment="e")
    study = studies.optimize("s", objective, SPACE, n_trials=4, experiment="e")
    assert [trial.status for trial in study.trials] == ["failed", "finished", "finished", "finished"]


def test_a_finished_study_is_begun_anew(studies: Studies) -> None:
    first = studies.optimize("s", parabola, SPACE, n_trials=2, experiment="e")
    assert studies.optimize("s", parabola, SPACE, n_trials=2, experiment="e").run_id != first.run_id


def test_a_study_is_not_resumed_with_other_settings(studies: Studies) -> None:
    with pytest.raises(KeyboardInterrupt):
        studies.optimize("s", Stopping(at=2), SPACE, n_trials=3, experiment="e")
    with pytest.raises(InvalidInput, match="begun with other settings"):
        studies.optimize("s", parabola, SPACE, n_trials=3, experiment="e", seed=9)
    other = studies.optimize("s", parabola, SPACE, n_trials=3, experiment="another", seed=9)
    assert len(other.trials) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"space": {}}, {"space": {"x": (0, 1)}}, {"n_trials": 0}, {"direction": "up"}],
)
def test_bad_settings_record_nothing(studies: Studies, stores: Stores, wrong: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"space": SPACE, "n_trials": 2, "direction": "maximize", **wrong}
    with pytest.raises(InvalidInput):
        studies.optimize("s", parabola, experiment="e", **settings)
    assert stores.runs.runs() == []
