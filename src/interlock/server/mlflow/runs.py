"""Answer MLflow's endpoints that create, change, delete and show runs."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from interlock.core.errors import Conflict, NotFound
from interlock.core.ids import encode_id, new_id
from interlock.ports.run_store import Run, RunChange, RunStatus
from interlock.server.http import JSON_TYPE, Answer, Request
from interlock.server.mlflow.key_rules import checked_run_id
from interlock.server.mlflow.known_runs import (
    active_experiment,
    check_active,
    experiment_of,
    known_run,
    moment_of,
    shown,
    writing_to,
)
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_names import run_name
from interlock.server.mlflow.run_records import (
    COMMIT,
    MADE_BY_MLFLOW,
    PARENT,
    RUN_NAME,
    SOURCE_NAME,
    STATUSES,
    USER,
    Int64,
    KeyValue,
    RunInfo,
    RunRecord,
    run_info,
    run_record,
)
from interlock.server.mlflow.wire import DONE, Endpoint, Ground, RawEndpoint, invalid, read, write

IDEMPOTENCY_KEY = "idempotency-key"
_LONGEST_IDEMPOTENCY_KEY = 255


class _Create(msgspec.Struct, kw_only=True):
    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | None = None
    tags: list[KeyValue] = []


class _Update(msgspec.Struct, kw_only=True):
    run_id: str = ""
    run_uuid: str = ""
    status: str | int | None = None
    end_time: Int64 | None = None
    run_name: str = ""


class _OneRun(msgspec.Struct, kw_only=True):
    run_id: str = ""
    run_uuid: str = ""


class RunAnswer(msgspec.Struct, frozen=True):
    """One run."""

    run: RunRecord


class RunInfoAnswer(msgspec.Struct, frozen=True):
    """What of one run is not logged."""

    run_info: RunInfo


async def _create(ground: Ground, request: Request) -> Answer:
    asked = await read(request, _Create)
    return write(request, await ground.workers.in_turn(_created, ground, asked, request.header(IDEMPOTENCY_KEY)))


def _created(ground: Ground, asked: _Create, key: str | None) -> RunAnswer:
    experiment = active_experiment(ground, asked.experiment_id)
    tags = {tag.key: tag.value for tag in asked.tags}
    named = tags.pop(RUN_NAME, "")
    if named and asked.run_name and named != asked.run_name:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
            f" (run_name='{asked.run_name}', mlflow.runName='{named}')."
        )
    started = moment_of(asked.start_time, path="start_time") if asked.start_time else ground.clock.now()
    user = asked.user_id or tags.get(USER, "")
    run = Run(
        id=new_id() if key is None else _id_from(key, experiment=experiment.id, start_time=asked.start_time or 0),
        experiment=experiment.name,
        kind="training",
        name=asked.run_name or named or run_name(),
        status="running",
        started_at=started,
        parent=tags.get(PARENT),
        tags=tags,
        code={"vcs": "git" if COMMIT in tags else "none"}
        | {name: tags[tag] for name, tag in (("commit", COMMIT), ("entry_point", SOURCE_NAME)) if tag in tags},
        environment={**MADE_BY_MLFLOW, **({"user": user} if user else {})},
    )
    try:
        return RunAnswer(run_record(_store(ground, run), experiment))
    except Conflict:
        if key is None:
            raise
        return RunAnswer(shown(ground, known_run(ground, run.id)))


def _store(ground: Ground, run: Run) -> Run:
    try:
        return ground.stores.runs.create(run)
    except NotFound:
        # clients may name any parent; only one that is here can be linked to
        return ground.stores.runs.create(msgspec.structs.replace(run, parent=None))


def _id_from(key: str, *, experiment: int, start_time: int) -> str:
    """Return the id of the run that a client creates under a key: the same however often it asks."""
    if not 1 <= len(key) <= _LONGEST_IDEMPOTENCY_KEY:
        raise invalid(
            f"The header Idempotency-Key has {len(key)} characters; expected 1 to {_LONGEST_IDEMPOTENCY_KEY}."
        )
    drawn = hashlib.blake2b(f"{experiment}/{key}".encode(), digest_size=10).digest()
    return encode_id((start_time & (2**48 - 1)) << 80 | int.from_bytes(drawn, "big"))


def _get(ground: Ground, asked: _OneRun) -> RunAnswer:
    return RunAnswer(shown(ground, known_run(ground, checked_run_id(asked.run_id, asked.run_uuid))))


def _update(ground: Ground, asked: _Update) -> RunInfoAnswer:
    run_id = checked_run_id(asked.run_id, asked.run_uuid)
    status = _status(asked.status)
    ended_at = moment_of(asked.end_time, path="end_time") if asked.end_time else None
    run = known_run(ground, run_id)
    check_active(run)
    if status is None and ended_at is not None:
        status = run.status
    if asked.end_time and status in ("running", "scheduled") and run.status == status:
        raise invalid(invalid_value("end_time", asked.end_time, f"The run is {status.upper()}; give its status too."))
    with writing_to(ground, run_id):
        if asked.run_name and asked.run_name != run.name:
            run = ground.stores.runs.update(run_id, RunChange(name=asked.run_name))
        if status is not None:
            over = ended_at or (run.ended_at if run.status == status else None) or ground.clock.now()
            run = ground.stores.runs.end(run_id, status=status, ended_at=over)
    return RunInfoAnswer(run_info(run, experiment_of(ground, run)))


def _status(given: str | int | None) -> RunStatus | None:
    if given is None:
        return None
    words = {status.upper(): status for status in STATUSES}
    if given in words:
        return words[str(given)]
    if isinstance(given, int) and 1 <= given <= len(STATUSES):
        return STATUSES[given - 1]
    raise invalid(invalid_value("status", given, f"Expected one of {', '.join(words)}."))


def _delete(ground: Ground, asked: _OneRun) -> Any:
    return _mark(ground, asked, deleted=True)


def _restore(ground: Ground, asked: _OneRun) -> Any:
    return _mark(ground, asked, deleted=False)


def _mark(ground: Ground, asked: _OneRun, *, deleted: bool) -> Any:
    run_id = checked_run_id(asked.run_id, asked.run_uuid)
    with writing_to(ground, run_id):
        ground.stores.runs.update(run_id, RunChange(deleted=deleted))
    return DONE


_RUNS = "/2.0/mlflow/runs"

ENDPOINTS: tuple[Endpoint | RawEndpoint, ...] = (
    RawEndpoint(method="POST", path=f"{_RUNS}/create", answer=_create, media_types=(JSON_TYPE,)),
    Endpoint(method="GET", path=f"{_RUNS}/get", request=_OneRun, handle=_get),
    Endpoint(method="POST", path=f"{_RUNS}/update", request=_Update, handle=_update),
    Endpoint(method="POST", path=f"{_RUNS}/delete", request=_OneRun, handle=_delete),
    Endpoint(method="POST", path=f"{_RUNS}/restore", request=_OneRun, handle=_restore),
)
