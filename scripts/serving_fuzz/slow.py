"""Clients that take their time: each must be told so, or be left, while all others are served."""

from __future__ import annotations

import random
import select
import socket
import time

from scripts.serving_fuzz.cases import Case, Finding, Step
from scripts.serving_fuzz.fuzzing import Tally
from scripts.serving_fuzz.seeds import Model, infer

SILENCE_S = 30.0
"""How long a server waits for a client that has begun."""
_SPARE_S = 6.0
CLIENTS = 24


def slow_clients(address: tuple[str, int], model: Model, tally: Tally, *, seconds: float) -> None:
    """Hold connections open with unfinished requests, a byte now and then, as often as the time allows."""
    until = time.monotonic() + seconds
    turn = 0
    while until - time.monotonic() > SILENCE_S + _SPARE_S and not tally.is_full:
        _round(address, model, tally, random.Random(f"slow/{turn}"))
        turn += 1


def _round(address: tuple[str, int], model: Model, tally: Tally, dice: random.Random) -> None:
    data = infer(dice, model).message().wire()
    head = data.find(b"\r\n\r\n") + 4
    waiting: dict[socket.socket, str] = {}
    for at in range(CLIENTS):
        kind, cut = (("head", dice.randrange(1, head - 1)), ("body", dice.randrange(head, len(data))))[at % 2]
        connection = socket.create_connection(address, 5)
        connection.sendall(data[:cut])
        waiting[connection] = kind
    until = time.monotonic() + SILENCE_S + _SPARE_S
    while waiting and time.monotonic() < until:
        # a byte of a head now and then keeps nobody waiting for longer
        for connection, kind in list(waiting.items()):
            if kind == "head":
                _trickle(connection)
        for connection in select.select(list(waiting), [], [], 2.0)[0]:
            tally.count(f"slow: {waiting.pop(connection)}", _end(connection))
    for connection, kind in waiting.items():
        what = f"a client that sends a {kind} too slowly is still connected after {SILENCE_S + _SPARE_S:g} s"
        tally.find(Finding(what, [Case("slow", "", [Step("send", data[:head])])], []))
        connection.close()


def _trickle(connection: socket.socket) -> None:
    try:
        connection.send(b"a")
    except OSError:
        return


def _end(connection: socket.socket) -> str:
    """Return the status that a client was told, if any."""
    try:
        said = connection.recv(4_096)
    except OSError:
        said = b""
    connection.close()
    return said[9:12].decode("latin-1") if said.startswith(b"HTTP/1.1 ") else "closed"
