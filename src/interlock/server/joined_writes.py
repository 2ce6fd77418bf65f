"""Send what is written in one go in one go."""

from __future__ import annotations

import asyncio
from typing import Any


class JoinedWrites:
    """A transport that passes on together what was written to it since the event loop last came round.

    An answer is written as a head and a body; each write is a system call and wakes the client, who can do nothing
    with the head alone. Everything but `write` and `close` goes to the transport itself.

    Args:
        transport: Where to write.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Take data; it goes out when the loop comes round."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what waits now."""
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))
