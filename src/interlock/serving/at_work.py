"""Tell, in memory that outlives this process, which models are answering: whoever finds it dead knows at what.

A model that ends the process (a crash in its native code, no memory, `os._exit`) leaves no other trace.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import threading
import time
from collections.abc import Iterator

BEHIND = " behind "
"""Between a model's Ref and the endpoint's name on the board."""
_PLACES = 255
_NAMES_AT = 512
_NAMES_BYTES = 16_384
_BEAT_AT = 256
_BEAT = struct.Struct("<d")


class AtWork:
    """What one process is doing.

    Names that are no longer used keep their places; of more than there is room for, the last share one.

    Attributes:
        cells: By place, how many calls of it are running.

    Example:
        >>> board = AtWork()
        >>> place = board.place("model:delay@3 behind delay")
        >>> board.cells[place] += 1
        >>> board.running()
        ['model:delay@3 behind delay']
    """

    def __init__(self) -> None:
        # anonymous and shared: a process that is forked writes where its parent reads
        self._memory = mmap.mmap(-1, _NAMES_AT + _NAMES_BYTES)
        self._lock = threading.Lock()
        self._names: list[str] = []
        self.cells = memoryview(self._memory)[:_BEAT_AT]

    def place(self, name: str) -> int:
        """Return the place of a name; the same for the same name."""
        name = name.replace("\n", " ")
        with self._lock:
            if name not in self._names:
                text = "\n".join([*self._names, name]).encode()
                if len(self._names) >= _PLACES or len(text) >= _NAMES_BYTES:
                    return len(self._names) - 1
                self._names.append(name)
                self._memory[_NAMES_AT : _NAMES_AT + len(text)] = text
            return self._names.index(name)

    @contextlib.contextmanager
    def at(self, model: str, endpoint: str) -> Iterator[None]:
        """Tell, for the length of a block, that a model answers behind an endpoint."""
        place = self.place(f"{model}{BEHIND}{endpoint}")
        self.cells[place] += 1
        try:
            yield
        finally:
            self.cells[place] -= 1

    def running(self) -> list[str]:
        """Return the names of what is running, or was when the process ended."""
        names = self._memory[_NAMES_AT:].partition(b"\0")[0].decode("utf-8", "replace").split("\n")
        return [name for place, name in enumerate(names) if name and self.cells[place]]

    def beat(self) -> None:
        """Note that the process is alive and comes round to everything."""
        _BEAT.pack_into(self._memory, _BEAT_AT, time.monotonic())

    def silent_s(self) -> float:
        """Return how long ago it last said so; 0 if it never did. Unit: seconds."""
        (beat,) = _BEAT.unpack_from(self._memory, _BEAT_AT)
        return time.monotonic() - beat if beat else 0.0


class Desk:
    """Where the engines of this process tell what they do.

    Attributes:
        board: The board of this process; a worker is given one that its supervisor reads.
    """

    def __init__(self) -> None:
        self.board = AtWork()


DESK = Desk()
