"""Keep the bodies that are too large for the log in files of their own."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from interlock.core.ids import new_id
from interlock.server.spool.log import disk_error, sync_folder


class Files:
    """Files in a folder, each written once.

    Args:
        folder: Where they lie; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self.size_bytes = sum(path.stat().st_size for path in folder.iterdir())
        """What all of them take up on disk."""

    def keep_only(self, names: Collection[str]) -> None:
        """Remove the files that nothing refers to: uploads that a crash cut short."""
        for path in self._folder.iterdir():
            if path.name not in names:
                self.remove(path.name)

    @contextmanager
    def writing(self) -> Iterator[NewFile]:
        """Give a new file; it is removed unless the block keeps it."""
        name = new_id()
        file = NewFile(self, name, self._folder / name)
        try:
            yield file
        finally:
            file.close()

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return (self._folder / name).open("rb")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        path = self._folder / name
        if path.exists():
            self.grow(-path.stat().st_size)
            path.unlink()

    def grow(self, size_bytes: int) -> None:
        """Count bytes that came or went."""
        with self._lock:
            self.size_bytes += size_bytes

    def sync(self) -> None:
        """Make the names of the files last."""
        sync_folder(self._folder)


class NewFile:
    """A file that is being written.

    Args:
        files: What it will belong to.
        name: Its name.
        path: Where it lies.
    """

    def __init__(self, files: Files, name: str, path: Path) -> None:
        self.name = name
        self.size_bytes = 0
        self._files = files
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._kept = False

    def write(self, data: bytes) -> None:
        """Append data.

        Raises:
            StorageFull: The disk is full.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise disk_error(self._path.parent, error) from error
        self.size_bytes += len(data)
        self._files.grow(len(data))

    def keep(self) -> None:
        """Make the file last; it stays until it is removed."""
        try:
            os.fsync(self._file)
            self._files.sync()
        except OSError as error:
            raise disk_error(self._path.parent, error) from error
        self._kept = True

    def close(self) -> None:
        """End the writing, and remove the file unless it is kept."""
        os.close(self._file)
        if not self._kept:
            self._files.remove(self.name)
