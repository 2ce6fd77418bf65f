"""What is done to a server: a case is a few steps on a connection, small enough to be kept and done again."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from pathlib import Path
from typing import Literal

import msgspec

from scripts.serving_fuzz.replies import Malformed, Reply, Stream

Wants = Literal["ok", "refused", "any"]
PATIENCE_S = 20.0
_LINGERS_S = 3.0
_ABORT = struct.pack("ii", 1, 0)


class Step(msgspec.Struct, omit_defaults=True):
    """One thing done on a connection.

    Args:
        do: `send` the data, `pause`, `end` this side of the connection, or `reset` it.
        data: What is sent.
        seconds: How long to pause. Unit: seconds.
    """

    do: Literal["send", "pause", "end", "reset"]
    data: bytes = b""
    seconds: float = 0.0


class Case(msgspec.Struct, omit_defaults=True):
    """One case.

    Args:
        kind: What it tries, as the table counts it.
        seed: The seed and number that it was made from (`7/http/42`).
        steps: What is done; for gRPC, the message is the data of the one step.
        wants: What a server must make of it: answer it well, refuse it, or either without failing.
        least: How many replies there must be.
        most: How many there may be.
        endpoint: The endpoint that it is about.
        head_only: Whether its replies have no bodies.
        call: The method of gRPC; empty for HTTP.
        stays: Whether it may be one of several on a connection.
    """

    kind: str
    seed: str
    steps: list[Step]
    wants: Wants = "any"
    least: int = 1
    most: int = 1
    endpoint: str = ""
    head_only: bool = False
    call: str = ""
    stays: bool = False


class Outcome(msgspec.Struct):
    """What came of a case.

    Args:
        replies: The replies in order.
        fault: What was wrong with what came, in words; empty if nothing was.
        is_open: Whether the connection can go on.
    """

    replies: list[Reply]
    fault: str = ""
    is_open: bool = False


class Client:
    """Does cases on connections, one after the other.

    Args:
        address: Where the server listens.
        patience_s: How long to wait for a reply. Unit: seconds.
    """

    def __init__(self, address: tuple[str, int], *, patience_s: float = PATIENCE_S) -> None:
        self._address = address
        self._patience_s = patience_s
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, case: Case) -> Outcome:
        """Do a case; on the connection of the one before, if both allow it."""
        if not case.stays:
            self.close()
        reused = self._connection is not None
        outcome = self._run(case)
        if reused and not outcome.replies and not outcome.fault:
            # the server may have ended a connection that had nothing to do, just then
            outcome = self._run(case)
        if not (case.stays and outcome.is_open):
            self.close()
        return outcome

    def _run(self, case: Case) -> Outcome:
        if self._connection is None:
            self._connection = socket.create_connection(self._address, self._patience_s)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._connection
        stream = Stream(connection, patience_s=self._patience_s)
        for step in case.steps:
            match step.do:
                case "send":
                    # a server that has refused may have closed before all was sent
                    with contextlib.suppress(ConnectionError, TimeoutError):
                        connection.sendall(step.data)
                case "pause":
                    time.sleep(step.seconds)
                case "end":
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)
                case "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                    self.close()
                    return Outcome([])
        return self._read(case, stream)

    def _read(self, case: Case, stream: Stream) -> Outcome:
        replies: list[Reply] = []
        fault = ""
        wanted = case.most if case.stays else case.most + 1
        try:
            while len(replies) < wanted and not stream.has_ended:
                reply = self._next(case, stream, replies)
                if reply is None:
                    break
                replies.append(reply)
        except Malformed as error:
            fault = f"malformed reply: {error}"
        if not fault and len(replies) < case.least:
            waited = f"in {self._patience_s:g} s" if stream.is_late else "before the connection ended"
            # a reset may take away a reply that was sent
            if not stream.was_reset:
                fault = f"{len(replies)} replies of {case.least} {waited}"
        closes = bool(replies) and replies[-1].headers.get("connection") == "close"
        return Outcome(replies, fault, is_open=not stream.has_ended and not stream.is_late and not closes)

    def _next(self, case: Case, stream: Stream, replies: list[Reply]) -> Reply | None:
        if len(replies) >= case.least and not case.stays and not stream.left:
            # nothing has to come any more; a server that has nothing left to say ends its side, too
            if replies and replies[-1].headers.get("connection") == "close":
                return None
            assert self._connection is not None
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(_LINGERS_S)
        return stream.reply(head_only=case.head_only)


class Finding(msgspec.Struct):
    """Something that must not be.

    Args:
        what: In words.
        cases: The case, last, and those before it on the same connection.
        replies: What came of it: the status and the beginning of each body.
    """

    what: str
    cases: list[Case]
    replies: list[str]

    def write(self, path: Path) -> None:
        """Keep it, so that it can be done again."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))


def read_finding(path: Path) -> Finding:
    """Return a finding that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Finding)


def of_bytes(data: bytes) -> list[Step]:
    """Return the steps that send some bytes at once."""
    return [Step("send", data)]
