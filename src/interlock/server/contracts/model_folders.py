"""Serve models that lie in folders, without a workspace: as containers hold them.

A folder is what `interlock endpoint container` wrote (an `MLmodel` folder and the version's record beside it), or an
`MLmodel` folder that MLflow made, as far as it can be served here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from interlock.core.errors import Corrupt, InvalidInput, LimitExceeded, NotFound, Refused
from interlock.ports.deployment_store import Deployment, DeploymentStore
from interlock.ports.model_store import ModelVersion
from interlock.registry.mlmodel import LARGEST_BYTES, MLMODEL, kind_of_package
from interlock.registry.yaml_reading import read_section
from interlock.serving.naming import endpoint_name

RECORD = "interlock-version.json"
"""The version's record, in the folder of its package."""
_DEEPEST = 3
Adopt = Callable[[str, Path], tuple[ModelVersion, Path]]

_decode = msgspec.json.Decoder(ModelVersion).decode


class ModelFolders:
    """The folders of this process, each a version of its own, behind an endpoint of its own.

    Thread-safe.

    Args:
        deployments: Where the endpoints are routed; a store of this process alone.
        within: The folder that every model must lie in, where others say which folders these are.
        adopt: Makes a version, and the folder of its package, of an `MLmodel` folder that cannot be served as it is.

    Example:
        folders = ModelFolders(stores.deployments)
        folders.add("delay", "/opt/ml/model")
        load = ModelLoader(folders.resolve, folders.folder, runtimes)
    """

    def __init__(self, deployments: DeploymentStore, *, within: Path | None = None, adopt: Adopt | None = None) -> None:
        self._deployments = deployments
        self._adopt = adopt
        self._within = within
        self._folders: dict[str, tuple[Path, str]] = {}
        self._versions: dict[str, tuple[ModelVersion, Path]] = {}
        self._lock = threading.Lock()

    def add(self, name: str, url: str) -> None:
        """Put a folder behind an endpoint.

        Raises:
            NotFound: There is no model in the folder.
            InvalidInput: Nothing here can serve it, or it lies where none may.
            Refused: It was saved to answer by another method than `predict`.
            Corrupt: Its record cannot be read.
        """
        folder = find_model(self._allowed(url))
        version, package = self._read(folder, name)
        with self._lock:
            known = self._versions.get(version.ref)
            if known is not None and known[1] != package:
                # two folders may hold the same version: each answers by its own
                version = msgspec.structs.replace(version, model=name)
            self._versions[version.ref] = (version, package)
            self._folders[name] = (folder, url)
        self._deployments.route(name, [Deployment(version.ref, "live", 1.0)])

    def _read(self, folder: Path, name: str) -> tuple[ModelVersion, Path]:
        if not (folder / RECORD).is_file():
            _check_predict(folder)
        try:
            return read_version(folder, name=name), folder
        except InvalidInput:
            if self._adopt is None:
                raise
        return self._adopt(name, folder)

    def remove(self, name: str) -> None:
        """Forget the folder behind an endpoint."""
        with self._lock:
            self._folders.pop(name, None)

    def loaded(self) -> list[str]:
        """Return the names of the endpoints, in order."""
        return sorted(self._folders)

    def url(self, name: str) -> str:
        """Return where a model was said to lie."""
        return self._folders[name][1]

    def resolve(self, ref: str) -> ModelVersion:
        """Return the version of a Ref.

        Raises:
            NotFound: No folder holds it.
        """
        return self._found(ref)[0]

    def folder(self, version: ModelVersion) -> Path:
        """Return where a version's package lies."""
        return self._found(version.ref)[1]

    def _found(self, ref: str) -> tuple[ModelVersion, Path]:
        found = self._versions.get(ref)
        if found is None:
            raise NotFound(f"no folder here holds {ref}", why=f"known: {', '.join(self._versions) or 'none'}")
        return found

    def _allowed(self, url: str) -> Path:
        folder = Path(url.removeprefix("file://"))
        if self._within is None:
            return folder
        try:
            is_within = folder.resolve().is_relative_to(self._within.resolve())
        except (OSError, ValueError, RuntimeError):
            is_within = False
        if not is_within:
            raise InvalidInput(
                "the model cannot be loaded from there",
                why=f"models lie below {self._within}",
                fix="name such a folder",
            )
        return folder


def find_model(folder: Path) -> Path:
    """Return the folder that holds the `MLmodel` file: the one given, or the only one a few levels below it.

    Raises:
        NotFound: There is none, or there are several.
    """
    if (folder / MLMODEL).is_file():
        return folder
    found: list[Path] = []
    for depth in range(1, _DEEPEST + 1):
        found = [path.parent for path in sorted(folder.glob("*/" * depth + MLMODEL))] if folder.is_dir() else []
        if found:
            break
    if len(found) != 1:
        raise NotFound(
            f"there is no model in {folder}" if not found else f"there are {len(found)} models in {folder}",
            why=f"expected one folder with a file '{MLMODEL}'",
            fix="interlock endpoint container NAME --output DIR",
        )
    return found[0]


def read_version(folder: Path, *, name: str) -> ModelVersion:
    """Return the version that a folder holds: its record, or what can be read off MLflow's file.

    Args:
        folder: The `MLmodel` folder.
        name: The model's name where the folder says none.

    Raises:
        Corrupt: Its record cannot be read.
        InvalidInput: Nothing here can serve it.
    """
    record = folder / RECORD
    if record.is_file():
        try:
            return _decode(record.read_bytes())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Corrupt(f"{record} cannot be read", why=str(error), fix="make the folder again") from error
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    kind = kind_of_package((folder / MLMODEL).read_bytes(), paths)
    if not kind.engine:
        raise InvalidInput(
            f"nothing here can serve the model in {folder}",
            why=f"it was made with {kind.flavor or 'an unknown library'}, without a signature or in a form that cannot"
            " be loaded without running code of its own",
            fix="register the fitted model with interlock, or log it in skops form with an input example",
        )
    return ModelVersion(
        model=name,
        version=1,
        created_at=datetime.now(UTC),
        files=(),
        signature=kind.signature,
        flavor=kind.flavor,
        engine=kind.engine,
        facts=dict(getattr(kind, "facts", {}) or {}),
    )


def _check_predict(folder: Path) -> None:
    """Refuse a folder whose owner chose that MLflow answers by another method than `predict`: ours would say otherwise.

    Raises:
        Refused: It is so.
    """
    path = folder / MLMODEL
    try:
        flavors = read_section(path.read_text(), "flavors") if path.stat().st_size <= LARGEST_BYTES else None
    except (UnicodeDecodeError, InvalidInput, LimitExceeded):
        return
    generic = flavors.get("python_function") if isinstance(flavors, dict) else None
    chosen = generic.get("predict_fn") if isinstance(generic, dict) else None
    if isinstance(chosen, str) and chosen != "predict":
        raise Refused(
            f"the model in {folder} was saved to answer by {chosen[:100]}",
            why="its predictions here would be those of predict, as labels",
            fix="register the fitted model with interlock: its probabilities are among its outputs",
        )


def served_name(folder: Path, *, default: str) -> str:
    """Return the name under which the model of a folder answers: its own where its record has one."""
    try:
        return endpoint_name(read_version(find_model(folder), name=default).model)
    except (NotFound, InvalidInput, Corrupt):
        return default
