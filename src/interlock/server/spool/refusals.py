"""Set aside what the upstream server refused for good, with its answer, so that nothing is lost without a word."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import Corrupt
from interlock.server.spool.log import disk_error
from interlock.server.spool.records import Write

_ANSWER_CHARS = 2_000


class Refusal(msgspec.Struct, frozen=True):
    """One line of the file.

    Args:
        number: Its number in the log.
        refused_at: When it was refused.
        accepted_at: When it had been acknowledged.
        call: Which call it makes.
        target: Path and query.
        about: Ids of what it changes.
        status: The HTTP status of the answer; 0 where it was not sent because it needs something that was refused.
        answer: What the server said.
        write: All of the write.
    """

    number: int
    refused_at: datetime
    accepted_at: datetime
    call: str
    target: str
    about: tuple[str, ...]
    status: int
    answer: str
    write: Write


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Refusal).decode


class Refusals:
    """The refused writes, one JSON line each, in a file that people can read; written by one thread.

    Args:
        path: The file; made when the first write is refused.

    Raises:
        Corrupt: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists():
            # a line that a crash cut short was not counted as forwarded, and comes again
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        self._numbers = {one.number for one in self.all()}

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    @property
    def size_bytes(self) -> int:
        """What the file takes up on disk."""
        return self.path.stat().st_size if self._numbers else 0

    def add(self, number: int, write: Write, *, status: int, answer: str, now: datetime) -> None:
        """Set a write aside, on disk, once, however often it is refused."""
        if number in self._numbers:
            return
        refusal = Refusal(
            number=number,
            refused_at=now,
            accepted_at=from_micros(write.accepted_at_ms * 1000),
            call=write.call,
            target=write.target,
            about=write.about,
            status=status,
            answer=answer[:_ANSWER_CHARS],
            write=write,
        )
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, _encode(refusal) + b"\n")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise disk_error(self.path.parent, error) from error
        self._numbers.add(number)

    def all(self) -> list[Refusal]:
        """Read them all.

        Raises:
            Corrupt: A line is not what was written.
        """
        try:
            return [_decode(line) for line in self.path.read_bytes().splitlines()] if self.path.exists() else []
        except msgspec.DecodeError as error:
            raise Corrupt(
                f"{self.path} is damaged", why=str(error), fix="repair the line, or move the file away"
            ) from error

    def clear(self) -> None:
        """Forget them all: they are back in the log."""
        self.path.unlink(missing_ok=True)
        self._numbers.clear()
