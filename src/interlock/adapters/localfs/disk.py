"""What every store on a disk needs of it: writes that last, locks that die with their process, errors with a name."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.core.errors import StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise `StorageFull` where the disk, the quota or the file size limit is reached."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(
            f"{path} cannot grow", why=os.strerror(error.errno).lower(), fix="free some space and run again"
        ) from error


def write_at(file: int, data: bytes, offset: int) -> None:
    """Write all of the data at an offset, however often the system stops half-way."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view = view[written:]
        offset += written


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: a rename survives a power cut only after this."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def try_lock(file: int) -> bool:
    """Lock an open file if no other process has; the lock ends when the file is closed or the process dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(file: int) -> None:
    """Lock an open file as soon as no other process has it."""
    fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of the block, by a lock on the folder itself."""
    file = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(file)
        yield
    finally:
        os.close(file)
