"""Servers are found by their records, started once, and forgotten when they end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from interlock.adapters.local import endpoint_servers
from interlock.adapters.local.endpoint_servers import LocalEndpointServers
from interlock.core.errors import Unavailable
from interlock.core.processes import is_running, machine, start_of
from interlock.ports.endpoint_servers import EndpointServer

HERE = EndpointServer(
    url="http://127.0.0.1:1", kind="up", pid=os.getpid(), start=start_of(os.getpid()), machine=machine()
)


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEndpointServers]:
    monkeypatch.setattr(endpoint_servers, "_MODULE", "tests.unit.adapters.local.idler")
    made = opened(tmp_path)
    yield made
    made.stop()
    made.close()


def opened(folder: Path, **environ: str) -> LocalEndpointServers:
    return LocalEndpointServers("nowhere", folder / "servers", environ={**os.environ, **environ})


def wait_for_end(server: EndpointServer) -> None:
    pause = threading.Event()
    while is_running(server.pid, server.start):
        pause.wait(0.01)


def test_one_server_is_started_and_found_by_all(servers: LocalEndpointServers, tmp_path: Path) -> None:
    assert servers.find() is None and servers.log() == [] and servers.stop() is None
    server = servers.start()
    assert (server.kind, server.keep, server.token) == ("background", True, None)
    assert is_running(server.pid, server.start)
    assert servers.start() == opened(tmp_path).start() == opened(tmp_path).find() == server
    # whoever connects waits in the queue of the socket
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=5):
        pass
    assert opened(tmp_path).stop() == server
    assert not is_running(server.pid, server.start)
    assert servers.find() is None and servers.stop() is None


def test_what_it_writes_is_kept(servers: LocalEndpointServers) -> None:
    servers.start()
    pause = threading.Event()
    while not servers.log():
        pause.wait(0.01)
    assert servers.log(lines=1) == ["idling"]


def test_of_several_that_start_at_once_one_does(servers: LocalEndpointServers, tmp_path: Path) -> None:
    found: list[EndpointServer] = []
    threads = [threading.Thread(target=lambda: found.append(opened(tmp_path).start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_one_that_was_killed_is_replaced_at_the_same_address(servers: LocalEndpointServers) -> None:
    first = servers.start()
    os.kill(first.pid, signal.SIGKILL)
    wait_for_end(first)
    assert servers.find() is None
    second = servers.start()
    assert second.pid != first.pid and second.url == first.url


def test_an_address_that_is_taken_meanwhile_is_left_alone(servers: LocalEndpointServers, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / "servers").mkdir()
        (tmp_path / "servers" / "port").write_text(str(taken.getsockname()[1]))
        assert urlsplit(servers.start().url).port != taken.getsockname()[1]


def test_one_that_is_not_kept_ends_with_who_started_it(servers: LocalEndpointServers) -> None:
    server = servers.start(keep=False)
    assert not server.keep
    servers.close()
    wait_for_end(server)
    assert servers.find() is None


def test_one_that_was_not_to_be_kept_can_be_kept_later(servers: LocalEndpointServers, tmp_path: Path) -> None:
    first = servers.start(keep=False)
    assert opened(tmp_path).start(keep=False) == first
    kept = opened(tmp_path).start()
    assert (kept.pid, kept.keep) == (first.pid, True)
    assert servers.find() == kept


def test_a_server_of_another_kind_is_used_while_it_runs(servers: LocalEndpointServers, tmp_path: Path) -> None:
    servers.announce(HERE)
    assert opened(tmp_path).start() == HERE
    assert servers.stop() is None, "it is ended where it was started"
    background = msgspec.structs.replace(HERE, kind="background")
    servers.announce(background)
    assert servers.find() == background
    servers.withdraw(background)
    servers.withdraw(msgspec.structs.replace(HERE, pid=1))
    assert servers.find() == HERE
    servers.withdraw(HERE)
    servers.withdraw(HERE)
    assert servers.find() is None


def test_records_of_the_dead_and_of_other_machines_count_for_nothing(
    servers: LocalEndpointServers, tmp_path: Path
) -> None:
    elsewhere = msgspec.structs.replace(HERE, machine="elsewhere", pid=7)
    servers.announce(elsewhere)
    servers.announce(msgspec.structs.replace(HERE, start="before"))
    (tmp_path / "servers" / "up-9.json").write_text("{")
    assert servers.find() is None
    server = servers.start()
    assert servers.find() == server
    left = {path.name for path in (tmp_path / "servers").glob("*.json")}
    assert left == {"background.json", "up-7.json"}, "of another machine nobody here can tell"


def test_a_token_is_known_to_those_who_may_read_the_folder(servers: LocalEndpointServers, tmp_path: Path) -> None:
    guarded = opened(tmp_path, INTERLOCK_TOKEN="secret")
    assert guarded.start().token == "secret"
    assert (tmp_path / "servers" / "background.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "servers").stat().st_mode & 0o077 == 0


def test_a_long_log_is_put_aside(
    servers: LocalEndpointServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_servers, "_LOG_MOST_BYTES", 10)
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "endpoints.log").write_text("what went before\n")
    servers.start()
    assert (tmp_path / "servers" / "endpoints.log.1").read_text() == "what went before\n"


def test_one_that_ignores_the_wish_is_ended(servers: LocalEndpointServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_servers, "GRACE_S", 0.2)
    server = servers.start()
    os.kill(server.pid, signal.SIGSTOP)
    assert servers.stop() == server
    assert not is_running(server.pid, server.start)


def test_a_server_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    missing = LocalEndpointServers("nowhere", tmp_path / "servers", project=tmp_path / "gone")
    with pytest.raises(Unavailable, match="cannot be started"):
        missing.start()
    assert missing.find() is None
