"""Open a spool's folder: the log, and all that goes with it, as one process at a time may have it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from interlock.core.errors import Conflict, StorageFull
from interlock.core.units import human_bytes
from interlock.server.spool.backlog import Backlog
from interlock.server.spool.files import Files
from interlock.server.spool.history import History
from interlock.server.spool.ids import Ids
from interlock.server.spool.known import Known
from interlock.server.spool.log import Log, LogReader
from interlock.server.spool.records import Write, call_of, decode_write, encode_write
from interlock.server.spool.refusals import Refusals
from interlock.server.spool.state import State

LOCK, LOG, FILES, STATE, REFUSED = "lock", "log", "files", "state.db", "refused.jsonl"
"""What lies in the folder."""
_MODEL_FILE, _MODEL_FILE_BYTES = "/MLmodel", 1 << 20
_READ_COUNT, _READ_BYTES = 1_000, 16 << 20


@dataclass(frozen=True)
class Store:
    """Everything in a spool's folder, open.

    Args:
        folder: Where it lies.
        max_bytes: How large it may become.
        log: What was acknowledged, in order.
        state: How far the log was forwarded, and what was seen.
        files: Bodies too large for the log.
        refusals: What was refused for good.
        ids: The ids that were given.
        known: What reads can be answered from.
        backlog: What waits.
        unclaimed: Ids that nobody used yet when the process before this one ended, by what had been asked: whoever
            asks the same again did not get the answer.
        exits: What closes it all.
    """

    folder: Path
    max_bytes: int
    log: Log
    state: State
    files: Files
    refusals: Refusals
    ids: Ids
    known: Known
    backlog: Backlog
    unclaimed: dict[str, str]
    exits: contextlib.ExitStack

    @property
    def size_bytes(self) -> int:
        """What the folder takes up, but for its small database."""
        return self.log.size_bytes + self.files.size_bytes + self.refusals.size_bytes

    def check_room(self, size_bytes: int) -> None:
        """Refuse what would make the folder larger than it may be.

        Raises:
            StorageFull: There is no room.
        """
        if self.size_bytes + size_bytes > self.max_bytes:
            raise StorageFull(
                "the spool is full",
                why=f"{human_bytes(self.size_bytes)} wait for the tracking server to come back; the limit is "
                f"{human_bytes(self.max_bytes)}",
                fix="bring the tracking server back, or start the spool with a higher --max-bytes",
            )

    def body(self, write: Write) -> tuple[BinaryIO, int]:
        """Open the body of a write that lies in a file, as the upstream server is to get it; return its size too.

        MLflow's own description of a model names the model and its run; in it ids are put in as everywhere else.
        """
        file = self.files.open(write.file)
        if not write.path.endswith(_MODEL_FILE) or write.file_bytes > _MODEL_FILE_BYTES:
            return file, write.file_bytes
        with file:
            text = self.ids.forward(file.read())
        return io.BytesIO(text), len(text)

    def accept(self, write: Write) -> dict[str, object]:
        """Take in a write that lies in the log; return what MLflow would answer to it."""
        call = call_of(write.method, write.path)
        assert call is not None
        if write.makes:
            self.ids.give(write.makes)
        return self.known.take(write, call)

    def close(self) -> None:
        """Close everything and let another process have the folder."""
        self.exits.close()


def open_store(folder: Path, *, upstream: str | None, max_bytes: int, retry_refused: bool = False) -> Store:
    """Open a spool's folder as its last process left it, however that ended.

    Cost: one reading of all that waits.

    Args:
        folder: Where it lies; made if need be.
        upstream: The server to which everything in it goes; None for whichever it is.
        max_bytes: How large it may become.
        retry_refused: Whether to put what was refused back into the log.

    Raises:
        Conflict: Another process has it, or it belongs to another server.
        Corrupt: Something in it is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as opened:
        lock = _lock(folder)
        opened.callback(os.close, lock)
        state = opened.enter_context(contextlib.closing(State(folder / STATE, upstream=upstream)))
        ids = Ids(state.made())
        log = opened.enter_context(contextlib.closing(Log(folder / LOG, first=state.done())))
        store = Store(
            folder=folder,
            max_bytes=max_bytes,
            log=log,
            state=state,
            files=Files(folder / FILES),
            refusals=Refusals(folder / REFUSED),
            ids=ids,
            known=Known(state, ids, History(log, state)),
            backlog=Backlog(),
            unclaimed=state.intents(),
            exits=contextlib.ExitStack(),
        )
        if retry_refused:
            _put_back(store)
        _replay(store)
        store.exits.enter_context(opened.pop_all())
        return store


def _lock(folder: Path) -> int:
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Conflict(
            f"the folder {folder} is in use",
            why="another spool writes to it",
            fix="clients can share that one; for another server take another folder: --dir FOLDER",
        ) from None
    return lock


def _put_back(store: Store) -> None:
    refused = store.refusals.all()
    for one in refused:
        if one.write.makes:
            store.state.forget(one.write.makes)
            store.ids.forget(one.write.makes)
    if refused:
        store.log.append([encode_write(msgspec.structs.replace(one.write, attempted=True)) for one in refused])
        store.log.release()
        store.refusals.clear()


def _replay(store: Store) -> None:
    """Take in again what waits."""
    files = {one.write.file for one in store.refusals.all()}
    waiting: dict[str, str] = {}
    reader = LogReader(store.log, store.state.done())
    while found := reader.take(_READ_COUNT, size_bytes=_READ_BYTES):
        for _, payload in found:
            write = decode_write(payload)
            store.backlog.add(write)
            store.accept(write)
            files.add(write.file)
            if write.asked:
                store.unclaimed[write.asked] = write.makes
                waiting[write.makes] = write.asked
            for used in (*write.about, *write.needs):
                store.unclaimed.pop(waiting.pop(used, ""), None)
    store.files.keep_only(files)
