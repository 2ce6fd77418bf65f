"""Keep contents in a dictionary by their hash."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from interlock.core.errors import NotFound
from interlock.core.hashing import check_digest, digest_of
from interlock.ports.artifact_store import ArtifactStore, Blob, Damage

_CHUNK_BYTES = 1 << 20


class MemoryArtifactStore(ArtifactStore):
    """Contents in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: dict[str, bytes] = {}

    def put(self, data: bytes) -> Blob:
        digest = digest_of(data)
        with self._lock:
            self._contents.setdefault(digest, bytes(data))
        return Blob(digest, len(data))

    def put_many(self, contents: Sequence[bytes]) -> list[Blob]:
        return [self.put(data) for data in contents]

    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        return self.put(b"".join(chunks))

    def get(self, digest: str) -> bytes:
        with self._lock:
            data = self._contents.get(check_digest(digest))
        if data is None:
            raise NotFound(f"there is no content {digest}", why="it was never stored here, or it was deleted")
        return data

    def stream(self, digest: str) -> Iterator[bytes]:
        data = self.get(digest)
        return (data[start : start + _CHUNK_BYTES] for start in range(0, len(data), _CHUNK_BYTES))

    def find(self, digest: str) -> Blob | None:
        with self._lock:
            data = self._contents.get(check_digest(digest))
        return None if data is None else Blob(digest, len(data))

    def find_many(self, digests: Sequence[str]) -> list[Blob]:
        return [blob for digest in dict.fromkeys(digests) if (blob := self.find(digest)) is not None]

    def blobs(self, *, after: str = "", limit: int = 1000) -> list[Blob]:
        with self._lock:
            digests = sorted(digest for digest in self._contents if digest > after)[:limit]
            return [Blob(digest, len(self._contents[digest])) for digest in digests]

    def delete(self, digest: str) -> bool:
        with self._lock:
            return self._contents.pop(check_digest(digest), None) is not None

    def check(self) -> list[Damage]:
        with self._lock:
            contents = sorted(self._contents.items())
        return [
            Damage(digest, "the bytes do not match the address", "memory")
            for digest, data in contents
            if digest_of(data) != digest
        ]
