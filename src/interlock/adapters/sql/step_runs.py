"""Begin and end many runs at once, in one transaction and few statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from interlock.adapters.sql import experiment_store
from interlock.adapters.sql.database import Database, Transaction
from interlock.adapters.sql.run_reading import rest_of
from interlock.core.clock import to_micros
from interlock.core.plain import as_text, pack
from interlock.ports.checks import pointed_at, unknown_name
from interlock.ports.experiment_store import Experiment
from interlock.ports.journal import Edge
from interlock.ports.run_rules import check_in_use
from interlock.ports.run_store import Run
from interlock.ports.search_order import cut, stored
from interlock.ports.step_cache import StepEnd, StepStart

_ASKED_AT_ONCE = 500


def begin_runs(tx: Transaction, database: Database, starts: Sequence[StepStart]) -> None:
    """Write runs that begin, with their events and edges; those that are there already are left as they are."""
    if not starts:
        return
    known = _statuses(tx, [start.run.id for start in starts])
    new = [start for start in starts if start.run.id not in known]
    _check_parents(tx, new)
    experiments = {name: _experiment(tx, database, name) for name in {start.run.experiment for start in new}}
    rows, params, tags, files, told, links = [], [], [], [], [], []
    for start in new:
        run = start.run
        started = to_micros(run.started_at)
        user = run.environment.get("user")
        rows.append(
            (
                run.id,
                experiments[run.experiment].id,
                run.kind,
                *stored(run.name),
                run.status,
                run.parent,
                cut(user) if isinstance(user, str) else None,
                started,
                rest_of(run),
            )
        )
        params += [(run.id, key, pack(value), started, *stored(as_text(value))) for key, value in run.params.items()]
        tags += [(run.id, key, started, *stored(value)) for key, value in run.tags.items()]
        told.append(_told("started", run))
        files += [(run.id, one.path, one.digest, one.size_bytes) for one in start.artifacts]
        links += pointed_at(start.edges, f"run:{run.id}")
        if run.parent is not None:
            links.append(Edge(f"run:{run.parent}", f"run:{run.id}", "contains"))
    tx.insert("runs (id, experiment, kind, name, long_name, status, parent, user_name, started, record)", rows)
    tx.insert("run_params (run, key, value, started, text, long_text)", params)
    _set_tags(tx, tags)
    _add_files(tx, files)
    tx.tell(told, links)


def end_runs(tx: Transaction, ends: Sequence[StepEnd]) -> list[str]:
    """Write how runs ended, with what they gave; return those whose series may be kept in less room."""
    if not ends:
        return []
    statuses = _statuses(tx, [end.run.id for end in ends])
    open_ends = [end for end in ends if statuses.get(end.run.id) == "running"]
    rows, tags, files, told, links = [], [], [], [], []
    for end in open_ends:
        run = end.run
        assert run.ended_at is not None
        rows.append((run.status, to_micros(run.ended_at), rest_of(run), run.id))
        tags += [(run.id, key, to_micros(run.started_at), *stored(value)) for key, value in end.tags.items()]
        files += [(run.id, one.path, one.digest, one.size_bytes) for one in end.artifacts]
        told.append(_told(run.status, run))
        links += pointed_at(end.edges, f"run:{run.id}")
    tx.many("UPDATE runs SET status = ?, ended = ?, record = ? WHERE id = ?", rows)
    _set_tags(tx, tags)
    _add_files(tx, files)
    tx.tell(told, links)
    ids = [end.run.id for end in open_ends]
    return [str(run) for part in _parts(ids) for (run,) in tx.query(f"{_WITH_METRICS} IN ({_marks(part)})", part)]


_WITH_METRICS = "SELECT DISTINCT run FROM run_metrics WHERE run"


def _told(what: str, run: Run) -> tuple[str, str, dict[str, str]]:
    payload = {"experiment": run.experiment, "kind": run.kind, "name": run.name}
    if run.error is not None:
        payload["error"] = run.error
    return f"run.{what}", f"run:{run.id}", payload


def _set_tags(tx: Transaction, rows: Sequence[Sequence[object]]) -> None:
    then = "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, long_value = excluded.long_value"
    tx.insert("run_tags (run, key, started, value, long_value)", rows, then=then)


def _add_files(tx: Transaction, rows: Sequence[Sequence[object]]) -> None:
    then = "ON CONFLICT (run, path) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes"
    tx.insert("run_artifacts (run, path, digest, size_bytes)", rows, then=then)


def _experiment(tx: Transaction, database: Database, name: str) -> Experiment:
    experiment = experiment_store.ensure(tx, database, name)
    check_in_use(experiment)
    return experiment


def _check_parents(tx: Transaction, starts: Sequence[StepStart]) -> None:
    inside = {start.run.id for start in starts}
    parents = {start.run.parent for start in starts if start.run.parent is not None} - inside
    absent = parents - _statuses(tx, sorted(parents)).keys()
    if absent:
        raise unknown_name("run", min(absent), ())


def _statuses(tx: Transaction, ids: Sequence[str]) -> dict[str, str]:
    """Return the status of those runs that are there; one that was deleted is `deleted`."""
    found = {}
    for part in _parts(ids):
        rows = tx.query(f"SELECT id, status, deleted FROM runs WHERE id IN ({_marks(part)})", part)
        found.update({str(run): status if deleted is None else "deleted" for run, status, deleted in rows})
    return found


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _ASKED_AT_ONCE] for start in range(0, len(ids), _ASKED_AT_ONCE))


def _marks(part: Sequence[str]) -> str:
    return ", ".join("?" * len(part))
