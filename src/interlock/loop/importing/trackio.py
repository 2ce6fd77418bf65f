"""Read what trackio keeps: one SQLite file for each project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.clock import from_micros, to_micros
from interlock.core.errors import Corrupt, InvalidInput
from interlock.loop.importing.files import folder_files
from interlock.loop.importing.points import Points, numbers_in
from interlock.loop.importing.records import (
    ForeignExperiment,
    ForeignFile,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
)
from interlock.loop.importing.run_ids import run_id_for
from interlock.ports.run_store import Run

_SYSTEM = "system."
_decode = msgspec.json.Decoder().decode
_Row = dict[str, Any]


class Trackio:
    """The projects in a folder of trackio.

    Args:
        place: That folder, or the `.db` file of one project.
    """

    kind = "trackio"

    def __init__(self, place: Path) -> None:
        self._folder = place if place.is_dir() else place.parent
        self._files = sorted(place.glob("*.db")) if place.is_dir() else [place]
        self._files = [path for path in self._files if path.is_file() and "metrics" in _tables(path)]
        if not self._files:
            raise InvalidInput(f"there are no projects of trackio in {place}", why="no .db file has a table 'metrics'")

    @property
    def uri(self) -> str:
        """Where they are."""
        return str(self._folder.resolve())

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the projects."""
        yield from (ForeignExperiment(path.name, path.stem) for path in self._files)

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of a project, the oldest first."""
        path = self._folder / experiment.key
        with closing(_connect(path)) as connection:
            tables = _tables(path)
            names = [one["name"] for one in _rows(connection, "PRAGMA table_info(metrics)")]
            by = "run_id" if "run_id" in names else "run_name"
            began = f"SELECT {by} AS run, min(timestamp) AS began FROM metrics GROUP BY {by} ORDER BY began"  # noqa: S608
            for one in list(_rows(connection, began)):
                yield self._run(connection, tables, experiment, by, one["run"])

    def _run(
        self, connection: sqlite3.Connection, tables: set[str], experiment: ForeignExperiment, by: str, key: str
    ) -> ForeignRun:
        points = Points()
        times: list[int] = []
        name = key
        notes: dict[str, str] = {}
        for row in _rows(connection, f"SELECT * FROM metrics WHERE {by} = ? ORDER BY id", key):  # noqa: S608
            name, micros = row["run_name"], _micros(row["timestamp"])
            times.append(micros)
            logged = _mapping(row["metrics"])
            for metric, value in numbers_in(logged, ""):
                points.add(metric, value, step=row["step"], micros=micros)
            notes.update({f"trackio.{one}": value for one, value in logged.items() if _is_note(value)})
        if "system_metrics" in tables:
            for row in _rows(connection, f"SELECT * FROM system_metrics WHERE {by} = ? ORDER BY id", key):  # noqa: S608
                micros = _micros(row["timestamp"])
                for metric, value in numbers_in(_mapping(row["metrics"]), ""):
                    # system metrics have no step: they are placed by the seconds since 1970
                    points.add(_SYSTEM + metric, value, step=micros / 1e6, micros=micros)
        config: dict[str, Any] = {}
        for row in _rows(connection, f"SELECT * FROM configs WHERE {by} = ?", key) if "configs" in tables else ():  # noqa: S608
            config = _mapping(row["config"])
        tags = {f"trackio.{one[1:].lower()}": str(value) for one, value in config.items() if one[0] == "_" and value}
        run = Run(
            id=run_id_for(key, of=f"trackio/{experiment.name}"),
            experiment=experiment.name,
            kind="training",
            name=name,
            status="finished",
            started_at=from_micros(min(times, default=0)),
            ended_at=from_micros(max(times, default=0)),
            params={one: value for one, value in config.items() if not one.startswith("_")},
            tags={**tags, **notes},
            environment={"client": "trackio"},
        )
        files = self._media(experiment.name, key, name)
        return ForeignRun(run, f"{experiment.name}/{key}", tuple(points.counts()), points.series, files)

    def _media(self, project: str, *names: str) -> tuple[ForeignFile, ...]:
        for name in names:
            folder = self._folder / "media" / project / name
            if folder.is_dir() and folder.resolve().is_relative_to(self._folder.resolve()):
                return folder_files(folder)
        return ()

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield nothing: trackio has none."""
        yield from ()

    def models(self) -> Iterator[ForeignModel]:
        """Yield nothing: trackio has none."""
        yield from ()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _tables(path: Path) -> set[str]:
    try:
        with closing(_connect(path)) as connection:
            return {row["name"] for row in _rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{path} is not a SQLite file", why=str(error)) from error


def _rows(connection: sqlite3.Connection, sql: str, *values: str) -> Iterator[_Row]:
    for row in connection.execute(sql, values):
        yield dict(row)


def _mapping(encoded: str | bytes) -> dict[str, Any]:
    try:
        found = _decode(encoded)
    except msgspec.DecodeError as error:
        raise Corrupt("a row of trackio is damaged", why=f"{encoded!r:.80} is no JSON") from error
    return found if isinstance(found, dict) else {}


def _is_note(value: Any) -> bool:
    return isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity")


def _micros(timestamp: str) -> int:
    moment = datetime.fromisoformat(timestamp)
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
