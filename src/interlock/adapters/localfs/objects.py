"""Keep large contents as read-only files of their own, so that they can be linked and mapped without a copy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from interlock.adapters.localfs.disk import sync_folder, writing
from interlock.adapters.localfs.index import Index, Place
from interlock.core.errors import Corrupt
from interlock.core.hashing import DIGEST_PATTERN, Hasher
from interlock.core.ids import new_id
from interlock.ports.artifact_store import Blob

_CHUNK_BYTES = 1 << 20
_STRAY_AFTER_S = 3600.0


class Objects:
    """The folders `objects/aa/<hash>` and `temp`."""

    def __init__(self, folder: Path, index: Index) -> None:
        self._folder = folder / "objects"
        self._temp = folder / "temp"
        self._index = index
        for needed in (self._folder, self._temp):
            needed.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return the file in which a content lies, if it lies here."""
        name = digest.removeprefix("b3:")
        return self._folder / name[:2] / name

    def put(self, chunks: Iterator[bytes]) -> Blob:
        """Store a content: temporary file, sync, rename, sync of the folder, index row last."""
        hasher = Hasher()
        with self._temporary() as temp:
            with writing(temp), temp.open("xb") as file:
                for chunk in chunks:
                    hasher.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            blob = Blob(hasher.digest(), hasher.size_bytes)
            # the rename happens under the index lock, or `remove` in another process could unlink the new file
            with self._index.write():
                self._rename(temp, self.path(blob.digest))
                self._index.add(Place(blob.digest, blob.size_bytes))
        return blob

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        temp = self._temp / new_id()
        try:
            yield temp
        finally:
            temp.unlink(missing_ok=True)

    def _rename(self, temp: Path, target: Path) -> None:
        with writing(target):
            if not target.parent.exists():
                target.parent.mkdir(exist_ok=True)
                sync_folder(self._folder)
            temp.rename(target)
            sync_folder(target.parent)

    def stream(self, place: Place) -> Iterator[bytes]:
        """Yield a content in chunks; the last one only after all of it is verified.

        Raises:
            Corrupt: The file is missing or is not that content.
        """
        path = self.path(place.digest)
        hasher = Hasher()
        held = b""
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    hasher.update(chunk)
                    if held:
                        yield held
                    held = chunk
        except FileNotFoundError as error:
            raise self._corrupt(place, "its file is missing") from error
        if hasher.size_bytes != place.size_bytes:
            raise self._corrupt(place, f"its file has {hasher.size_bytes} of {place.size_bytes} bytes")
        if hasher.digest() != place.digest:
            raise self._corrupt(place, "its bytes do not match the address")
        yield held

    def _corrupt(self, place: Place, why: str) -> Corrupt:
        path = self.path(place.digest)
        return Corrupt(
            f"the content {place.digest} is damaged",
            why=f"{why} (objects/{path.parent.name}/{path.name})",
            fix="interlock verify, then delete it and store it again, or restore the file from a backup",
        )

    def remove(self, digest: str) -> None:
        """Remove the file of a content whose index row is gone, unless it was stored again meanwhile."""
        with self._index.write():
            if self._index.find(digest) is None:
                self.path(digest).unlink(missing_ok=True)

    def unindexed(self) -> Iterator[Place]:
        """Yield the files that a killed process renamed into place but did not index."""
        for path in sorted(self._folder.glob("??/*")):
            digest = f"b3:{path.name}"
            if DIGEST_PATTERN.fullmatch(digest) and self._index.find(digest) is None:
                with suppress(FileNotFoundError):
                    yield Place(digest, path.stat().st_size)

    def remove_strays(self) -> None:
        """Remove the temporary files of killed processes: those that nobody has written to for an hour."""
        before = time.time() - _STRAY_AFTER_S
        for temp in self._temp.iterdir():
            if temp.stat().st_mtime < before:
                temp.unlink(missing_ok=True)
