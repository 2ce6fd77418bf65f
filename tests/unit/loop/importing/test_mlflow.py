"""What MLflow stores hold, brought over whole from a folder and from a database."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import to_micros
from interlock.core.errors import InvalidInput, NotFound
from interlock.loop.importing.mlflow_folder import MlflowFolder
from interlock.loop.importing.mlflow_records import place_of, run_status, value_from_sql
from interlock.loop.importing.mlflow_sql import MlflowSql
from interlock.loop.importing.records import FROM, NUMBER, STATE, Source
from interlock.loop.importing.writing import import_source
from interlock.ports.run_store import Run, RunBatch, RunChange, RunFilter
from interlock.ports.stores import Stores

T0 = 1_700_000_000_000_000
FLIGHTS = "team/flight delay"


@pytest.fixture(params=["folder", "sqlite"])
def open_source(request: pytest.FixtureRequest) -> Callable[[], Source]:
    if request.param == "folder":
        folder = request.getfixturevalue("unpacked")("mlflow-3.17.2-folder") / "mlruns"
        return lambda: MlflowFolder(folder)
    path = request.getfixturevalue("mlflow_database")
    return lambda: MlflowSql(f"sqlite:///{path}")


def run_called(stores: Stores, name: str) -> Run:
    (found,) = [run for run in stores.runs.search(lifecycle="all").runs if run.name == name]
    return found


def content(stores: Stores) -> Iterator[Any]:
    """Yield all that an import writes, without the times at which it did."""
    for run in sorted(stores.runs.search(lifecycle="all").runs, key=lambda one: one.id):
        yield run.id, run.name, run.status, run.params, run.tags, run.parent, run.deleted_at is None, run.datasets
        yield repr([stores.runs.history(run.id, key) for key in sorted(run.metrics)])
        yield stores.runs.artifacts(run.id)
    for model in stores.catalog.search().models:
        yield model.name, model.description, model.tags, model.aliases
        for version in stores.models.versions(model.name) if model.versions else []:
            notes = stores.catalog.notes(model.name, version.version)
            yield version.version, version.files, notes.stage, notes.tags, notes.description


def test_runs_with_all_they_logged(open_source: Callable[[], Source], stores: Stores) -> None:
    report = import_source(open_source(), stores)
    assert report.is_whole, report.problems
    counts = {one.experiment: one for one in report.experiments}
    assert (counts[FLIGHTS].runs, counts[FLIGHTS].written, counts[FLIGHTS].points) == (3, 3, 25)
    assert (counts[FLIGHTS].files, counts["given up"].written) == (3, 1)
    run = run_called(stores, "parent")
    assert len(run.id) == 32
    assert (run.experiment, run.status, run.params) == (FLIGHTS, "finished", {"lr": "0.1"})
    assert (to_micros(run.started_at), run.environment["user"]) == (T0, "ada")
    assert run.ended_at is not None and to_micros(run.ended_at) == T0 + 9_000_000
    assert run.tags["k"] == "v" and run.tags[FROM].startswith("mlflow:") and STATE in run.tags
    assert [(one.name, one.digest, one.context) for one in run.datasets] == [("flights", "90c28bcc", "training")]
    assert run.metrics["loss"].count == 20
    odd = [point.value for point in stores.runs.history(run.id, "odd/acc")]
    assert math.isnan(odd[0]) and odd[1] == math.inf
    assert [(point.step, point.value) for point in stores.runs.history(run.id, "back")] == [(2, 2.0), (5, 3.0)]
    files = {entry.path: stores.artifacts.get(entry.digest) for entry in stores.runs.artifacts(run.id)}
    assert files["notes/a b.txt"] == b"hello" and set(files) == {"notes/a b.txt", "model/MLmodel", "model/data/w.bin"}


def test_children_that_began_first_find_their_parent(open_source: Callable[[], Source], stores: Stores) -> None:
    import_source(open_source(), stores)
    child = run_called(stores, "child")
    assert (child.parent, child.status) == (run_called(stores, "parent").id, "failed")


def test_what_was_deleted_is_deleted_here(open_source: Callable[[], Source], stores: Stores) -> None:
    import_source(open_source(), stores)
    assert run_called(stores, "thrown away").deleted_at is not None
    experiment = stores.experiments.find("given up")
    assert experiment is not None and experiment.deleted_at is not None
    assert run_called(stores, "of given up").deleted_at is not None
    assert stores.runs.count(where=RunFilter(experiment=FLIGHTS)) == 2


def test_registered_models_keep_their_numbers(open_source: Callable[[], Source], stores: Stores) -> None:
    import_source(open_source(), stores)
    model = stores.catalog.get("delay model")
    assert (model.description, model.tags["owner"], model.aliases) == ("says when it is late", "ops", {"champion": 3})
    assert [one.version for one in stores.models.versions("delay model")] == [3, 1]
    third, first = (stores.catalog.notes("delay model", number) for number in (3, 1))
    assert (third.tags["checked"], third.tags[NUMBER], third.description) == ("yes", "3", "no 3")
    assert first.stage == "Archived"
    assert third.run == run_called(stores, "parent").id
    version = stores.models.get("delay model", version=3)
    assert [file.path for file in version.files] == ["MLmodel", "data/w.bin"]
    assert version.flavor == "python_function"
    assert stores.catalog.get("empty one").versions == 0


def test_again_is_nothing_new(open_source: Callable[[], Source], stores: Stores) -> None:
    import_source(open_source(), stores)
    before = list(content(stores))
    seen = stores.journal.events(limit=1000)[-1].seq
    report = import_source(open_source(), stores)
    assert [one.written for one in report.experiments] == [0, 0, 0]
    assert sum(one.unchanged for one in report.experiments) == 4
    assert sum(one.written for one in report.models) == 0
    assert list(content(stores)) == before
    later = stores.journal.events(after=seen, limit=1000)
    assert {event.kind.partition(".")[0] for event in later} <= {"experiment"}


def test_an_import_broken_off_anywhere_ends_the_same(
    open_source: Callable[[], Source], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = memory_stores()
    import_source(open_source(), whole)

    class Broken(BaseException):
        pass

    writes = [(stores.runs, name) for name in ("create", "log", "end", "update")]
    writes += [(stores.models, name) for name in ("add_version", "set_alias")]  # type: ignore[list-item]
    writes += [(stores.catalog, name) for name in ("create", "update", "annotate", "delete_version")]  # type: ignore[list-item]
    left = 0

    def breaking(method: Callable[..., Any], after: bool) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0 and not after:
                raise Broken
            answer = method(*args, **more)
            if left == 0:
                raise Broken
            return answer

        return call

    for place, (store, name) in enumerate(writes):
        monkeypatch.setattr(store, name, breaking(getattr(store, name), after=bool(place % 2)))
    broken_off = 0
    for step in range(1, 200):
        left = step
        try:
            report = import_source(open_source(), stores)
        except Broken:
            broken_off += 1
            continue
        assert report.is_whole, report.problems
        break
    assert broken_off > 5
    left = 0
    assert list(content(stores)) == list(content(whole))


def test_what_was_logged_since_is_brought(mlflow_database: Path, stores: Stores) -> None:
    import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    run = run_called(stores, "parent")
    connection = sqlite3.connect(mlflow_database)
    connection.execute(
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('loss', 0.5, 1, ?, 99, 0)",
        [run.id],
    )
    connection.commit()
    connection.close()
    report = import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    assert sum(one.written for one in report.experiments) == 1
    assert stores.runs.get(run.id).metrics["loss"].count == 21


def test_a_run_that_was_not_imported_is_left_alone(mlflow_database: Path, stores: Stores) -> None:
    source = MlflowSql(f"sqlite:///{mlflow_database}")
    import_source(source, stores)
    run = run_called(stores, "parent")
    other = memory_stores()
    other.runs.create(Run(run.id, "mine", "training", "mine", "running", run.started_at))
    report = import_source(source, other)
    assert not report.is_whole
    assert [one.thing for one in report.problems if one.thing.startswith("run")] == [f"run {run.id}"]
    assert other.runs.get(run.id).name == "mine"


def test_a_run_deleted_here_comes_back_as_the_source_has_it(mlflow_database: Path, stores: Stores) -> None:
    source = MlflowSql(f"sqlite:///{mlflow_database}")
    import_source(source, stores)
    run = run_called(stores, "parent")
    stores.runs.update(run.id, RunChange(deleted=True))
    import_source(source, stores)
    assert stores.runs.get(run.id).deleted_at is None


def test_files_outside_the_store_are_not_read(mlflow_database: Path, stores: Stores, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "key").write_text("secret")
    connection = sqlite3.connect(mlflow_database)
    connection.execute("UPDATE runs SET artifact_uri = ?", [secret.as_uri()])
    connection.commit()
    connection.close()
    report = import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    assert any("--artifacts" in one.why for one in report.problems)
    assert stores.runs.artifacts(run_called(stores, "parent").id) == []
    import_source(MlflowSql(f"sqlite:///{mlflow_database}", artifacts=(secret,)), stores)
    assert [one.path for one in stores.runs.artifacts(run_called(stores, "parent").id)] == ["key"]


def test_versions_that_were_here_before_are_kept(mlflow_database: Path, stores: Stores) -> None:
    import_source(MlflowSql(f"sqlite:///{mlflow_database}"), stores)
    taken = memory_stores()
    import_source(MlflowSql(f"sqlite:///{mlflow_database}"), taken)
    one = taken.models.get("delay model", version=1)
    other = memory_stores()
    for _ in range(4):
        other.models.add_version(type(one)("delay model", 0, one.created_at, (), one.signature, "", "", run=None))
    report = import_source(MlflowSql(f"sqlite:///{mlflow_database}"), other)
    assert [count.renumbered for count in report.models if count.model == "delay model"] == [2]
    assert [other.catalog.notes("delay model", number).tags[NUMBER] for number in (5, 6)] == ["1", "3"]
    assert other.catalog.get("delay model").aliases == {"champion": 6}


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        MlflowFolder(tmp_path)
    with pytest.raises(NotFound):
        MlflowSql(f"sqlite:///{tmp_path}/none.db")
    (tmp_path / "text.db").write_text("not a database, but long enough to look at" * 20)
    with pytest.raises(InvalidInput):
        MlflowSql(f"sqlite:///{tmp_path}/text.db")


def test_words_of_the_source() -> None:
    assert [run_status(one) for one in ("3", "KILLED", 1, "LOST")] == ["finished", "killed", "running", "failed"]
    assert value_from_sql(-1.7976931348623157e308, is_nan=False) == -math.inf
    assert place_of("s3://bucket/1/models/m-abc/artifacts") == ("m-abc", None)
    assert place_of("hdfs://x/0123456789abcdef0123/artifacts") == (None, None)


def test_a_batch_after_the_import_stays(mlflow_database: Path, stores: Stores) -> None:
    source = MlflowSql(f"sqlite:///{mlflow_database}")
    import_source(source, stores)
    run = run_called(stores, "parent")
    stores.runs.log(run.id, RunBatch(tags={"mine": "yes"}))
    import_source(source, stores)
    assert stores.runs.get(run.id).tags["mine"] == "yes"
