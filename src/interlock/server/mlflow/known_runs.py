"""Look up the runs and experiments that requests name, and say in MLflow's words what stands in the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from interlock.core.clock import from_micros
from interlock.core.errors import Conflict, NotFound
from interlock.ports.experiment_rules import DEFAULT
from interlock.ports.experiment_store import Experiment
from interlock.ports.run_store import Run
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_records import RunRecord, flat_params, lifecycle_of, run_record
from interlock.server.mlflow.wire import Failure, Ground, invalid, missing

LAST_MILLIS = 253_402_300_799_999
"""The end of the year 9999, beyond which no calendar goes here."""
LAST_METRIC_MILLIS = (2**63 - 1) // 1000
_LONGEST_SHOWN = 300
_NUMBER = re.compile(r"-?[0-9]{1,18}")


def known_experiment(ground: Ground, experiment_id: str) -> Experiment:
    """Return an experiment by its id, deleted or not; none means the default one, which is always there."""
    number = experiment_number(experiment_id or "0")
    try:
        return ground.stores.experiments.get(number)
    except NotFound:
        if number == 0:
            return ground.stores.experiments.ensure(DEFAULT)
        raise missing(f"No Experiment with id={number} exists") from None


def active_experiment(ground: Ground, experiment_id: str) -> Experiment:
    """Return an experiment by its id, if it takes changes."""
    found = known_experiment(ground, experiment_id)
    if found.deleted_at is not None:
        raise invalid(f"The experiment {found.id} must be in the 'active' state. Current state is deleted.")
    return found


def experiment_number(text: str) -> int:
    """Return the number of an experiment."""
    if not _NUMBER.fullmatch(text):
        raise invalid(f"Invalid experiment ID '{text[:_LONGEST_SHOWN]}'. Experiment ID must be a valid integer.")
    return int(text)


def known_run(ground: Ground, run_id: str) -> Run:
    """Return a run, deleted or not."""
    try:
        return ground.stores.runs.get(run_id)
    except NotFound:
        raise _no_run(run_id) from None


def experiment_of(ground: Ground, run: Run) -> Experiment:
    """Return the experiment that a run is in, also when it was given another name since the run was read."""
    found = ground.stores.experiments.find(run.experiment)
    return found or ground.stores.experiments.ensure(known_run(ground, run.id).experiment)


def shown(ground: Ground, run: Run) -> RunRecord:
    """Return a run as MLflow shows it."""
    return run_record(run, experiment_of(ground, run))


@contextmanager
def writing_to(ground: Ground, run_id: str, *, params: dict[str, str] | None = None) -> Iterator[None]:
    """Say in MLflow's words why a store does not take what is written to a run.

    Args:
        ground: Where the run is.
        run_id: The run.
        params: The params that were to be set.
    """
    try:
        yield
    except NotFound:
        raise _no_run(run_id) from None
    except Conflict as conflict:
        run = known_run(ground, run_id)
        raise (
            _inactive(run) or _params_differ(run, params or {}) or invalid(f"{conflict.what}: {conflict.why}")
        ) from None


def check_active(run: Run) -> None:
    """Refuse what is to be done to a deleted run."""
    failure = _inactive(run)
    if failure is not None:
        raise failure


def _no_run(run_id: str) -> Failure:
    return missing(f"Run with id={run_id[:_LONGEST_SHOWN]} not found")


def _inactive(run: Run) -> Failure | None:
    state = lifecycle_of(run)
    if state == "active":
        return None
    return invalid(f"The run {run.id} must be in the 'active' state. Current state is {state}.")


def _params_differ(run: Run, params: dict[str, str]) -> Failure | None:
    known = dict(flat_params(run.params))
    for key, value in params.items():
        if known.get(key, value) != value:
            return invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with"
                f" value='{known[key]}' for run ID='{run.id}'. Attempted logging new value '{value}'."
            )
    return None


def moment_of(millis: int, *, path: str) -> datetime:
    """Return the time of milliseconds since 1970 UTC."""
    if not 0 <= millis <= LAST_MILLIS:
        raise invalid(invalid_value(path, millis, "It must be milliseconds since 1970, up to the year 9999."))
    return from_micros(millis * 1000)
