"""Search a space: ask for parameters, try them, record every trial as a run, and go on after an interruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

import msgspec

from interlock.core.errors import InvalidInput, StepFailed
from interlock.ports.run_store import Run, RunFilter, RunStatus, RunStore
from interlock.tuning.samplers import Direction, TpeSampler
from interlock.tuning.spaces import Choice, Float, Int, Space

VALUE = "value"
"""The metric under which a trial's result is logged."""

_PAGE = 500


class Trial(msgspec.Struct, frozen=True):
    """One try.

    Args:
        number: 0, 1, 2 … in the order of asking.
        run_id: Its run.
        params: What was tried.
        status: How its run ended.
        value: What came of it; None if it failed.
    """

    number: int
    run_id: str
    params: dict[str, Any]
    status: RunStatus
    value: float | None


class Study(msgspec.Struct, frozen=True):
    """A search that is over.

    Args:
        run_id: Its run; the trials are children of it.
        best_params: Parameters of the best trial.
        best_value: Its value.
        trials: All trials by number.
    """

    run_id: str
    best_params: dict[str, Any]
    best_value: float
    trials: tuple[Trial, ...]


class OpenRun(Protocol):
    """The part of an open run that a study needs."""

    id: str

    def log_metric(self, key: str, value: float, step: float | None = None) -> None:
        """Log one value of a metric."""
        ...

    def end(self, status: RunStatus = "finished", *, error: str | None = None) -> None:
        """Close the run."""
        ...

    def __enter__(self) -> Any:
        """Make it the run that others opened inside are children of."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it with the status that the exception, or none, calls for."""
        ...


class RunOpener(Protocol):
    """Opens runs, as `Experiments` does."""

    def run(
        self,
        experiment: str,
        *,
        name: str = "",
        kind: str = "training",
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        inputs: Sequence[str] = (),
    ) -> OpenRun:
        """Open a run."""
        ...

    def resume(self, run_id: str) -> OpenRun:
        """Open an earlier run again."""
        ...


class Studies:
    """The studies of a workspace.

    Args:
        experiments: Opens runs.
        runs: Where runs are recorded; from here an interrupted study is taken up again.
    """

    def __init__(self, experiments: RunOpener, runs: RunStore) -> None:
        self._experiments = experiments
        self._runs = runs

    def optimize(
        self,
        name: str,
        objective: Callable[[dict[str, Any]], float],
        space: Mapping[str, Space],
        *,
        n_trials: int,
        direction: Direction = "maximize",
        experiment: str,
        seed: int = 0,
        inputs: Sequence[str] = (),
    ) -> Study:
        """Try `n_trials` settings, chosen by a tree-structured Parzen estimator, and return the best.

        A study of the same name in the same experiment that was interrupted is gone on with: trials that were done
        count towards `n_trials`, and the rest are those that would have followed. With the same seed and the same
        objective the trials are the same.

        Args:
            name: The study's name.
            objective: Takes the parameters and returns the value to optimise; a trial that raises is recorded as
                failed, and the study goes on.
            space: Parameter to what it may be.
            n_trials: How many trials in all.
            direction: Whether a greater or a smaller value is better.
            experiment: The experiment that the study and its trials belong to.
            seed: Makes the search repeatable.
            inputs: Refs of what the trials are trained on.

        Raises:
            StepFailed: Every trial failed.
            MissingExtra: Optuna is not installed.
        """
        _check(space, n_trials, direction)
        sampler = TpeSampler(space, direction, seed)
        run, done = self._open(name, experiment, space, direction, seed, inputs)
        for trial in done:
            sampler.add(trial.params, trial.value)
        trials = list(done)
        with run:
            while len(trials) < n_trials:
                number = len(trials)
                trial = self._try(number, sampler.ask(number), objective, run.id, name, experiment, inputs)
                sampler.add(trial.params, trial.value)
                trials.append(trial)
            best = _best(trials, direction)
            if best is None:
                raise _all_failed(name, trials, self._runs)
            assert best.value is not None
            run.log_metric(VALUE, best.value)
            return Study(run.id, best.params, best.value, tuple(trials))

    def _try(
        self,
        number: int,
        params: dict[str, Any],
        objective: Callable[[dict[str, Any]], float],
        parent: str,
        name: str,
        experiment: str,
        inputs: Sequence[str],
    ) -> Trial:
        opened = self._experiments.run(
            experiment,
            name=f"{name}-{number}",
            kind="trial",
            params=params,
            tags={"study": name, "trial": str(number)},
            parent=parent,
            inputs=inputs,
        )
        try:
            with opened:
                value = _finite(objective(dict(params)))
                opened.log_metric(VALUE, value)
        except Exception:  # noqa: BLE001 (an objective may raise anything; the run holds the traceback)
            return Trial(number, opened.id, params, "failed", None)
        return Trial(number, opened.id, params, "finished", value)

    def _open(
        self,
        name: str,
        experiment: str,
        space: Mapping[str, Space],
        direction: Direction,
        seed: int,
        inputs: Sequence[str],
    ) -> tuple[OpenRun, list[Trial]]:
        settings = {"space": {key: repr(one) for key, one in space.items()}, "direction": direction, "seed": seed}
        found = self._interrupted(name, experiment)
        if found is None:
            return self._experiments.run(experiment, name=name, kind="study", params=settings, inputs=inputs), []
        if found.params != settings:
            raise InvalidInput(
                f"study '{name}' of experiment '{experiment}' was begun with other settings",
                why=f"it was interrupted with {found.params}, and is now given {settings}",
                fix="give the study another name, or the same settings",
            )
        return self._experiments.resume(found.id), self._finished_trials(found)

    def _interrupted(self, name: str, experiment: str) -> Run | None:
        """Return the newest study of that name, if it was left unfinished."""
        where = RunFilter(experiment=experiment, kind="study")
        newest = next((run for run in _all_runs(self._runs, where) if run.name == name), None)
        return newest if newest is not None and newest.status in ("running", "killed") else None

    def _finished_trials(self, study: Run) -> list[Trial]:
        """Return the trials that count, by number; one that was cut off is closed and will be tried again."""
        done: dict[int, Trial] = {}
        for run in _all_runs(self._runs, RunFilter(kind="trial", parent=study.id)):
            if run.status == "running":
                self._experiments.resume(run.id).end("killed", error="the study was interrupted")
            elif run.status != "killed":
                number = int(run.tags["trial"])
                value = run.metrics[VALUE].last if run.status == "finished" else None
                done[number] = Trial(number, run.id, run.params, run.status, value)
        return [done[number] for number in sorted(done)]


def _all_runs(runs: RunStore, where: RunFilter) -> Iterator[Run]:
    before = None
    while page := runs.runs(where=where, before=before, limit=_PAGE):
        yield from page
        before = page[-1].id


def _check(space: Mapping[str, Space], n_trials: int, direction: str) -> None:
    if not space:
        raise InvalidInput("the space is empty", why="there is nothing to search", fix='{"alpha": Float(0.01, 1.0)}')
    for name, one in space.items():
        if not isinstance(one, (Float, Int, Choice)):
            raise InvalidInput(f"'{name}' is searched in {one!r}", why="expected Float, Int or Choice")
    if n_trials < 1:
        raise InvalidInput(f"n_trials={n_trials}", why="expected 1 or more")
    if direction not in ("maximize", "minimize"):
        raise InvalidInput(f"'{direction}' is not a direction", why="expected 'maximize' or 'minimize'")


def _best(trials: Sequence[Trial], direction: Direction) -> Trial | None:
    sign = 1.0 if direction == "maximize" else -1.0
    finished = [trial for trial in trials if trial.value is not None]
    return max(finished, key=lambda trial: sign * (trial.value or 0.0), default=None)


def _all_failed(name: str, trials: Sequence[Trial], runs: RunStore) -> StepFailed:
    error = (runs.get(trials[-1].run_id).error or "").strip().splitlines()
    return StepFailed(
        f"every one of the {len(trials)} trials of study '{name}' failed",
        why=f"the last one said: {error[-1] if error else 'nothing'}",
        fix=f"run the objective by itself: objective({trials[-1].params})",
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise InvalidInput(f"the objective returned {value!r}", why="expected a finite number")
    return number
