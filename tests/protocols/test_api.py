"""The control plane over real HTTP and a real folder: a loop's facts, live events, and the attacks peers fell to."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from interlock.adapters.remote.stores import remote_stores
from interlock.core.errors import NotFound
from interlock.loop.stations import stations
from interlock.loop.tracing import trace
from interlock.ports.journal import Edge, Event
from interlock.ports.operations import MEDIA_TYPE, PREFIX
from interlock.server.app import create_app
from interlock.server.serve import listen, serving
from interlock.server.views import LineageView, LoopView, Problem
from interlock.workspace import Workspace, open_workspace

SECRET = b"root:x:0:0"


class Client:
    """Sends requests exactly as they are written: nothing is normalised on the way."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.netloc = url.removeprefix("http://")

    def ask(
        self, method: str, target: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.netloc, timeout=10)
        try:
            connection.putrequest(method, target, skip_host="host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None and "transfer_encoding" not in headers:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    @contextmanager
    def events(self, **headers: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.netloc, timeout=10)
        connection.request("GET", "/api/v1/events", headers={k.replace("_", "-"): v for k, v in headers.items()})
        try:
            yield connection.getresponse()
        finally:
            connection.close()


def problem(answer: tuple[int, dict[str, str], bytes]) -> Problem:
    """Read an answer as a Problem; an answer that is none, a 500 or a traceback fails the test."""
    status, headers, body = answer
    assert 400 <= status < 500, (status, body)
    assert headers["content-type"] == "application/json"
    assert b"Traceback" not in body
    assert b"SELECT" not in body
    return msgspec.json.decode(body, type=Problem)


def next_event(response: http.client.HTTPResponse) -> tuple[int, Event]:
    while not (line := response.readline()).startswith(b"id: "):
        assert line, "the stream ended"
    data = response.readline().removeprefix(b"data: ")
    return int(line[4:]), msgspec.json.decode(data, type=Event)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with open_workspace(tmp_path_factory.mktemp("api") / ".interlock") as opened:
        yield opened


@pytest.fixture(scope="module")
def client(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("ui")
    (folder / "passwd").write_bytes(SECRET)
    dist = folder / "dist"
    dist.mkdir()
    (dist / "index.html").write_text("<title>Interlock</title>")
    app = create_app(
        workspace, stations=lambda: stations(workspace), trace=lambda ref: trace(workspace, ref), ui_folder=dist
    )
    with serving(app, listen("127.0.0.1", 0), on_stop=app.stop_streams) as url:
        yield Client(url)
    app.close()


class TestFacts:
    def test_what_a_remote_client_does_is_seen_by_the_page(self, client: Client, workspace: Workspace) -> None:
        remote = remote_stores(client.url)
        event = remote.journal.append("run.started", "run:a", edges=[Edge("dataset:x@1", "run:a", "read_by")])
        assert workspace.stores.journal.events(after=event.seq - 1) == [event]
        _, _, body = client.ask("GET", "/api/v1/loop")
        view = msgspec.json.decode(body, type=LoopView)
        assert (view.recent[0], view.last_seq, len(view.stations)) == (event, event.seq, 13)
        _, _, body = client.ask("GET", "/api/v1/lineage?ref=run:a")
        assert [node.ref for node in msgspec.json.decode(body, type=LineageView).nodes] == ["dataset:x@1", "run:a"]

    def test_contents_stream_through_a_folder(self, client: Client, workspace: Workspace) -> None:
        remote = remote_stores(client.url)
        blob = remote.artifacts.put_stream(iter([b"x" * 1_000_000] * 5))
        assert workspace.stores.artifacts.find(blob.digest) == blob
        assert sum(map(len, remote.artifacts.stream(blob.digest))) == 5_000_000
        status, headers, body = client.ask("GET", f"/api/v1/artifacts/{blob.digest}")
        assert (status, headers["content-length"], len(body)) == (200, "5000000", 5_000_000)

    def test_errors_keep_their_class_across_the_wire(self, client: Client) -> None:
        with pytest.raises(NotFound) as caught:
            remote_stores(client.url).runs.get("nope")
        assert "nope" in caught.value.what


class TestEvents:
    def test_a_browser_that_reconnects_misses_nothing(self, client: Client, workspace: Workspace) -> None:
        journal = workspace.stores.journal
        with client.events() as first:
            assert first.getheader("content-type") == "text/event-stream; charset=utf-8"
            assert first.readline() == b"retry: 1000\n"
            one = journal.append("run.started", "run:a")
            assert next_event(first) == (one.seq, one)
        missed = [journal.append("run.finished", f"run:{n}") for n in range(3)]
        with client.events(last_event_id=str(one.seq)) as second:
            assert [next_event(second)[1] for _ in missed] == missed
            live = journal.append("run.started", "run:b")
            assert next_event(second) == (live.seq, live)


class TestAttacks:
    """Source: the list of CVEs of MLflow and its peers, by kind."""

    @pytest.mark.parametrize(
        "target",
        ["/../passwd", "/..%2fpasswd", "/%2e%2e/passwd", "/%2e%2e%2fpasswd", "/%252e%252e%252fpasswd", "/..%5cpasswd",
         "/....//passwd", "/..;/passwd", "//passwd", "/./../passwd", "/%c0%ae%c0%ae/passwd", "/passwd%00.html",
         "/api/v1/artifacts/..%2f..%2fpasswd", "/api/v1/artifacts/%2fetc%2fpasswd",
         "/api/v1/artifacts/file:%2f%2f%2fetc",
         "/api/v1/runs/..%2f..%2fpasswd", "/api/v1/datasets/..%2fpasswd", "/api/v1/models/..%2f..%2fpasswd",
         "/api/v1/artifacts/b3:x%23fragment", "/api/v1/artifacts/b3:x;params"],
    )  # fmt: skip
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_no_path_leads_out(self, client: Client, method: str, target: str) -> None:
        answer = client.ask(method, target)
        assert SECRET not in answer[2]
        problem(answer)

    @pytest.mark.parametrize(
        "host", ["evil.example", "localhost.evil.example", "169.254.169.254", "", "a b", "[::1", "[::1]evil"]
    )
    def test_a_rebound_name_is_refused(self, client: Client, host: str) -> None:
        for target in ("/", "/api/v1/loop", "/openapi.json", "/healthz"):
            assert problem(client.ask("GET", target, host=host)).code in ("IL403", "IL400")

    @pytest.mark.parametrize(
        "kind",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json"],
    )
    def test_a_form_of_another_page_does_nothing(self, client: Client, workspace: Workspace, kind: str) -> None:
        before = workspace.stores.journal.last_seq()
        body = msgspec.msgpack.encode({"kind": "a.b", "subject": "run:evil"})
        problem(client.ask("POST", f"{PREFIX}/journal/append", body, content_type=kind))
        answer = client.ask(
            "POST", f"{PREFIX}/journal/append", body, content_type=MEDIA_TYPE, origin="http://evil.example"
        )
        assert problem(answer).code == "IL403"
        assert workspace.stores.journal.last_seq() == before

    def test_no_other_origin_is_let_in(self, client: Client) -> None:
        for method in ("GET", "HEAD", "OPTIONS"):
            status, headers, _ = client.ask(method, "/api/v1/loop")
            assert status in (200, 204)
            assert not [name for name in headers if name.startswith("access-control")]

    @pytest.mark.parametrize(
        "body",
        [b"", b"\x00", b"\xc1", b"{}", b"\x80", b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
         b"\x82\xa4kind\xa3a.b\xa7subject\xcb\x7f\xf8\0\0\0\0\0\0", b"\x1f\x8b\x08\x00bomb",
         b"\x83\xa4kind\xa3a.b\xa7subject\xa5run:a\xa7payload\x81\xa1x" + b"\x91" * 200 + b"\xc0"],
    )  # fmt: skip
    def test_no_body_breaks_anything(self, client: Client, workspace: Workspace, body: bytes) -> None:
        before = workspace.stores.journal.last_seq()
        problem(client.ask("POST", f"{PREFIX}/journal/append", body, content_type=MEDIA_TYPE))
        assert workspace.stores.journal.last_seq() == before

    @pytest.mark.parametrize(
        ("operation", "arguments"),
        [
            ("journal/events", {"after": 2**63}),
            ("journal/events", {"limit": -(2**63)}),
            ("journal/events", {"subject": "' OR 1=1 --"}),
            ("journal/walk", {"ref": "run:a", "direction": "back; DROP TABLE events", "depth": 2**31}),
            ("runs/runs", {"limit": 2**63}),
            ("runs/get", {"run_id": "a\0b"}),
            ("runs/get", {"run_id": "x" * 100_000}),
            ("models/get", {"model": "delay", "version": 2**63}),
            ("datasets/get", {"name": "../../x"}),
            ("artifacts/get", {"digest": "file:///etc/passwd"}),
            ("artifacts/get", {"digest": "http://169.254.169.254/latest"}),
            ("leases/acquire", {"name": "x", "holder": "y", "ttl_s": float("nan"), "now": "now"}),
            ("predictions/window", {"endpoint": "x", "start": "2026", "end": "2026"}),
        ],
    )
    def test_no_argument_is_a_server_error(self, client: Client, operation: str, arguments: dict[str, object]) -> None:
        body = msgspec.msgpack.encode(arguments)
        answer = client.ask("POST", f"{PREFIX}/{operation}", body, content_type=MEDIA_TYPE)
        if answer[0] != 200:
            problem(answer)

    def test_an_announced_giant_is_refused_unread(self, client: Client) -> None:
        answer = client.ask("POST", f"{PREFIX}/artifacts/put", content_type=MEDIA_TYPE, content_length=str(2**40))
        assert problem(answer).code == "IL413"

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
    def test_other_methods_are_refused(self, client: Client, method: str) -> None:
        for target in ("/api/v1/loop", "/api/v1/runs/x", f"{PREFIX}/journal/append", "/healthz"):
            status, headers, _ = answer = client.ask(method, target)
            problem(answer)
            assert (status, "allow" in headers) == (405, True)

    def test_a_stored_script_is_never_a_page(self, client: Client, workspace: Workspace) -> None:
        digest = workspace.stores.artifacts.put(b"<script>alert(1)</script>").digest
        _, headers, _ = client.ask("GET", f"/api/v1/artifacts/{digest}", accept="text/html")
        assert headers["content-type"] == "application/octet-stream"
        assert headers["x-content-type-options"] == "nosniff"
        assert "attachment" in headers["content-disposition"]
        answer = client.ask("GET", "/api/v1/runs/%3Cscript%3Ealert(1)%3C%2Fscript%3E", accept="text/html")
        assert problem(answer).code == "IL404"

    @pytest.mark.parametrize("target", ["/api/v1/runs/a%0d%0aX-Evil:1", "/x%0d%0aSet-Cookie:a=b", "/api/v1/runs/%00"])
    def test_no_header_can_be_smuggled(self, client: Client, target: str) -> None:
        _, headers, _ = answer = client.ask("GET", target)
        problem(answer)
        assert not {"x-evil", "set-cookie"} & set(headers)
