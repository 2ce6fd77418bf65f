"""Say how a spool stands: what waits, since when, and whether the upstream server is there."""

from __future__ import annotations

import http.client
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import Conflict, NotFound, Unavailable
from interlock.server.spool.log import LogReader
from interlock.server.spool.records import decode_write
from interlock.server.spool.store import REFUSED, STATE, Store, open_store
from interlock.server.spool.upstream import Upstream

STATUS_PATH = "/interlock/spool"
"""Where a running spool says how it stands."""
ADDRESS = "address"
"""The file in the folder that says where the spool listens."""
_ANSWER_S = 10.0


class SpoolStatus(msgspec.Struct, frozen=True):
    """How a spool stands.

    Args:
        running: Whether a process has the folder.
        to: The upstream server.
        upstream: Whether that is there; `unknown` where no process looks.
        away_since: When it went away.
        trouble: Why it is thought to be away, or what it last complained of.
        waiting: Writes that are acknowledged and not yet forwarded.
        waiting_bytes: How large their bodies are.
        oldest_at: When the first of them was acknowledged.
        forwarded: Writes that this process brought upstream.
        refused: Writes that the server refused for good.
        refused_file: Where those lie.
        folder: The spool's folder.
        size_bytes: What the folder takes up.
        max_bytes: How large it may become; 0 where no process says.
    """

    running: bool
    to: str
    upstream: Literal["there", "away", "unknown"]
    away_since: datetime | None
    trouble: str
    waiting: int
    waiting_bytes: int
    oldest_at: datetime | None
    forwarded: int
    refused: int
    refused_file: str
    folder: str
    size_bytes: int
    max_bytes: int


def status_of(store: Store, upstream: Upstream | None, *, forwarded: int = 0) -> SpoolStatus:
    """Say how an open spool stands.

    Args:
        store: Its folder.
        upstream: The server, where this process looks at it.
        forwarded: Writes that this process brought there.
    """
    away_since = upstream.away_since if upstream is not None else None
    first = LogReader(store.log, store.state.done()).take(1, size_bytes=1)
    return SpoolStatus(
        running=upstream is not None,
        to=store.state.upstream,
        upstream="unknown" if upstream is None else "there" if away_since is None else "away",
        away_since=None if away_since is None else from_micros(round(away_since * 1e6)),
        trouble=upstream.trouble if upstream is not None else "",
        waiting=store.backlog.count,
        waiting_bytes=store.backlog.size_bytes,
        oldest_at=from_micros(decode_write(first[0][1]).accepted_at_ms * 1000) if first else None,
        forwarded=forwarded,
        refused=len(store.refusals),
        refused_file=str(store.folder / REFUSED) if len(store.refusals) else "",
        folder=str(store.folder),
        size_bytes=store.size_bytes,
        max_bytes=store.max_bytes,
    )


def read_status(folder: Path) -> SpoolStatus:
    """Say how the spool in a folder stands: as its process tells, or, where none runs, as the folder shows.

    Raises:
        NotFound: There is no spool in the folder.
        Unavailable: A process has the folder and does not answer.
    """
    if not (folder / STATE).exists():
        raise NotFound(
            f"there is no spool in {folder}",
            why="the folder holds nothing of one",
            fix="interlock spool --to http://127.0.0.1:5000, or name its folder: --dir FOLDER",
        )
    try:
        store = open_store(folder, upstream=None, max_bytes=0)
    except Conflict:
        return _ask(folder)
    try:
        return status_of(store, None)
    finally:
        store.close()


def _ask(folder: Path) -> SpoolStatus:
    try:
        address = urlsplit((folder / ADDRESS).read_text())
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ANSWER_S)
        try:
            connection.request("GET", STATUS_PATH)
            return msgspec.json.decode(connection.getresponse().read(), type=SpoolStatus)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise Unavailable(
            f"the spool in {folder} does not say how it stands", why=f"{type(error).__name__}: {error}"
        ) from error
