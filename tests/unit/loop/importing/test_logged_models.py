"""Logged models brought from a database, SQLite's and PostgreSQL's, and from a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from interlock.core.errors import Corrupt, NotFound, Unavailable
from interlock.loop.importing.mlflow_folder import MlflowFolder
from interlock.loop.importing.mlflow_sql import MlflowSql
from interlock.loop.importing.records import FROM, STATE
from interlock.loop.importing.writing import import_source
from interlock.ports.run_store import ModelUse
from interlock.ports.stores import Stores
from tests.postgres import fresh_schema
from tests.unit.loop.importing.logged import GONE_ID, MADE_MS, MODEL_ID, add_logged_model

SQL_TYPES = {"INTEGER": "bigint", "BIGINT": "bigint", "FLOAT": "double precision", "BOOLEAN": "boolean"}


def check_brought(stores: Stores) -> None:
    """Look at everything that the logged model came with."""
    (run,) = [one for one in stores.runs.search(lifecycle="all").runs if one.name == "parent"]
    model = stores.logged_models.get(MODEL_ID)
    assert (model.name, model.kind, model.status, model.run) == ("trees", "sklearn", "ready", run.id)
    assert (model.params, model.tags["team"]) == ({"depth": "3"}, "ops")
    assert model.tags[FROM].endswith(f"#{MODEL_ID}") and STATE in model.tags
    (auc,) = model.metrics
    assert (auc.value, auc.step, auc.time, auc.dataset_name) == (0.75, 2, MADE_MS * 1000, "flights")
    files = {entry.path: stores.artifacts.get(entry.digest) for entry in stores.files.files(f"models/{MODEL_ID}")}
    assert files[f"models/{MODEL_ID}/data/w.bin"] == b"weights of the logged model"
    assert len(files) == 2
    assert ModelUse(MODEL_ID, "output", 5) in run.models
    version = stores.models.get("delay model", version=4)
    assert {file.path for file in version.files} == {"MLmodel", "data/w.bin"}
    assert (version.metrics, version.flavor) == ({"auc": 0.75}, "python_function")
    assert stores.catalog.notes("delay model", 4).logged_model == MODEL_ID


def test_with_all_it_was_logged_with(mlflow_database: Path, stores: Stores) -> None:
    add_logged_model(mlflow_database)
    report = import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    assert report.is_whole, report.problems
    check_brought(stores)
    with pytest.raises(NotFound):
        stores.logged_models.get(GONE_ID)


def test_again_and_after_a_change(mlflow_database: Path, stores: Stores) -> None:
    add_logged_model(mlflow_database)
    import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    seen = stores.journal.events(limit=1000)[-1].seq
    assert import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores).is_whole
    later = {event.kind for event in stores.journal.events(after=seen, limit=1000)}
    assert not any(kind.startswith("logged_model") for kind in later)
    with closing(sqlite3.connect(mlflow_database)) as connection:
        connection.execute("UPDATE logged_model_tags SET tag_value = 'lab'")
        connection.commit()
    assert import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores).is_whole
    assert stores.logged_models.get(MODEL_ID).tags["team"] == "lab"


def test_one_that_cannot_be_brought_is_noted(mlflow_database: Path, stores: Stores) -> None:
    add_logged_model(mlflow_database)
    import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    with closing(sqlite3.connect(mlflow_database)) as connection:
        connection.execute("UPDATE logged_model_params SET param_value = '4'")
        connection.commit()
    report = import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    assert f"logged model {MODEL_ID}" in [one.thing for one in report.problems]
    assert stores.logged_models.get(MODEL_ID).params == {"depth": "3"}


def copy_to_postgres(database: Path, uri: str) -> None:
    """Copy every table of a SQLite file, with its rows."""
    with closing(sqlite3.connect(database)) as source, psycopg.connect(uri) as target:
        tables = [name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [(row[1], row[2]) for row in source.execute(f"PRAGMA table_info({table})")]
            kinds = [f'"{name}" {SQL_TYPES.get(kind.upper(), "text")}' for name, kind in columns]
            target.execute(f'CREATE TABLE "{table}" ({", ".join(kinds)})')
            flags = [kind.upper() == "BOOLEAN" for _, kind in columns]
            for row in source.execute(f"SELECT * FROM {table}"):
                values = [bool(value) if flag else value for value, flag in zip(row, flags, strict=True)]
                target.execute(f'INSERT INTO "{table}" VALUES ({", ".join(["%s"] * len(columns))})', values)


def test_from_postgresql(mlflow_database: Path, stores: Stores, postgres_uri: str) -> None:
    add_logged_model(mlflow_database)
    with fresh_schema(postgres_uri) as uri:
        copy_to_postgres(mlflow_database, uri)
        with closing(MlflowSql(uri, artifacts=(mlflow_database.parent,))) as source:
            report = import_source(source, stores)
    assert report.is_whole, report.problems
    check_brought(stores)


def test_a_database_that_is_away() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        MlflowSql("postgresql://nobody:secret@127.0.0.1:1/none")


@pytest.fixture
def folder(unpacked: Callable[[str], Path]) -> Path:
    """The recorded folder, with a logged model in the experiment of the run `parent`."""
    root = unpacked("mlflow-3.17.2-folder") / "mlruns"
    (named,) = [path for path in root.glob("*/*/tags/mlflow.runName") if path.read_text() == "parent"]
    run = named.parents[1]
    place = run.parent / "models" / MODEL_ID
    for name, text in {
        "meta.yaml": f"model_id: {MODEL_ID}\nname: trees\nmodel_type: sklearn\nstatus: 2\nsource_run_id: {run.name}\n"
        f"creation_timestamp: {MADE_MS}\nlast_updated_timestamp: {MADE_MS}\nlifecycle_stage: active\n"
        f"artifact_location: {place / 'artifacts'}\n",
        "params/depth": "3",
        "tags/team": "ops",
        "metrics/auc": f"{MADE_MS} 0.75 2 {run.name} flights 90c28bcc\n",
        "artifacts/data/w.bin": "weights of the logged model",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    output = run / "outputs" / "u1"
    output.mkdir(parents=True)
    (output / "meta.yaml").write_text(
        f"source_type: RUN_OUTPUT\nsource_id: {run.name}\ndestination_type: MODEL_OUTPUT\n"
        f"destination_id: {MODEL_ID}\nstep: 5\n"
    )
    return root


def test_from_a_folder(folder: Path, stores: Stores) -> None:
    report = import_source(MlflowFolder(folder), stores)
    assert report.is_whole, report.problems
    model = stores.logged_models.get(MODEL_ID)
    assert (model.name, model.params, model.tags["team"]) == ("trees", {"depth": "3"}, "ops")
    assert [(one.key, one.value, one.step, one.dataset_name) for one in model.metrics] == [("auc", 0.75, 2, "flights")]
    assert [one.path for one in stores.files.files(f"models/{MODEL_ID}")] == [f"models/{MODEL_ID}/data/w.bin"]
    (run,) = [one for one in stores.runs.search(lifecycle="all").runs if one.name == "parent"]
    assert ModelUse(MODEL_ID, "output", 5) in run.models


@pytest.mark.parametrize(("name", "text"), [("loss", "1 nothing 2\n"), ("loss", "1\n")])
def test_a_damaged_metric_is_named(folder: Path, stores: Stores, name: str, text: str) -> None:
    (path,) = [one for one in folder.glob(f"*/*/metrics/{name}") if one.stat().st_size > 200]
    path.write_text(text)
    report = import_source(MlflowFolder(folder), stores)
    assert any("is not 'TIME VALUE STEP'" in one.why for one in report.problems)


def test_a_damaged_time_is_named(folder: Path, stores: Stores) -> None:
    (named,) = [path for path in folder.glob("*/*/tags/mlflow.runName") if path.read_text() == "parent"]
    meta = named.parents[1] / "meta.yaml"
    lines = ["start_time: soon" if line.startswith("start_time") else line for line in meta.read_text().splitlines()]
    meta.write_text("\n".join(lines))
    with pytest.raises(Corrupt, match="damaged"):
        import_source(MlflowFolder(folder), stores)
