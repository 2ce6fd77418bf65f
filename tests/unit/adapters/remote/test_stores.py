"""The derived classes are the Protocols: same names, same arguments, same errors, and clear words about versions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.remote.stores import remote_stores
from interlock.adapters.remote.transport import Transport
from interlock.core.errors import Corrupt, InvalidInput, Unauthorised, Unavailable
from interlock.ports.operations import operations
from interlock.ports.run_store import Run, RunFilter
from interlock.ports.stores import Stores, store_ports
from interlock.server.guard import Guard
from interlock.server.limits import Limits
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.stores_api import StoresApi
from interlock.server.workers import Workers


@contextmanager
def served(stores: Stores, *, token: str | None = None, limits: Limits | None = None) -> Iterator[str]:
    workers = Workers(4)
    limit = limits or Limits()
    router = Router(StoresApi(stores, workers).routes(), guard=Guard(token=token), limits=limit)
    with serving(router, listen("127.0.0.1", 0)) as url:
        yield url
    workers.close()


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def remote(stores: Stores) -> Iterator[Stores]:
    with served(stores) as url:
        yield remote_stores(url)


def offline() -> Stores:
    return remote_stores("http://127.0.0.1:9")


def test_every_store_is_its_protocol_with_every_method() -> None:
    bundle = offline()
    for name, port in store_ports().items():
        store = getattr(bundle, name)
        assert port in type(store).__mro__
        assert type(store).__name__ == f"Remote{port.__name__}"
        for operation in operations(port):
            method = getattr(type(store), operation)
            assert inspect.signature(method) == inspect.signature(getattr(port, operation))
            assert inspect.getdoc(method) == inspect.getdoc(getattr(port, operation))


class TestArguments:
    def test_they_may_be_given_by_position_and_by_name(self, remote: Stores) -> None:
        by_position = remote.journal.append("a.b", "run:a")
        by_name = remote.journal.append(subject="run:a", kind="a.b")
        assert remote.journal.events() == [by_position, by_name]

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda bundle: bundle.journal.append("a.b"),
            lambda bundle: bundle.journal.append("a.b", "run:a", {}),
            lambda bundle: bundle.journal.append("a.b", "run:a", kind="c.d"),
            lambda bundle: bundle.journal.append("a.b", "run:a", payloads={}),
            lambda bundle: bundle.journal.events(5),
        ],
    )
    def test_python_refuses_what_it_would_refuse_in_process(self, wrong: Callable[[Stores], Any]) -> None:
        with pytest.raises(TypeError):
            wrong(offline())

    @pytest.mark.parametrize("value", [object(), 2**64, {1, 2}.__iter__, "\ud800", complex(1, 2)])
    def test_a_value_that_cannot_be_sent_is_refused_before_sending(self, value: Any) -> None:
        with pytest.raises(InvalidInput) as caught:
            offline().journal.append("a.b", "run:a", payload={"x": value})
        assert "append" in caught.value.what

    def test_a_value_of_the_wrong_type_is_refused_by_the_server(self, remote: Stores) -> None:
        with pytest.raises(InvalidInput) as caught:
            remote.journal.append("a.b", 3)  # type: ignore[arg-type]
        assert "$.subject" in caught.value.why

    def test_records_go_there_and_back(self, remote: Stores, stores: Stores) -> None:
        run = Run("01A", "delay", "training", "n", "running", datetime(2026, 1, 1, tzinfo=UTC), params={"a": [1, 2.5]})
        assert remote.runs.create(run) == stores.runs.get("01A")
        assert remote.runs.runs(where=RunFilter(kind="training")) == [stores.runs.get("01A")]
        assert remote.datasets.find("nope") is None


class TestStreams:
    @pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
    def test_contents_of_any_size_go_there_and_back(self, remote: Stores, stores: Stores, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        chunks = [data[:size][at : at + 50_000] for at in range(0, size, 50_000)]
        blob = remote.artifacts.put_stream(iter([b"", *chunks]))
        assert blob.size_bytes == size
        assert stores.artifacts.get(blob.digest) == data[:size]
        assert b"".join(remote.artifacts.stream(blob.digest)) == data[:size]

    def test_an_upload_that_fails_leaves_nothing(self, remote: Stores, stores: Stores) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"x" * 100_000
            raise RuntimeError("the disk was unplugged")

        with pytest.raises(RuntimeError):
            remote.artifacts.put_stream(chunks())
        assert stores.artifacts.blobs() == []

    def test_a_failure_on_the_way_is_the_error_it_was(
        self, remote: Stores, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(self: Any, digest: str) -> Iterator[bytes]:
            yield b"a" * 100_000
            raise Corrupt("damaged", why="other hash")

        monkeypatch.setattr(type(stores.artifacts), "stream", broken)
        chunks = remote.artifacts.stream("b3:" + "0" * 64)
        with pytest.raises(Corrupt) as caught:
            list(chunks)
        assert caught.value.why == "other hash"

    def test_a_cut_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Transport, "download", lambda *args, **kwargs: iter([b"\0\0\0\x02ab"]))
        chunks = offline().artifacts.stream("b3:" + "0" * 64)
        assert next(chunks) == b"ab"
        with pytest.raises(Unavailable):
            next(chunks)

    def test_nothing_is_asked_before_the_first_chunk_is(self) -> None:
        offline().artifacts.stream("b3:" + "0" * 64)


class TestServers:
    def test_a_token_is_asked_for(self, stores: Stores) -> None:
        with served(stores, token="secret") as url:
            with pytest.raises(Unauthorised) as caught:
                remote_stores(url).journal.last_seq()
            assert "INTERLOCK_TOKEN" in caught.value.fix
            assert remote_stores(url, token="secret").journal.last_seq() == 0

    def test_an_answer_of_another_version_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Transport, "call", lambda *args, **kwargs: msgspec.msgpack.encode("not a number"))
        with pytest.raises(Unavailable) as caught:
            offline().journal.last_seq()
        assert "upgrade" in caught.value.fix

    def test_a_restart_between_calls_goes_unnoticed(self, stores: Stores) -> None:
        with served(stores) as url:
            bundle = remote_stores(url)
            bundle.journal.append("a.b", "run:a")
        port = int(url.rpartition(":")[2])
        with pytest.raises(Unavailable):
            bundle.journal.last_seq()
        workers = Workers(2)
        router = Router(StoresApi(stores, workers).routes(), guard=Guard())
        with serving(router, listen("127.0.0.1", port)):
            assert bundle.journal.last_seq() == 1
        workers.close()
