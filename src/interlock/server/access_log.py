"""Write a line of JSON for every request, from a thread: no request ever waits for a disk."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from interlock.core.background import in_background
from interlock.core.errors import InvalidInput

MOST_WAITING = 20_000
WRITE_EVERY_S = 0.25
MOST_BYTES = 50_000_000
KEPT = 3
"""How many full files are kept beside the one that is written: `FILE.1` is the newest of them."""
_MOST_PARTS = 1_024
_encode = msgspec.json.Encoder().encode
MOST_IDS = 32
"""Prediction ids of larger requests are cut to so many; `rows` says how many there were."""


class Entry(msgspec.Struct, omit_defaults=True):
    """One line. Bodies are never in it, nor are keys.

    Args:
        time: When the request was answered, RFC 3339.
        method: How it asked.
        path: For what; without its query.
        status: What it was answered.
        bytes: How large the answer was.
        ms: How long it took.
        endpoint: Which endpoint it was for.
        version: Which version answered.
        rows: How many rows it had.
        ids: The prediction ids of its rows.
        client: Where it came from.
        key: Name of the API key that it came with.
        trace: Id of its trace, if it is traced.
    """

    time: str
    method: str
    path: str
    status: int
    bytes: int
    ms: float
    endpoint: str = ""
    version: str = ""
    rows: int = 0
    ids: Sequence[str] = ()
    client: str = ""
    key: str = ""
    trace: str = ""


Request = tuple[str, bytes, int, str, str, str, str]
"""Method, target, status, endpoint, version, client and key: what many requests have in common."""
Line = tuple[int, int, int, Sequence[str], str, Request]
"""When it was answered and how long that took, in nanoseconds; how large the answer was; its ids; its trace; itself."""


class AccessLog:
    """Lines on their way to a file.

    Thread-safe; several processes may write the same file. What the disk cannot keep up with is dropped and counted.

    Args:
        target: A path, or `-` for standard output.
        most_bytes: When a file is full.
        kept: How many full files are kept.
        most_waiting: How many lines may wait.
    """

    def __init__(
        self, target: str, *, most_bytes: int = MOST_BYTES, kept: int = KEPT, most_waiting: int = MOST_WAITING
    ) -> None:
        self._path = None if target == "-" else Path(target)
        self._most_bytes = most_bytes
        self._kept = kept
        self._most_waiting = most_waiting
        self._waiting: deque[Line] = deque()
        self._text = _Text()
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._file: int | None = None
        self._shared = False
        self.dropped = 0
        if self._path is not None:
            # a path that cannot be written is told to who starts the server
            self._reopen()
        self._thread = in_background(self._write_now_and_then, name="interlock-access-log")

    def add(self, line: Line) -> None:
        """Take a line; nothing waits, and nothing fails."""
        if len(self._waiting) >= self._most_waiting:
            self.dropped += 1
        else:
            self._waiting.append(line)

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            while self._waiting:
                lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), 1_000))]
                try:
                    self._write("".join(map(self._text.of, lines)).encode())
                except OSError:
                    # a full disk must not end the server's memory: what cannot be written is gone
                    self.dropped += len(lines)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write_now_and_then(self) -> None:
        while not self._stopping.wait(WRITE_EVERY_S):
            if self._waiting:
                self.flush()

    def _write(self, data: bytes) -> None:
        if self._path is None:
            sys.stdout.write(data.decode())
            sys.stdout.flush()
            return
        if not self._is_current():
            self._reopen()
        assert self._file is not None
        if os.fstat(self._file).st_size + len(data) > self._most_bytes:
            self._rotate()
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _is_current(self) -> bool:
        """Say whether the path still names the open file: another process may have begun a new one."""
        assert self._path is not None
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        assert self._file is not None
        mine = os.fstat(self._file)
        return (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev)

    def _reopen(self) -> None:
        assert self._path is not None
        if self._file is not None:
            os.close(self._file)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._file = None
            raise InvalidInput(
                f"the access log cannot be written to {self._path}",
                why=os.strerror(error.errno or 0).lower(),
                fix="--access-log FILE in a folder that this user may write, or --access-log off",
            ) from error

    def _rotate(self) -> None:
        """Set the full file aside and begin a new one; of several processes one does it."""
        assert self._path is not None and self._file is not None
        full = os.dup(self._file)
        try:
            fcntl.flock(full, fcntl.LOCK_EX)
            if self._is_current() and os.fstat(full).st_size:
                for number in range(self._kept, 0, -1):
                    older = self._path if number == 1 else _numbered(self._path, number - 1)
                    if older.exists():
                        older.replace(_numbered(self._path, number))
                if not self._kept:
                    self._path.unlink()
        finally:
            os.close(full)
        self._reopen()


def read_entries(path: Path, *, last: int = 100, endpoint: str | None = None) -> list[Entry]:
    """Return the last lines of an access log, oldest first, from full files too, without lines cut off half-way.

    Args:
        path: The file that is written.
        last: At most so many.
        endpoint: Only those for this endpoint.
    """
    found: list[Entry] = []
    decode = msgspec.json.Decoder(Entry).decode
    for file in (path, *(_numbered(path, number) for number in range(1, 100))):
        if len(found) >= last or not file.exists():
            break
        newest: list[Entry] = []
        for line in _backwards(file):
            if len(found) + len(newest) >= last:
                break
            try:
                entry = decode(line)
            except msgspec.DecodeError:
                continue
            if endpoint is None or entry.endpoint == endpoint:
                newest.append(entry)
        found += newest
    return found[::-1]


class _Text:
    """Writes lines; what requests have in common is written once."""

    def __init__(self) -> None:
        self._parts: dict[Request, str] = {}
        self._second = -1
        self._stamp = ""

    def of(self, line: Line) -> str:
        """Return a line as the JSON of an `Entry`."""
        at_ns, took_ns, size, ids, trace, request = line
        second, nanos = divmod(at_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime('{"time":"%Y-%m-%dT%H:%M:%S.')
        part = self._parts.get(request) or self._part(request)
        said = ""
        if len(ids) == 1 and ids[0].isalnum():
            said = f',"rows":1,"ids":["{ids[0]}"]'
        elif ids:
            shown = ids if len(ids) <= MOST_IDS else ids[:MOST_IDS]
            said = f',"rows":{len(ids)},"ids":{_encode(shown).decode()}'
        if trace:
            said += f',"trace":"{trace}"'
        return f'{self._stamp}{nanos // 1000:06}Z",{part},"bytes":{size},"ms":{took_ns / 1e6:.3f}{said}}}\n'

    def _part(self, request: Request) -> str:
        method, target, status, endpoint, version, client, key = request
        fields: dict[str, object] = {
            "method": method,
            "path": target.partition(b"?")[0].decode("latin-1"),
            "status": status,
        }
        beside = {"endpoint": endpoint, "version": version, "client": client, "key": key}
        fields |= {name: value for name, value in beside.items() if value}
        part = _encode(fields)[1:-1].decode()
        if len(self._parts) >= _MOST_PARTS:
            self._parts.clear()
        self._parts[request] = part
        return part


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _backwards(path: Path, chunk_bytes: int = 65_536) -> Iterator[bytes]:
    """Yield the lines of a file from its end."""
    with path.open("rb") as file:
        place = file.seek(0, os.SEEK_END)
        rest = b""
        while place:
            step = min(chunk_bytes, place)
            place -= step
            file.seek(place)
            lines = (file.read(step) + rest).split(b"\n")
            rest = lines[0]
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest
