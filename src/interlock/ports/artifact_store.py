"""Port: content-addressed bytes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec


class Blob(msgspec.Struct, frozen=True):
    """One stored content.

    Args:
        digest: Its address, `b3:` and 64 hex digits of BLAKE3.
        size_bytes: Its length before compression.
    """

    digest: str
    size_bytes: int


class Damage(msgspec.Struct, frozen=True):
    """One thing that `check` found wrong.

    Args:
        digest: The address whose bytes are wrong or missing (or the name of a stray file).
        problem: What is wrong, in words.
        where: Where it lies.
    """

    digest: str
    problem: str
    where: str


class ArtifactStore(Protocol):
    """Bytes under their own hash.

    Thread-safe and process-safe. `put` is atomic and idempotent: a content is either readable whole or absent,
    and putting it twice stores it once. A returned digest is durable. Reads verify the hash and raise `Corrupt`
    rather than return wrong bytes; a stream raises before its last chunk. `get` of an unknown digest raises
    `NotFound`; a malformed digest raises `InvalidInput`. A full disk raises `StorageFull` and leaves nothing behind.
    """

    @abstractmethod
    def put(self, data: bytes) -> Blob:
        """Store some bytes."""

    @abstractmethod
    def put_many(self, contents: Sequence[bytes]) -> list[Blob]:
        """Store several contents, together where that costs less; of a failure some may have been stored."""

    @abstractmethod
    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        """Store a content that does not fit in memory."""

    @abstractmethod
    def get(self, digest: str) -> bytes:
        """Return a content whole, verified."""

    @abstractmethod
    def stream(self, digest: str) -> Iterator[bytes]:
        """Yield a content in chunks, verified at the end."""

    @abstractmethod
    def find(self, digest: str) -> Blob | None:
        """Return what is known of a digest, or None."""

    @abstractmethod
    def find_many(self, digests: Sequence[str]) -> list[Blob]:
        """Return what is known of those digests that are stored, in no order."""

    @abstractmethod
    def blobs(self, *, after: str = "", limit: int = 1000) -> list[Blob]:
        """List contents by digest, those greater than `after`."""

    @abstractmethod
    def delete(self, digest: str) -> bool:
        """Forget a content; return whether it was there."""

    @abstractmethod
    def check(self) -> list[Damage]:
        """Read everything back and name what is damaged, in order of digest."""


@runtime_checkable
class SupportsLocalPath(Protocol):
    """An artifact store that can show a content as a read-only local file without a copy."""

    @abstractmethod
    def local_path(self, digest: str) -> Path | None:
        """Return the file that holds exactly this content, or None where it is packed with others."""


@runtime_checkable
class OpensElsewhere(Protocol):
    """An artifact store that other processes, perhaps on other machines, can open too."""

    @abstractmethod
    def opener(self) -> Callable[[], ArtifactStore]:
        """Return what opens it in another process, and can be pickled to get there."""
