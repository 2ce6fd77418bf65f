"""Show the files of runs, logged models and versions as one tree of paths, over contents that lie under their hash.

No path of a client ever reaches a disk: a path is looked up, and names a content or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from interlock.core.clock import Clock
from interlock.core.errors import InterlockError, InvalidInput, NotFound, Refused
from interlock.ports.artifact_store import Blob
from interlock.ports.checks import check_path
from interlock.ports.file_index import FileEntry
from interlock.ports.file_rules import check_file_path
from interlock.ports.run_rules import is_below
from interlock.ports.run_store import ArtifactEntry, RunBatch, RunChange
from interlock.ports.stores import Stores
from interlock.server.mlflow.places import LoggedModelPlace, Place, RunPlace, VersionPlace, place_at
from interlock.server.mlflow.wire import Ground, invalid, missing

MODELS = "models"
"""Where in the file index the files of logged models lie."""
OTHERS = "mlflow"
"""Where in the file index everything lies that belongs to no run, model or version."""
_PAGE = 1000


class Listed(NamedTuple):
    """One file or folder in a listing; a folder has no size."""

    path: str
    is_dir: bool
    size_bytes: int = 0


class FileTree:
    """Files by their path below `mlflow-artifacts:/`.

    Args:
        stores: Where contents and their names are kept.
        clock: Tells when a path got its content.
    """

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def find(self, path: str) -> Blob | None:
        """Return the content at a path, or None.

        Raises:
            InvalidInput: The path cannot be one.
        """
        check_file_path(path)
        place = self._place(path)
        if isinstance(place, VersionPlace | RunPlace):
            return next((Blob(digest, size) for at, digest, size in self._files_of(place) if at == place.path), None)
        entry = self._stores.files.find(_indexed(path, place))
        return None if entry is None else Blob(entry.digest, entry.size_bytes)

    def children(self, path: str) -> list[Listed]:
        """List the files and folders right below a path, by name; nothing where there is none.

        Raises:
            InvalidInput: The path cannot be one.
        """
        if path:
            check_file_path(path)
        place = self._place(path)
        if isinstance(place, VersionPlace | RunPlace):
            return _right_below(((at, size) for at, _, size in self._files_of(place)), place.path)
        prefix = _indexed(path, place)
        return _right_below(((one.path, one.size_bytes) for one in self._pages(prefix)), prefix)

    def put(self, path: str, blob: Blob) -> None:
        """Have a path name a content.

        Raises:
            InvalidInput: The path cannot be one, or names a folder.
            Refused: It is within a version, whose files never change.
            Conflict: Its run is deleted.
        """
        check_file_path(path)
        place = self._place(path)
        if isinstance(place, VersionPlace):
            raise Refused(f"'{path}' cannot be written", why="the files of a model version never change")
        if isinstance(place, RunPlace):
            if not place.path:
                raise InvalidInput(f"'{path}' cannot be written", why="it is the folder of a run")
            check_path(place.path, of="path of an artifact")
            entry = ArtifactEntry(place.path, blob.digest, blob.size_bytes)
            self._stores.runs.log(place.run_id, RunBatch(artifacts=(entry,)))
            return
        self._stores.files.put([FileEntry(_indexed(path, place), blob.digest, blob.size_bytes, self._clock.now())])

    def delete(self, path: str) -> None:
        """Have a path, and everything below it, name nothing.

        Raises:
            InvalidInput: The path cannot be one.
            Refused: It is within a version, whose files never change.
        """
        check_file_path(path)
        place = self._place(path)
        if isinstance(place, VersionPlace):
            raise Refused(f"'{path}' cannot be deleted", why="the files of a model version never change")
        if isinstance(place, RunPlace):
            gone = (place.path,) if place.path else tuple(one.path for one in self._stores.runs.artifacts(place.run_id))
            self._stores.runs.update(place.run_id, RunChange(remove_artifacts=gone))
            return
        self._stores.files.delete(_indexed(path, place))

    def _place(self, path: str) -> Place | None:
        """Return the place a path names; one of an unknown run is nobody's, as files may come before their run."""
        place = place_at(path)
        if isinstance(place, RunPlace):
            try:
                self._stores.runs.get(place.run_id)
            except InterlockError:
                return None
        return place

    def _files_of(self, place: RunPlace | VersionPlace) -> list[tuple[str, str, int]]:
        if isinstance(place, RunPlace):
            return [(one.path, one.digest, one.size_bytes) for one in self._stores.runs.artifacts(place.run_id)]
        version = self._stores.models.find(place.model, version=place.version)
        if version is None:
            raise NotFound(f"there is no version {place.version} of model '{place.model}'", why="nothing has its files")
        return [(one.path, one.digest, one.size_bytes) for one in version.files]

    def _pages(self, prefix: str) -> Iterable[FileEntry]:
        after = ""
        while page := self._stores.files.files(prefix, after=after, limit=_PAGE):
            yield from page
            after = page[-1].path


def _indexed(path: str, place: Place | None) -> str:
    """Return the path in the file index that holds what is at a path of clients."""
    if isinstance(place, LoggedModelPlace):
        return f"{MODELS}/{place.model_id}" + (f"/{place.path}" if place.path else "")
    return f"{OTHERS}/{path}" if path else OTHERS


def _right_below(files: Iterable[tuple[str, int]], folder: str) -> list[Listed]:
    start = f"{folder}/" if folder else ""
    found: dict[str, Listed] = {}
    for path, size in files:
        if folder and not is_below(path, folder):
            continue
        name, slash, _ = path[len(start) :].partition("/")
        if path == folder:
            continue
        if slash:
            found.setdefault(name, Listed(start + name, True))
        else:
            found[name] = Listed(start + name, False, size)
    return [found[name] for name in sorted(found)]


def checked_path(path: str) -> str:
    """Return a path of a client, if it is plain.

    Raises:
        Failure: It could be taken for another after more decoding, or leads elsewhere.
    """
    text = path.strip("/")
    if path.startswith(("/", "\\")) or any(mark in text for mark in ("\\", "#", "?", "%")):
        raise invalid("Invalid path")
    try:
        return check_file_path(text)
    except InvalidInput as error:
        raise invalid("Invalid path") from error


def path_of(uri: str) -> str:
    """Return the path of an `mlflow-artifacts:/` address."""
    return uri.partition(":/")[2]


async def found_blob(ground: Ground, path: str) -> Blob:
    """Return the content at a path.

    Raises:
        Failure: There is none.
    """
    try:
        blob = await ground.workers.run(FileTree(ground.stores, ground.clock).find, path)
    except NotFound:
        blob = None
    if blob is None:
        raise missing(f"No such artifact: '{path}'")
    return blob
