"""Read the files of foreign runs from disk, from allowed folders only, and keep them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from interlock.core.errors import Corrupt
from interlock.core.hashing import Hasher
from interlock.loop.importing.records import ForeignFile
from interlock.ports.checks import check_path
from interlock.ports.run_store import ArtifactEntry
from interlock.ports.stores import Stores

CHUNK_BYTES = 1024 * 1024
PROXIED = "mlflow-artifacts"


def keep(stores: Stores, file: ForeignFile) -> ArtifactEntry:
    """Store a file and return its entry, its digest computed on the way as well as by the store.

    Raises:
        Corrupt: The two differ, or it is not as long as the source says.
    """
    check_path(file.path, of="path of a file")
    hasher = Hasher()
    size = 0

    def passing() -> Iterator[bytes]:
        nonlocal size
        for chunk in file.read():
            hasher.update(chunk)
            size += len(chunk)
            yield chunk

    blob = stores.artifacts.put_stream(passing())
    if blob.digest != hasher.digest() or blob.size_bytes != size or file.size_bytes not in (-1, size):
        raise Corrupt(
            f"'{file.path}' did not arrive as it was sent",
            why=f"the source says {file.size_bytes} bytes, {size} came and {blob.size_bytes} were kept",
            fix="import again",
        )
    return ArtifactEntry(file.path, blob.digest, blob.size_bytes)


def folder_files(folder: Path, *, allowed: Sequence[Path] = ()) -> tuple[ForeignFile, ...]:
    """Return the files of a folder and all below it, by path; links are followed out of it to allowed folders only."""
    found = []
    inside = [folder.resolve(), *allowed]
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            path = Path(here, name)
            if not path.is_file() or not _is_within(path, inside):
                continue
            status = path.stat()
            relative = path.relative_to(folder).as_posix()
            found.append(ForeignFile(relative, status.st_size, str(status.st_mtime_ns), partial(_read, path)))
    return tuple(sorted(found, key=lambda one: one.path))


def links_out(folder: Path, *, allowed: Sequence[Path] = ()) -> list[str]:
    """Say which links lead out of a folder, so that their files are not read."""
    inside = [folder.resolve(), *allowed]
    links = [Path(here, name) for here, _, names in os.walk(folder) for name in names if Path(here, name).is_symlink()]
    led = [(link.relative_to(folder).as_posix(), link.resolve()) for link in links if not _is_within(link, inside)]
    return [f"'{name}' is a link to {target}: try --artifacts {target.parent}" for name, target in led]


class ArtifactFolders:
    """The folders in which files may be read, whatever addresses a foreign store names.

    Args:
        allowed: Folders; a local address outside of all of them is not opened.
        proxied: Where addresses `mlflow-artifacts:/…` lie, if that is known.
    """

    def __init__(self, allowed: Sequence[Path], *, proxied: Path | None = None) -> None:
        self._allowed = [folder.resolve() for folder in allowed]
        self._proxied = proxied

    def folder_at(self, uri: str) -> Path | None:
        """Return the folder that an address names, or None if it is not one that may be read."""
        try:
            parts = urlsplit(uri)
        except ValueError:
            return None
        if parts.scheme == PROXIED and self._proxied is not None:
            path = self._proxied / unquote(parts.path).lstrip("/")
        elif parts.scheme in ("", "file") and parts.netloc in ("", "localhost"):
            path = Path(unquote(parts.path) if parts.scheme else uri)
        else:
            return None
        return path if _is_within(path, self._allowed) else None

    def files_at(self, uri: str) -> tuple[tuple[ForeignFile, ...], tuple[str, ...]]:
        """Return the files at an address, and why there may be more than these."""
        folder = self.folder_at(uri)
        if folder is None:
            return (), (f"its files are at {without_secrets(uri)}, which is not read here: try --artifacts FOLDER",)
        return folder_files(folder, allowed=self._allowed), tuple(links_out(folder, allowed=self._allowed))


def without_secrets(uri: str) -> str:
    """Return an address without user, password and query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "an address that cannot be read"
    if not parts.scheme:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _is_within(path: Path, folders: Sequence[Path]) -> bool:
    real = path.resolve()
    return any(real.is_relative_to(folder) for folder in folders)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
