"""The address is bound first; a signal ends streams, finishes requests and exits with 0."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from interlock.core.errors import InvalidInput, PortTaken, Refused, Unavailable
from interlock.server.app import App
from interlock.server.serve import Server, address, listen, serving


class TestListen:
    def test_any_free_port_can_be_had(self) -> None:
        with listen("127.0.0.1", 0) as listener:
            host, port = listener.getsockname()
            assert address(listener) == f"http://127.0.0.1:{port}"
            assert (host, listener.get_inheritable()) == ("127.0.0.1", False)

    def test_a_taken_port_is_named(self) -> None:
        with listen("127.0.0.1", 0) as first:
            port = first.getsockname()[1]
            with pytest.raises(PortTaken) as caught:
                listen("127.0.0.1", port)
            assert str(port) in caught.value.what
            assert f"--port {port + 1}" in caught.value.fix

    def test_a_port_is_free_again_at_once(self, make_app: Callable[..., App]) -> None:
        with listen("127.0.0.1", 0) as first:
            port = first.getsockname()[1]
            with serving(make_app(), first) as url:
                assert _get(url, "/healthz")[0] == 200
        listen("127.0.0.1", port).close()

    @pytest.mark.parametrize("host", ["::1", "[::1]"])
    def test_ipv6_is_spoken(self, host: str) -> None:
        if not socket.has_ipv6 or not _has_ipv6_loopback():
            pytest.skip("this machine has no IPv6 loopback")
        with listen(host, 0) as listener:
            assert address(listener).startswith("http://[::1]:")

    @pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 70_000), ("127.0.0.1", -1)])
    def test_an_address_that_is_none_is_refused(self, host: str, port: int) -> None:
        with pytest.raises(InvalidInput):
            listen(host, port, token="t")

    def test_all_interfaces_need_a_token(self) -> None:
        with pytest.raises(Refused):
            listen("0.0.0.0", 0)
        with listen("0.0.0.0", 0, token="t") as listener:
            assert address(listener).startswith("http://127.0.0.1:")


class TestServing:
    def test_streams_end_when_the_server_stops(self, make_app: Callable[..., App]) -> None:
        app = make_app()
        with serving(app, listen("127.0.0.1", 0), on_stop=app.stop_streams) as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
            connection.request("GET", "/api/v1/events")
            response = connection.getresponse()
            assert response.readline() == b"retry: 1000\n"
        assert b"alive" not in response.read()
        connection.close()

    def test_a_request_that_runs_is_finished(self, make_app: Callable[..., App]) -> None:
        entered, leave = threading.Event(), threading.Event()

        def slow() -> tuple[()]:
            entered.set()
            leave.wait(5)
            return ()

        statuses: list[int] = []
        with serving(make_app(stations=slow), listen("127.0.0.1", 0), on_stop=leave.set) as url:
            asking = threading.Thread(target=lambda: statuses.append(_get(url, "/api/v1/loop")[0]))
            asking.start()
            assert entered.wait(5)
        asking.join(5)
        assert statuses == [200]

    def test_a_server_that_ends_at_once_says_so(
        self, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Server, "run", lambda self, sockets: None)
        with listen("127.0.0.1", 0) as listener, pytest.raises(Unavailable), serving(make_app(), listener):
            pass


SERVER = """
import sys, threading
from tests.unit.server.conftest import Ground
from interlock.adapters.memory.stores import memory_stores
from interlock.server.app import create_app
from interlock.server.serve import address, listen, serve
app = create_app(Ground(memory_stores()), stations=lambda: (), trace=None)
listener = listen("127.0.0.1", 0)
serve(app, listener, on_ready=lambda: print(address(listener), flush=True), on_stop=app.stop_streams)
app.close()
print("stopped", [thread.name for thread in threading.enumerate()], flush=True)
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_gracefully(sent: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/v1/events")
    assert connection.getresponse().readline() == b"retry: 1000\n"
    begun = time.monotonic()
    process.send_signal(sent)
    out, err = process.communicate(timeout=20)
    connection.close()
    assert (process.returncode, err) == (0, "")
    assert out == "stopped ['MainThread']\n"
    assert time.monotonic() - begun < 5


def _get(url: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
