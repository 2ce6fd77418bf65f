"""Port: paths that name contents, for files that belong to no run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class FileEntry(msgspec.Struct, frozen=True):
    """A path, the content it names, and since when."""

    path: str
    digest: str
    size_bytes: int
    time: datetime


class FileIndex(Protocol):
    """Files by path, as in a folder tree whose contents lie in the artifact store.

    Thread-safe and process-safe; every method is one transaction. A path is relative, with `/` between its parts,
    none of them empty, `.` or `..`. The prefix `a/b` means the file `a/b` and everything below `a/b/`, never `a/bc`;
    the empty prefix means everything. A path put again names its new content.
    """

    @abstractmethod
    def put(self, entries: Sequence[FileEntry]) -> None:
        """Have paths name contents: all of them, or none."""

    @abstractmethod
    def find(self, path: str) -> FileEntry | None:
        """Return the file at a path, or None."""

    @abstractmethod
    def files(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> list[FileEntry]:
        """List the files under a prefix by path, those greater than `after`."""

    @abstractmethod
    def delete(self, prefix: str) -> int:
        """Forget the files under a prefix; return how many there were."""
