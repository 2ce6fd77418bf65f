"""What every file index asks of paths."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.core.clock import aware
from interlock.core.errors import InvalidInput
from interlock.core.hashing import check_digest
from interlock.ports.checks import check_count, check_text
from interlock.ports.file_index import FileEntry

LONGEST_PATH = 2000
"""Bytes in a path: what every database can index."""


def check_file_path(path: str) -> str:
    """Return a path, if it is relative and cannot lead out of its folder."""
    check_text(path, of="path of a file")
    if not 1 <= len(path.encode()) <= LONGEST_PATH or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidInput(
            f"'{path:.200}' cannot be the path of a file",
            why=f"expected up to {LONGEST_PATH} bytes with '/' between parts, none empty, '.' or '..'",
            fix="models/m-1/MLmodel",
        )
    return path


def check_entries(entries: Sequence[FileEntry]) -> None:
    """Refuse entries of which one cannot be kept."""
    for entry in entries:
        check_file_path(entry.path)
        check_digest(entry.digest)
        check_count(entry.size_bytes, of=f"size of '{entry.path}'")
        aware(entry.time)
