from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from interlock.core.errors import InvalidInput, MissingExtra, PortTaken, Refused
from interlock.server.dataplane import DATA_LIMITS
from interlock.server.grpc_oip.listening import grpc_serving, place_of, reserve
from interlock.server.hosting import EndpointHost
from tests.serving_examples import Shelf, fresh_stores, hosted, loaded
from tests.unit.server.grpc_oip.test_service import call, code_of

grpc = pytest.importorskip("grpc")


@pytest.fixture
def host() -> Iterator[EndpointHost]:
    with hosted(fresh_stores(), Shelf(loaded())) as host:
        yield host


def listen(host: EndpointHost, address: str = "127.0.0.1", port: int = 0, **options: Any) -> Any:
    return grpc_serving(host, address, port, **{"limits": DATA_LIMITS, **options})


def test_it_answers_for_the_length_of_the_block(host: EndpointHost) -> None:
    with listen(host, version="1.2.3") as address, grpc.insecure_channel(address) as channel:
        assert call(channel, "ServerMetadata").version == "1.2.3"
    with grpc.insecure_channel(address) as channel:
        assert code_of(channel, "ServerLive") == "UNAVAILABLE"


def test_several_processes_share_a_port_only_if_they_say_so(host: EndpointHost) -> None:
    with listen(host, shared=True) as address:
        port = int(address.rpartition(":")[2])
        with listen(host, port=port, shared=True) as same:
            assert same == address
        with pytest.raises(PortTaken, match=str(port)), listen(host, port=port):
            pass


def test_a_port_of_somebody_else_is_taken(host: EndpointHost) -> None:
    other = socket.create_server(("127.0.0.1", 0))
    with other, pytest.raises(PortTaken), listen(host, port=other.getsockname()[1]):
        pass


def test_requests_that_are_too_large_are_refused(host: EndpointHost) -> None:
    small = msgspec.structs.replace(DATA_LIMITS, body_bytes=1_000)
    with listen(host, limits=small) as address, grpc.insecure_channel(address) as channel:
        assert code_of(channel, "ModelReady", name="x" * 2_000) == "RESOURCE_EXHAUSTED"
        assert call(channel, "ModelReady", name="delay").ready


def test_where_it_must_not_listen_it_does_not(host: EndpointHost) -> None:
    with pytest.raises(Refused), listen(host, "0.0.0.0"):
        pass
    with pytest.raises(InvalidInput, match="is no port"), listen(host, port=70_000):
        pass


def test_the_extra_is_named_where_the_library_is_missing(host: EndpointHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    with pytest.raises(MissingExtra) as error, listen(host):
        pass
    assert error.value.fix == "pip install 'interlock[grpc]'"


def test_a_port_is_reserved_for_processes_to_come(host: EndpointHost) -> None:
    with reserve("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        assert place_of(held) == f"127.0.0.1:{port}"
        with pytest.raises(PortTaken):
            reserve("127.0.0.1", port)
        with listen(host, port=port, shared=True) as first, listen(host, port=port, shared=True) as second:
            assert first == second == place_of(held)
            with grpc.insecure_channel(first) as channel:
                assert call(channel, "ModelReady", name="delay").ready


def test_nothing_is_reserved_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra):
        reserve("127.0.0.1", 0)
