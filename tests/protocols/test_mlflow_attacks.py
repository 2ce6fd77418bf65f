"""The attacks that tracking servers fell to, replayed: each gets a 4xx in MLflow's shape, and nothing is written."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from interlock.workspace import Workspace, open_workspace
from tests.journeys.lived_in import served

SECRET = "top secret of this machine"
CRAWLING = (
    "..",
    "../secret.txt",
    "a/../../secret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "%252e%252e%252fsecret.txt",
    "..%5csecret.txt",
    "..\\secret.txt",
    "....//secret.txt",
    "//etc/passwd",
    "/etc/passwd",
    "a\0b",
    "a%00b",
    "a\r\nSet-Cookie: x=1",
    "./x",
    "a/./b",
    "x#fragment",
    "x?query=1",
)
ELSEWHERE = (
    "file:///etc",
    "/etc",
    "file:/etc/passwd",
    "FILE:///etc",
    "http://169.254.169.254/latest/meta-data",
    "ftp://example.org/x",
    "mlflow-artifacts:/../../etc",
    "mlflow-artifacts:/1/../../../etc",
    "mlflow-artifacts:/%2e%2e/%2e%2e/etc",
    "runs:/nobody/../../etc",
    "dbfs:/etc/passwd",
    "//etc/passwd",
    "file://localhost/etc/passwd",
    "models:/../x",
)


@dataclass
class Client:
    """Sends whatever it is told, byte for byte."""

    url: str
    workspace: Workspace

    def raw(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        wire = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            wire.putrequest(method, target, skip_host=bool(headers and "Host" in headers))
            given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
            for name, value in given.items():
                wire.putheader(name, value)
            wire.endheaders(body)
            answer = wire.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            wire.close()

    def call(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        status, _, data = self.raw(method, f"/api/2.0/mlflow/{path}", json.dumps(body).encode())
        return status, json.loads(data)

    def a_run(self) -> str:
        status, made = self.call("POST", "runs/create", experiment_id="0", run_name="r")
        assert status == 200, made
        return str(made["run"]["info"]["run_id"])

    def events(self) -> int:
        return self.workspace.stores.journal.last_seq()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "secret.txt").write_text(SECRET)
    with open_workspace(tmp_path / "project" / ".interlock") as workspace:
        workspace.stores.experiments.ensure("Default")
        with served(workspace) as url:
            yield Client(url, workspace)


def refused(status: int, data: bytes) -> None:
    """Check that an answer is a refusal in MLflow's shape that tells nothing of this machine."""
    assert 400 <= status < 500, (status, data)
    assert SECRET.encode() not in data and b"root:" not in data
    told = json.loads(data)
    assert set(told) == {"error_code", "message"}
    for word in ("SELECT ", "INSERT ", "sqlite", "Traceback", "/site-packages/"):
        assert word not in told["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("path", CRAWLING)
def test_no_artifact_path_leads_out(client: Client, method: str, path: str) -> None:
    run = client.a_run()
    before = client.events()
    for root in (f"0/{run}/artifacts/", "", "0/models/m-1/artifacts/"):
        target = f"/api/2.0/mlflow-artifacts/artifacts/{root}{quote(path, safe='/%.')}"
        status, _, data = client.raw(method, target, b"x" if method == "PUT" else b"")
        if status == 200:  # the odd path is a plain name here, such as one with a backslash that was quoted
            assert method == "DELETE" and data == b"{}"
            continue
        refused(status, data)
    assert client.events() == before
    assert client.workspace.stores.files.files() == []


@pytest.mark.parametrize("path", CRAWLING)
def test_no_listing_or_ui_path_leads_out(client: Client, path: str) -> None:
    run = client.a_run()
    for target in (
        f"/api/2.0/mlflow-artifacts/artifacts?path={quote(path, safe='')}",
        f"/api/2.0/mlflow/artifacts/list?run_id={run}&path={quote(path, safe='')}",
        f"/get-artifact?run_uuid={run}&path={quote(path, safe='')}",
        f"/ajax-api/2.0/mlflow/get-artifact?run_uuid={run}&path={quote(path, safe='')}",
    ):
        status, _, data = client.raw("GET", target)
        if status == 200:
            assert json.loads(data).get("files", []) == []
        else:
            refused(status, data)


@pytest.mark.parametrize("source", ELSEWHERE)
def test_no_source_of_a_version_is_opened(client: Client, source: str) -> None:
    client.call("POST", "registered-models/create", name="m")
    before = client.events()
    for tags in ([], [{"key": "mlflow.prompt.is_prompt", "value": "true"}]):
        status, answer = client.call("POST", "model-versions/create", name="m", source=source, tags=tags)
        if status == 200:  # a prompt's source is a word that nobody follows; other stores are for the client to open
            assert tags or source.startswith("dbfs:")
            version = client.workspace.stores.models.get("m")
            assert version.files == ()
            got, _, data = client.raw("GET", "/model-versions/get-artifact?name=m&version=1&path=passwd")
            refused(got, data)
        else:
            refused(status, json.dumps(answer).encode())
    assert client.events() <= before + 4


@pytest.mark.parametrize("root", [*ELSEWHERE, "s3://bucket/x;y=../..", "s3://bucket/../../etc?x#y"])
def test_no_artifact_root_of_a_client_is_opened(client: Client, root: str) -> None:
    status, made = client.call("POST", "experiments/create", name="e", artifact_location=root)
    if status != 200:
        refused(status, json.dumps(made).encode())
        assert client.workspace.stores.experiments.find("e") is None
        return
    status, run = client.call("POST", "runs/create", experiment_id=made["experiment_id"])
    assert status == 200
    run_id = run["run"]["info"]["run_id"]
    for target in (f"/get-artifact?run_uuid={run_id}&path=passwd", f"/get-artifact?run_uuid={run_id}&path=secret.txt"):
        got, _, data = client.raw("GET", target)
        refused(got, data)


def test_what_is_uploaded_is_never_run_by_a_browser(client: Client) -> None:
    run = client.a_run()
    page = b"<script>alert(1)</script>"
    target = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/x.html"
    assert client.raw("PUT", target, page, {"Content-Type": "text/html"})[0] == 200
    for where in (target, f"/get-artifact?run_uuid={run}&path=x.html"):
        status, headers, data = client.raw("GET", where)
        assert (status, data) == (200, page)
        assert headers["content-type"] == "text/plain"
        assert headers["content-disposition"].startswith("attachment")
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]


def test_a_file_name_writes_no_header(client: Client) -> None:
    run = client.a_run()
    name = 'a"; filename="evil.sh'
    target = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{quote(name)}"
    assert client.raw("PUT", target, b"x")[0] == 200
    _, headers, _ = client.raw("GET", target)
    assert "evil.sh" not in headers["content-disposition"].replace(quote(name, safe=""), "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.nip.io"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ],
)
def test_no_web_page_can_write(client: Client, headers: dict[str, str]) -> None:
    before = client.events()
    body = json.dumps({"name": "e"}).encode()
    for root in ("/api", "/ajax-api"):
        status, _, data = client.raw("POST", f"{root}/2.0/mlflow/experiments/create", body, headers)
        refused(status, data)
    assert client.events() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"1e999",
        b'{"name": 1}',
        b'{"name": null}',
        b'{"name": ["a"]}',
        b'{"name": {"a": 1}}',
        b'{"name": "' + b"a" * 10_000 + b'"}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"tags": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": "x", "tags": [{"key": "' + b"k" * 5_000 + b'", "value": "v"}]}',
        b'{"name": "x", "tags": 5}',
    ],
)
def test_malformed_requests_write_nothing(client: Client, body: bytes) -> None:
    before = client.events()
    status, _, data = client.raw("POST", "/api/2.0/mlflow/experiments/create", body)
    refused(status, data)
    assert client.events() == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/log-batch", {"metrics": [{"key": "m", "value": "x", "timestamp": 1}]}),
        ("runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 2**63}]}),
        ("runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": 1.5}]}),
        ("runs/log-batch", {"metrics": [{"key": "../m", "value": 1, "timestamp": 1}]}),
        (
            "runs/log-batch",
            {"metrics": [{"key": "ok", "value": 1, "timestamp": 1}], "params": [{"key": "", "value": "x"}]},
        ),
        ("runs/log-batch", {"params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}),
        ("runs/log-batch", {"metrics": [{"key": f"m{n}", "value": 1, "timestamp": 1} for n in range(1001)]}),
        ("runs/log-metric", {"key": "a" * 300, "value": 1, "timestamp": 1}),
        ("runs/log-parameter", {"key": "a;b", "value": "x"}),
        ("runs/update", {"status": "EXPLODED"}),
        ("runs/set-tag", {"key": "", "value": "x"}),
    ],
)
def test_batches_are_all_or_nothing(client: Client, path: str, body: dict[str, Any]) -> None:
    run_id = client.a_run()
    before = client.workspace.stores.runs.get(run_id)
    status, answer = client.call("POST", path, run_id=run_id, **body)
    refused(status, json.dumps(answer).encode())
    assert client.workspace.stores.runs.get(run_id) == before


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a > 1; DROP TABLE runs",
        "metrics.a > 1 -- x",
        "params.a = 'x' UNION ALL x",
        "params.`a` = 'x\\' OR 1=1'",
        "tags.a LIKE " + "'" + "%" * 5000 + "a" + "'",
        "(" * 5000 + "metrics.a > 1" + ")" * 5000,
        "NOT " * 5000 + "metrics.a > 1",
        "metrics.a > " + "9" * 400,
        "attributes.password = 'x'",
        "metrics.a >",
        "\0",
    ],
)
def test_odd_searches_end_soon_and_say_why(client: Client, text: str) -> None:
    client.a_run()
    status, answer = client.call("POST", "runs/search", experiment_ids=["0"], filter=text)
    if status == 200:
        assert answer.get("runs", []) == []
    else:
        refused(status, json.dumps(answer).encode())


@pytest.mark.parametrize("token", ["x", "!!!!", "eyJvZmZzZXQiOiAtMX0=", "A" * 10_000, "gqFhAQ=="])
def test_a_page_token_that_was_tampered_with_is_refused(client: Client, token: str) -> None:
    client.a_run()
    status, answer = client.call("POST", "runs/search", experiment_ids=["0"], page_token=token)
    refused(status, json.dumps(answer).encode())


def test_both_spellings_of_a_field_are_refused(client: Client) -> None:
    mine, other = client.a_run(), client.a_run()
    status, answer = client.call("POST", "runs/delete", run_id=mine, runId=other)
    refused(status, json.dumps(answer).encode())
    assert client.workspace.stores.runs.get(other).deleted_at is None


@pytest.mark.parametrize("name", ["a/b", "a:b", "%2fetc", "..", "a\n", " " * 300, ""])
def test_names_of_models_collide_with_nothing(client: Client, name: str) -> None:
    client.call("POST", "registered-models/create", name="a b")
    status, answer = client.call("POST", "registered-models/create", name=name)
    if status == 200:
        (made,) = [one for one in client.workspace.stores.catalog.search().models if one.name != "a b"]
        assert made.name == name
    else:
        refused(status, json.dumps(answer).encode())


def test_a_bomb_of_zeros_is_not_unpacked(client: Client) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    for path in ("/v1/traces", "/api/2.0/mlflow/runs/log-batch"):
        for kind in ("application/x-protobuf", "application/json"):
            status, _, data = client.raw(
                "POST", path, bomb, {"Content-Encoding": "gzip", "Content-Type": kind, "x-mlflow-experiment-id": "0"}
            )
            assert 400 <= status < 500, (path, status)
            assert b"Traceback" not in data


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_signed_address_cannot_be_made_up(client: Client, method: str) -> None:
    target = {"PUT": "/api/v1/uploads/0/x/artifacts/y", "GET": "/api/v1/presigned/b3:" + "0" * 64}[method]
    for query in ("", "?expires=9999999999&signature=", "?expires=9999999999&signature=" + "0" * 64):
        status, _, data = client.raw(method, target + query, b"x")
        assert status in (400, 403), (status, data)
    assert client.workspace.stores.files.files() == []


def test_a_path_that_is_not_ours_is_a_404_in_json(client: Client) -> None:
    for target in ("/api/2.0/mlflow/no-such-thing", "/ajax-api/3.0/mlflow/jobs/run", "/api/2.0/mlflow/users/create"):
        status, headers, data = client.raw("POST", target, b"{}")
        assert (status, headers["content-type"]) == (404, "application/json")
        assert json.loads(data)["error_code"] == "ENDPOINT_NOT_FOUND"
