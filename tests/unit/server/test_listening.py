"""Addresses."""

from __future__ import annotations

import socket

import pytest

from interlock.core.errors import PortTaken, Refused
from interlock.server.listening import address, listen, listen_for_each


def test_workers_share_an_address_that_nobody_else_gets() -> None:
    listeners = listen_for_each("127.0.0.1", 0, 3)
    try:
        assert len({address(one) for one in listeners}) == 1
        with pytest.raises(PortTaken):
            listen("127.0.0.1", listeners[0].getsockname()[1])
        with pytest.raises(PortTaken):
            listen_for_each("127.0.0.1", listeners[0].getsockname()[1], 2)
    finally:
        for one in listeners:
            one.close()


def test_one_worker_shares_nothing() -> None:
    (only,) = listen_for_each("127.0.0.1", 0, 1)
    with only:
        assert only.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_an_address_beyond_this_machine_needs_a_token() -> None:
    with pytest.raises(Refused):
        listen_for_each("0.0.0.0", 0, 2)  # noqa: S104
