"""Port: where runs write first, so that no store can hold up or break a training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from interlock.core.errors import (
    Conflict,
    InterlockError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Refused,
)
from interlock.ports.artifact_store import Blob
from interlock.ports.journal import Edge
from interlock.ports.run_store import Run, RunBatch, RunStatus, RunStore

REFUSALS = (Conflict, InvalidInput, LimitExceeded, NotFound, Refused)
"""What a store says of a record that it will never take; anything else may pass, and is tried again."""

CONSOLE_FILE = "console.txt"
"""Path of the artifact of a run that holds what it printed."""


class SpoolState(msgspec.Struct, frozen=True):
    """What a spool holds.

    Args:
        runs: How many runs have something waiting.
        batches: How many records wait.
        size_bytes: How much they are, with the contents of artifacts that wait.
        delivered: How many records this process brought to the stores.
        refused: How many records the store refused for good; they are kept aside.
        dropped_points: How many metric points found no room.
        reason: What keeps it from being empty, in words; empty if nothing does.
    """

    runs: int = 0
    batches: int = 0
    size_bytes: int = 0
    delivered: int = 0
    refused: int = 0
    dropped_points: int = 0
    reason: str = ""


class RunSpool(Protocol):
    """Takes in at once what runs do, and hands it to the stores in the background, in order and without doubling.

    Thread-safe; of several processes each has a spool of its own over the same folder. What a method took in outlives
    a kill of the process from the moment it returns. A store that is away delays it and raises nothing here; what a
    store refuses for good is put aside and said once.
    """

    @abstractmethod
    def begin(self, run: Run, *, edges: Sequence[Edge] = ()) -> str:
        """Take in a run that begins; return why the store does not have it yet, or an empty string.

        Raises what the store says, if it refuses the run while this waits for its answer (two seconds at most).
        """

    @abstractmethod
    def log(self, run_id: str, batch: RunBatch) -> None:
        """Take in a batch."""

    @abstractmethod
    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> None:
        """Take in that a run ended, or with status `running`, that it goes on."""

    @abstractmethod
    def put(self, data: bytes) -> Blob:
        """Take in the content of an artifact, which a later batch names."""

    @abstractmethod
    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        """Take in a content that does not fit in memory."""

    @abstractmethod
    def console(self, run_id: str, text: str) -> None:
        """Keep what a run printed lately, so that it is there if the process dies."""

    @abstractmethod
    def settle(self, *, patience_s: float = 2.0) -> str:
        """Wait until the stores have everything; return in words what keeps them from it, or an empty string.

        It waits as long as something moves, and `patience_s` after nothing does; not at all for a store known to be
        away.
        """

    @abstractmethod
    def state(self) -> SpoolState:
        """Say what waits."""

    @property
    @abstractmethod
    def is_used(self) -> bool:
        """Whether anything waits, or any run is open, in this process or another."""

    @abstractmethod
    def close(self) -> None:
        """Hand over what can be handed over; the rest waits for the next process. Closing twice is harmless."""


def log_what_fits(runs: RunStore, run_id: str, batch: RunBatch) -> list[tuple[RunBatch, InterlockError]]:
    """Log a batch; where the store refuses it, log its parts one by one, and return those refused with the reason."""
    try:
        runs.log(run_id, batch)
        return []
    except REFUSALS as error:
        parts = _parts(batch)
        if len(parts) == 1:
            return [(batch, error)]
    return [refused for part in parts for refused in log_what_fits(runs, run_id, part)]


def _parts(batch: RunBatch) -> list[RunBatch]:
    """Return a batch as batches of one kind each, and one of one kind as batches of one thing each."""
    named = [name for name in batch.__struct_fields__ if getattr(batch, name)]
    if len(named) != 1:
        return [_only(name, getattr(batch, name)) for name in named] or [batch]
    name, value = named[0], getattr(batch, named[0])
    if isinstance(value, dict):
        return [_only(name, {key: one}) for key, one in value.items()]
    if name == "metrics":
        # a bad point spoils its series only
        keys = dict.fromkeys(point.key for point in value)
        return [_only(name, tuple(point for point in value if point.key == key)) for key in keys]
    return [_only(name, (one,)) for one in value]


def _only(name: str, value: object) -> RunBatch:
    return msgspec.structs.replace(RunBatch(), **{name: value})
