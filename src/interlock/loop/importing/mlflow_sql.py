"""Read an MLflow store in SQLite or PostgreSQL, without MLflow and without writing to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from interlock.core.errors import InvalidInput, NotFound, Unavailable, missing_extra
from interlock.loop.importing.files import ArtifactFolders, without_secrets
from interlock.loop.importing.mlflow_records import (
    DELETED_VERSION,
    Point,
    RunParts,
    dataset_use,
    foreign_experiment,
    foreign_run,
    foreign_version,
    logged_model,
    series_of,
    value_from_sql,
)
from interlock.loop.importing.records import ForeignExperiment, ForeignLoggedModel, ForeignModel, ForeignRun
from interlock.ports.logged_model_store import ModelMetric
from interlock.ports.run_store import DatasetUse, ModelUse, Series

_ROWS_AT_ONCE = 50_000
_Row = dict[str, Any]


class _Rows(Protocol):
    """A database that answers SELECTs."""

    def tables(self) -> set[str]:
        """Return the names of its tables."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[_Row]:
        """Yield rows by name of column; `?` stands for a value."""

    def close(self) -> None:
        """Let go of it."""


class MlflowSql:
    """An MLflow store in a database.

    Args:
        uri: `sqlite:///file` or `postgresql://…`.
        artifacts: Folders in which files may be read; for SQLite the folder of its file is one always. The first one
            is where addresses `mlflow-artifacts:/…` lie.
    """

    kind = "mlflow"

    def __init__(self, uri: str, *, artifacts: tuple[Path, ...] = ()) -> None:
        self.uri = without_secrets(uri)
        allowed = list(artifacts)
        if uri.startswith("sqlite:"):
            path = Path(unquote(urlsplit(uri).path)[1:])
            self._database: _Rows = _Sqlite(path)
            allowed.append(path.resolve().parent)
        else:
            self._database = _Postgres(uri)
        self._tables = self._database.tables()
        if not {"experiments", "runs", "metrics"} <= self._tables:
            raise InvalidInput(
                f"{self.uri} is not an MLflow store", why=f"its tables are {', '.join(sorted(self._tables)[:8])}"
            )
        self._places = ArtifactFolders(allowed, proxied=artifacts[0] if artifacts else None)

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments, deleted ones too."""
        for row in list(self._rows("experiments", order="experiment_id")):
            tags = self._pairs("experiment_tags", "experiment_id", row["experiment_id"])
            yield foreign_experiment(
                str(row["experiment_id"]),
                row["name"],
                tags=tags,
                location=row["artifact_location"] or "",
                deleted=row["lifecycle_stage"] == "deleted",
            )

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of an experiment, the oldest first."""
        found = self._rows("runs", "experiment_id", int(experiment.key), order="start_time, run_uuid")
        for row in list(found):
            yield self._run(row, experiment.name)

    def _run(self, row: _Row, experiment: str) -> ForeignRun:
        run_id = row["run_uuid"]
        datasets, models = self._uses(run_id)
        parts = RunParts(
            id=run_id,
            name=row["name"] or "",
            status=row["status"],
            start_time=row["start_time"],
            end_time=row["end_time"],
            user=row["user_id"] or "",
            deleted=row["lifecycle_stage"] == "deleted",
            params=self._pairs("params", "run_uuid", run_id),
            tags=self._pairs("tags", "run_uuid", run_id),
            datasets=datasets,
            models=models,
        )
        counts = "SELECT key, count(*) AS points FROM metrics WHERE run_uuid = ? GROUP BY key ORDER BY key"
        stamps = [(one["key"], one["points"]) for one in self._database.rows(counts, [run_id])]
        files, left_out = self._places.files_at(row["artifact_uri"] or "")
        return foreign_run(
            parts,
            experiment=experiment,
            stamps=stamps,
            series=partial(self._series, run_id),
            files=files,
            left_out=left_out,
        )

    def _series(self, run_id: str) -> Iterator[Series]:
        key: str | None = None
        points: list[Point] = []
        found = """SELECT key, value, is_nan, step, timestamp FROM metrics WHERE run_uuid = ?
            ORDER BY key, timestamp, step"""
        for row in self._database.rows(found, [run_id]):
            if points and (row["key"] != key or len(points) == _ROWS_AT_ONCE):
                yield series_of(str(key), points)
                points = []
            key = row["key"]
            value = value_from_sql(row["value"], is_nan=bool(row["is_nan"]))
            points.append((value, row["step"], row["timestamp"]))
        if points:
            yield series_of(str(key), points)

    def _uses(self, run_id: str) -> tuple[list[DatasetUse], list[ModelUse]]:
        datasets: list[DatasetUse] = []
        models: list[ModelUse] = []
        for use in list(self._rows("inputs", "destination_id", run_id)):
            for row in list(self._rows("datasets", "dataset_uuid", use["source_id"])):
                described = {key.removeprefix("dataset_"): value for key, value in row.items()}
                tags = self._pairs("input_tags", "input_uuid", use["input_uuid"], key="name")
                datasets.append(dataset_use(described, tags))
        for use in list(self._rows("inputs", "source_id", run_id)):
            if use["destination_type"] in ("MODEL_INPUT", "MODEL_OUTPUT"):
                role = "input" if use["destination_type"] == "MODEL_INPUT" else "output"
                models.append(ModelUse(use["destination_id"], role, use.get("step") or 0))  # type: ignore[arg-type]
        return datasets, models

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield the logged models of an experiment."""
        for row in list(self._rows("logged_models", "experiment_id", int(experiment.key))):
            given = {
                "id": row["model_id"],
                "name": row["name"],
                "created": row["creation_timestamp_ms"],
                "updated": row["last_updated_timestamp_ms"],
                "run": row["source_run_id"],
                "kind": row["model_type"],
                "status": row["status"],
                "status_message": row["status_message"],
            }
            model = logged_model(
                given,
                experiment=experiment.name,
                params=self._pairs("logged_model_params", "model_id", row["model_id"], "param_key", "param_value"),
                tags=self._pairs("logged_model_tags", "model_id", row["model_id"], "tag_key", "tag_value"),
                metrics=[_model_metric(one) for one in self._rows("logged_model_metrics", "model_id", row["model_id"])],
                deleted=row["lifecycle_stage"] == "deleted",
            )
            yield ForeignLoggedModel(model, *self._places.files_at(row["artifact_location"] or ""))

    def models(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""
        for row in list(self._rows("registered_models", order="name")):
            name = row["name"]
            versions = []
            for one in list(self._rows("model_versions", "name", name, order="version")):
                if one["current_stage"] == DELETED_VERSION:
                    continue
                tags = {
                    tag["key"]: tag["value"] or ""
                    for tag in self._rows("model_version_tags", "name", name)
                    if tag["version"] == one["version"]
                }
                given = {
                    **one,
                    "storage": one.get("storage_location"),
                    "run": one["run_id"],
                    "created": one["creation_time"],
                    "stage": one["current_stage"],
                }
                versions.append(foreign_version(given, tags=tags, files_at=self._places.files_at))
            aliases = {
                one["alias"]: int(one["version"]) for one in self._rows("registered_model_aliases", "name", name)
            }
            tags = self._pairs("registered_model_tags", "name", name)
            yield ForeignModel(name, row["description"] or "", tags, aliases, tuple(versions))

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _rows(self, table: str, column: str = "", value: Any = None, *, order: str = "") -> Iterator[_Row]:
        """Yield the rows of a table, where older stores have it."""
        if table not in self._tables:
            return
        sql = f"SELECT * FROM {table}" + (f" WHERE {column} = ?" if column else "")  # noqa: S608 (names of our own)
        yield from self._database.rows(sql + (f" ORDER BY {order}" if order else ""), [value] if column else [])

    def _pairs(self, table: str, column: str, value: Any, key: str = "key", of: str = "value") -> dict[str, str]:
        return {row[key]: row[of] or "" for row in self._rows(table, column, value)}


def _model_metric(row: _Row) -> ModelMetric:
    return ModelMetric(
        key=row["metric_name"],
        value=value_from_sql(row["metric_value"] or 0.0, is_nan=False),
        step=row["metric_step"],
        time=row["metric_timestamp_ms"] * 1000,
        run=row["run_id"] or "",
        dataset_name=row["dataset_name"] or "",
        dataset_digest=row["dataset_digest"] or "",
    )


class _Sqlite:
    """A SQLite file, opened read-only."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"there is no file {path}", fix="interlock import mlflow sqlite:///mlflow.db")
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        self._connection.row_factory = sqlite3.Row

    def tables(self) -> set[str]:
        """Return the names of its tables."""
        try:
            return {row["name"] for row in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            raise InvalidInput("this is not a SQLite file", why=str(error)) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[_Row]:
        """Yield rows by name of column."""
        for row in self._connection.execute(sql, values):
            yield dict(row)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class _Postgres:
    """A PostgreSQL database, in one transaction that may only read."""

    def __init__(self, uri: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise missing_extra("psycopg", extra="postgres", purpose="reading from PostgreSQL") from error
        plain = "postgresql://" + uri.partition("://")[2]
        try:
            self._connection = psycopg.connect(plain, row_factory=psycopg.rows.dict_row)
        except psycopg.OperationalError as error:
            raise Unavailable(f"{without_secrets(uri)} does not answer", why=str(error).partition("\n")[0]) from error
        self._connection.read_only = True

    def tables(self) -> set[str]:
        """Return the names of its tables."""
        found = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return {row["tablename"] for row in self.rows(found)}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[_Row]:
        """Yield rows by name of column."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql.replace("?", "%s"), values)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from (dict(row) for row in rows)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
