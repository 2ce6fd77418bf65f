"""Read an MLflow file store: a folder `mlruns` with a folder for each experiment, run, logged and registered model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from interlock.core.errors import Corrupt, InvalidInput
from interlock.loop.importing.files import ArtifactFolders, folder_files, links_out
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
)
from interlock.loop.importing.records import (
    ForeignExperiment,
    ForeignFile,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
)
from interlock.ports.logged_model_store import ModelMetric
from interlock.ports.run_store import DatasetUse, ModelUse, Series
from interlock.registry.yaml_reading import read_section

META = "meta.yaml"
_TRASH = ".trash"
_NO_EXPERIMENTS = frozenset({"models", ".trash"})
_RUN_KEYS = ("run_id", "run_uuid", "run_name", "name", "status", "start_time", "end_time", "user_id", "lifecycle_stage")
_DATASET_KEYS = ("name", "digest", "source_type", "source", "schema", "profile")
_MODEL_KEYS = {
    "id": "model_id",
    "name": "name",
    "created": "creation_timestamp",
    "updated": "last_updated_timestamp",
    "run": "source_run_id",
    "kind": "model_type",
    "status": "status",
    "status_message": "status_message",
}
_VERSION_KEYS = {
    "version": "version",
    "source": "source",
    "storage": "storage_location",
    "run": "run_id",
    "model_id": "model_id",
    "created": "creation_timestamp",
    "description": "description",
    "stage": "current_stage",
    "run_link": "run_link",
}


class MlflowFolder:
    """An MLflow file store.

    Args:
        folder: The folder `mlruns`.
        artifacts: Further folders in which files may be read; the store's own is one always.
    """

    kind = "mlflow"

    def __init__(self, folder: Path, *, artifacts: tuple[Path, ...] = ()) -> None:
        if not any(folder.glob(f"*/{META}")):
            raise InvalidInput(
                f"{folder} is not an MLflow file store",
                why=f"no folder in it has a {META}",
                fix="interlock import mlflow ./mlruns",
            )
        self._folder = folder
        self._places = ArtifactFolders([folder, *artifacts], proxied=artifacts[0] if artifacts else None)

    @property
    def uri(self) -> str:
        """Where it is."""
        return str(self._folder.resolve())

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments, those in the trash too."""
        for root in (self._folder, self._folder / _TRASH):
            for folder in _folders(root):
                if folder.name in _NO_EXPERIMENTS or not (folder / META).is_file():
                    continue
                meta = _Meta(folder / META)
                yield foreign_experiment(
                    folder.relative_to(self._folder).as_posix(),
                    meta.text("name"),
                    tags=_values(folder / "tags"),
                    location=meta.text("artifact_location"),
                    deleted=meta.text("lifecycle_stage") == "deleted" or root.name == _TRASH,
                )

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of an experiment, the oldest first."""
        home = self._folder / experiment.key
        found = [(_Meta(folder / META), folder) for folder in _folders(home) if _is_run(folder)]
        for meta, folder in sorted(found, key=lambda one: (one[0].number("start_time") or 0, one[1].name)):
            yield self._run(meta, folder, home, experiment.name)

    def _run(self, meta: _Meta, folder: Path, home: Path, experiment: str) -> ForeignRun:
        said = {key: meta.text(key) for key in _RUN_KEYS}
        datasets, models = _uses(folder, home)
        parts = RunParts(
            id=said["run_id"] or said["run_uuid"] or folder.name,
            name=said["run_name"] or said["name"],
            status=said["status"],
            start_time=meta.number("start_time"),
            end_time=meta.number("end_time"),
            user=said["user_id"],
            deleted=said["lifecycle_stage"] == "deleted",
            params=_values(folder / "params"),
            tags=_values(folder / "tags"),
            datasets=datasets,
            models=models,
        )
        metrics = folder_files(folder / "metrics")
        files, left_out = self._files(folder / "artifacts", meta.text("artifact_uri"))
        return foreign_run(
            parts,
            experiment=experiment,
            stamps=[(one.path, one.size_bytes) for one in metrics],
            series=partial(_series, folder / "metrics", metrics),
            files=files,
            left_out=left_out,
        )

    def _files(self, own: Path, uri: str) -> tuple[tuple[ForeignFile, ...], tuple[str, ...]]:
        """Return the files beside what is said of a run, which also a store that was moved has, or those at its URI."""
        if own.is_dir():
            return folder_files(own), tuple(links_out(own))
        # a folder without files is lost where a store is packed or checked in
        is_usual = uri.endswith("/".join(("", *own.relative_to(self._folder).parts[-3:])))
        return ((), ()) if is_usual or not uri else self._places.files_at(uri)

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield the logged models of an experiment."""
        for folder in _folders(self._folder / experiment.key / "models"):
            if not (folder / META).is_file():
                continue
            meta = _Meta(folder / META)
            files, left_out = self._files(folder / "artifacts", meta.text("artifact_location"))
            model = logged_model(
                {ours: meta.text(theirs) for ours, theirs in _MODEL_KEYS.items()},
                experiment=experiment.name,
                params=_values(folder / "params"),
                tags=_values(folder / "tags"),
                metrics=_model_metrics(folder / "metrics"),
                deleted=meta.text("lifecycle_stage") == "deleted",
            )
            yield ForeignLoggedModel(model, files, left_out)

    def models(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""
        for folder in _folders(self._folder / "models"):
            if not (folder / META).is_file():
                continue
            meta = _Meta(folder / META)
            versions = []
            for place in folder.glob("version-*"):
                said = _Meta(place / META)
                given = {ours: said.text(theirs) for ours, theirs in _VERSION_KEYS.items()}
                if given["stage"] != DELETED_VERSION:
                    versions.append(
                        foreign_version(given, tags=_values(place / "tags"), files_at=self._places.files_at)
                    )
            yield ForeignModel(
                name=meta.text("name"),
                description=meta.text("description"),
                tags=_values(folder / "tags"),
                aliases={alias: int(number) for alias, number in _values(folder / "aliases").items()},
                versions=tuple(sorted(versions, key=lambda one: one.number)),
            )


class _Meta:
    """What a `meta.yaml` says, by key, all of it as text; nothing where it says nothing."""

    def __init__(self, path: Path) -> None:
        self._text = path.read_text("utf-8")
        self._path = path

    def value(self, key: str) -> Any:
        """Return what is under a key."""
        return read_section(self._text, key)

    def text(self, key: str) -> str:
        """Return the text under a key."""
        value = self.value(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """Return the number under a key."""
        text = self.text(key)
        try:
            return int(text) if text else None
        except ValueError:
            raise Corrupt(f"{self._path} is damaged", why=f"'{key}' is {text!r}, not a number") from None


def _is_run(folder: Path) -> bool:
    return folder.name not in ("datasets", "models", "traces", "tags") and (folder / META).is_file()


def _folders(root: Path) -> list[Path]:
    return sorted(one for one in root.iterdir() if one.is_dir()) if root.is_dir() else []


def _values(folder: Path) -> dict[str, str]:
    """Return the contents of the files of a folder by path: so params, tags and aliases are kept."""
    return {one.path: b"".join(one.read()).decode() for one in folder_files(folder)} if folder.is_dir() else {}


def _series(folder: Path, files: tuple[ForeignFile, ...]) -> Iterator[Series]:
    for one in files:
        lines = (folder / one.path).read_text("utf-8").splitlines()
        yield series_of(one.path, [_point(line, folder / one.path) for line in lines if line])


def _point(line: str, path: Path) -> Point:
    """Read one line of a metric: time, value, and the step in all but the oldest stores."""
    parts = line.split(" ")
    try:
        return float(parts[1]), int(parts[2]) if len(parts) > 2 else 0, int(parts[0])
    except (ValueError, IndexError):
        raise Corrupt(f"{path} is damaged", why=f"{line!r:.80} is not 'TIME VALUE STEP'") from None


def _model_metrics(folder: Path) -> list[ModelMetric]:
    found = []
    for one in folder_files(folder) if folder.is_dir() else ():
        for line in (folder / one.path).read_text("utf-8").splitlines():
            value, step, time = _point(line, folder / one.path)
            run, name, digest = (*line.split(" ")[3:6], "", "", "")[:3]
            found.append(ModelMetric(one.path, value, step, time * 1000, run, name, digest))
    return found


def _uses(folder: Path, home: Path) -> tuple[list[DatasetUse], list[ModelUse]]:
    """Return the datasets and logged models that a run read or made."""
    datasets: list[DatasetUse] = []
    models: list[ModelUse] = []
    for place in _folders(folder / "inputs"):
        meta = _Meta(place / META)
        source = meta.text("source_id")
        if meta.text("source_type") == "DATASET":
            described = home / "datasets" / source / META
            if "/" not in source and described.is_file():
                said = _Meta(described)
                tags = meta.value("tags")
                datasets.append(dataset_use({key: said.text(key) for key in _DATASET_KEYS}, tags or {}))
        else:
            target = meta.text("destination_id")
            models.append(ModelUse(target if target != folder.name else source, "input"))
    for place in _folders(folder / "outputs"):
        meta = _Meta(place / META)
        models.append(ModelUse(meta.text("destination_id"), "output", meta.number("step") or 0))
    return datasets, models
