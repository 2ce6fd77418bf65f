"""Keep contents in a folder: small ones packed together, large ones as files of their own."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from interlock.adapters.localfs import packs
from interlock.adapters.localfs.disk import locked
from interlock.adapters.localfs.index import Index, Place
from interlock.adapters.localfs.objects import Objects
from interlock.core.errors import Corrupt, NotFound
from interlock.core.hashing import check_digest, digest_of
from interlock.ports.artifact_store import ArtifactStore, Blob, Damage, OpensElsewhere, SupportsLocalPath

PACKED_BELOW_BYTES = 128 << 10
_PAGE = 1000


class LocalArtifactStore(ArtifactStore, SupportsLocalPath, OpensElsewhere):
    """Contents in the folders `packs` and `objects`, found by `index.db`.

    Many processes and threads may use one folder at once; each process appends to a pack of its own. A process
    killed at any moment leaves nothing but bytes that the next one adopts or cuts off.

    Example:
        >>> import tempfile
        >>> store = LocalArtifactStore(Path(tempfile.mkdtemp()))
        >>> store.get(store.put(b"some bytes").digest)
        b'some bytes'
        >>> store.close()
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._packs = folder / "packs"
        self._packs.mkdir(parents=True, exist_ok=True)
        self._of_parents: list[object] = []
        with locked(folder):
            self._open()
            self._adopt()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._index = Index(self._folder / "index.db")
        self._objects = Objects(self._folder, self._index)
        self._writer = packs.PackWriter(self._packs, self._index)

    def _adopt(self) -> None:
        packs.adopt_all(self._packs, self._index)
        if self._index.is_new:
            for place in self._objects.unindexed():
                with self._index.write():
                    self._index.add(place)

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            # what the parent opened stays the parent's: closing it here would take its locks away
            self._of_parents += [self._index, self._writer]
            self._open()

    def put(self, data: bytes) -> Blob:
        if len(data) < PACKED_BELOW_BYTES:
            return self._put_small(data)
        blob = Blob(digest_of(data), len(data))
        return blob if self.find(blob.digest) else self._objects.put(iter((data,)))

    def put_many(self, contents: Sequence[bytes]) -> list[Blob]:
        self._after_fork()
        blobs = [Blob(digest_of(data), len(data)) for data in contents]
        small = {
            blob.digest: data for blob, data in zip(blobs, contents, strict=True) if len(data) < PACKED_BELOW_BYTES
        }
        for blob, data in zip(blobs, contents, strict=True):
            if blob.digest not in small:
                self.put(data)
        self._writer.put_many(small)
        return blobs

    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        self._after_fork()
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) >= PACKED_BELOW_BYTES:
                return self._objects.put(itertools.chain((head,), chunks))
        return self._put_small(head)

    def _put_small(self, data: bytes) -> Blob:
        blob = Blob(digest_of(data), len(data))
        if self.find(blob.digest) is None:
            self._writer.put(blob.digest, data)
        return blob

    def get(self, digest: str) -> bytes:
        return b"".join(self.stream(digest))

    def stream(self, digest: str) -> Iterator[bytes]:
        return self._read(self._place(digest))

    def _place(self, digest: str) -> Place:
        self._after_fork()
        place = self._index.find(check_digest(digest))
        if place is None:
            raise NotFound(f"there is no content {digest}", why="it was never stored here, or it was deleted")
        return place

    def _read(self, place: Place) -> Iterator[bytes]:
        try:
            if place.pack is None:
                yield from self._objects.stream(place)
            else:
                yield packs.read(self._packs, place)
        except Corrupt as error:
            if self._index.find(place.digest) != place:
                raise NotFound(f"there is no content {place.digest}", why="it was deleted meanwhile") from error
            raise

    def find(self, digest: str) -> Blob | None:
        self._after_fork()
        place = self._index.find(check_digest(digest))
        return None if place is None else Blob(place.digest, place.size_bytes)

    def find_many(self, digests: Sequence[str]) -> list[Blob]:
        self._after_fork()
        found = self._index.find_many([check_digest(digest) for digest in dict.fromkeys(digests)])
        return [Blob(place.digest, place.size_bytes) for place in found]

    def blobs(self, *, after: str = "", limit: int = 1000) -> list[Blob]:
        self._after_fork()
        return [Blob(place.digest, place.size_bytes) for place in self._index.places(after=after, limit=limit)]

    def delete(self, digest: str) -> bool:
        self._after_fork()
        check_digest(digest)
        with self._index.write():
            place = self._index.remove(digest)
        if place is None:
            return False
        if place.pack is None:
            self._objects.remove(digest)
        else:
            packs.erase(self._packs, place)
        return True

    def check(self) -> list[Damage]:
        self._after_fork()
        self._objects.remove_strays()
        packs.adopt_all(self._packs, self._index)
        damaged = self._check_unindexed()
        after = ""
        while page := self._index.places(after=after, limit=_PAGE):
            damaged += [damage for place in page if (damage := _damage(place, self._read(place)))]
            after = page[-1].digest
        return sorted(damaged, key=lambda damage: damage.digest)

    def _check_unindexed(self) -> list[Damage]:
        """Index the files that are what their names say, and name those that are not."""
        damaged: list[Damage] = []
        for place in self._objects.unindexed():
            damage = _damage(place, self._objects.stream(place))
            if damage is None:
                with self._index.write():
                    self._index.add(place)
            elif self._objects.path(place.digest).exists():
                damaged.append(damage)
        return damaged

    def local_path(self, digest: str) -> Path | None:
        place = self._place(digest)
        return self._objects.path(digest) if place.pack is None else None

    def opener(self) -> Callable[[], ArtifactStore]:
        return functools.partial(LocalArtifactStore, self._folder.absolute())

    def close(self) -> None:
        """Give back the pack and close the index."""
        self._after_fork()
        self._writer.close()
        self._index.close()


def _damage(place: Place, content: Iterator[bytes]) -> Damage | None:
    try:
        for _ in content:
            pass
    except Corrupt as error:
        problem, _, where = error.why.removesuffix(")").partition(" (")
        return Damage(place.digest, problem, where)
    except NotFound:
        # deleted since it was listed
        pass
    return None
