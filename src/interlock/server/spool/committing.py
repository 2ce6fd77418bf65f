"""Let many writes that arrive together share one wait for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from interlock.core.errors import InterlockError
from interlock.server.spool.records import Write, encode_write
from interlock.server.spool.store import Store
from interlock.server.workers import Workers


class GroupCommit:
    """Appends writes to a store's log from one event loop.

    Args:
        store: Whose log.
        workers: The one thread that appends.
    """

    def __init__(self, store: Store, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._waiting: list[tuple[Write, asyncio.Future[dict[str, Any]]]] = []
        self._running: asyncio.Task[None] | None = None

    async def append(self, write: Write) -> dict[str, Any]:
        """Return what MLflow would answer to a write, once that is on disk.

        Raises:
            StorageFull: There is no room.
            Unavailable: The disk failed.
        """
        self._store.check_room(write.size_bytes - write.file_bytes)
        accepted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        # from here on nothing about the same things may overtake it
        self._store.backlog.add(write)
        self._waiting.append((write, accepted))
        if self._running is None:
            self._running = asyncio.create_task(self._commit())
        return await accepted

    async def _commit(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._commit_together(group)
        finally:
            self._running = None

    async def _commit_together(self, group: Sequence[tuple[Write, asyncio.Future[dict[str, Any]]]]) -> None:
        try:
            await self._workers.run(self._store.log.append, [encode_write(write) for write, _ in group])
        except InterlockError as error:
            self._store.backlog.remove(write for write, _ in group)
            for _, accepted in group:
                accepted.set_exception(error)
            return
        try:
            for write, accepted in group:
                accepted.set_result(self._store.accept(write))
        finally:
            # not before: the forwarder must not meet a write whose ids are not known yet
            self._store.log.release()
            for _, accepted in group:
                accepted.cancel()
