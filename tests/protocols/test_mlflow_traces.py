"""MLflow's traces over a real socket: OTLP in protobuf and JSON, trace endpoints, assessments, as its clients ask."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import SystemClock
from interlock.core.sealing import Seal
from interlock.ports.stores import Stores
from interlock.server.guard import Guard
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.workers import Workers
from interlock.workspace import open_workspace

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
V2 = "/api/2.0/mlflow/traces"
V3 = "/api/3.0/mlflow/traces"
SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
SPANS_LOCATION = "mlflow.trace.spansLocation"


@dataclass
class Client:
    """Sends what MLflow's clients and OpenTelemetry's exporters send."""

    url: str
    stores: Stores

    def send(
        self, method: str, path: str, body: Any = None, *, media_type: str = JSON, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Content-Type": media_type, **(headers or {})}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=given)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def done(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        address = f"{path}?{urlencode(query, doseq=True)}" if query else path
        status, answer = self.send(method, address, body)
        assert status == 200, answer
        return answer

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400) -> str:
        found, answer = self.send(method, path, body)
        assert found == status, answer
        assert set(answer) == {"error_code", "message"} and "Traceback" not in answer["message"]
        return str(answer["message"])

    def export(
        self, body: bytes, experiment: str, *, media_type: str = PROTOBUF, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        given = {"x-mlflow-experiment-id": experiment, **(headers or {})}
        return self.send("POST", "/v1/traces", body, media_type=media_type, headers=given)

    def search(self, experiment: str, where: str | None = None, **rest: Any) -> list[str]:
        asked = {"locations": [_place(experiment)], "max_results": 100, "filter": where, **rest}
        return [one["trace_id"] for one in self.done("POST", f"{V3}/search", asked).get("traces", [])]


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with ExitStack() as exits:
        if request.param == "memory":
            stores = memory_stores()
        else:
            stores = exits.enter_context(open_workspace(tmp_path_factory.mktemp("workspace"))).stores
        workers = Workers()
        exits.callback(workers.close)
        ground = Ground(stores=stores, clock=SystemClock(), workers=workers, seal=Seal(lambda: [bytes(32)]))
        router = Router(mlflow_routes(ground), guard=Guard(), shapes=ERROR_SHAPES)
        yield Client(exits.enter_context(serving(router, listen("127.0.0.1", 0))), stores)


@pytest.fixture
def experiment(client: Client, request: pytest.FixtureRequest) -> str:
    return str(client.stores.experiments.create(request.node.name).id)


@pytest.fixture
def trace_id(request: pytest.FixtureRequest) -> str:
    """Return an id that no other test uses."""
    digits = f"{zlib.crc32(request.node.name.encode()):08x}"
    return "tr-" + digits * 4


def _place(experiment: str) -> dict[str, Any]:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}


def _info(trace_id: str, experiment: str, /, **rest: Any) -> dict[str, Any]:
    info = {
        "trace_id": trace_id,
        "trace_location": _place(experiment),
        "request_time": "2026-11-21T02:00:38.919Z",
        "execution_duration": "0.184s",
        "state": "OK",
        **rest,
    }
    return {"trace": {"trace_info": info}}


def _span(request: ExportTraceServiceRequest, trace_id: str, number: int, **fields: Any) -> Any:
    group = request.resource_spans[0] if request.resource_spans else request.resource_spans.add()
    scope = group.scope_spans[0] if group.scope_spans else group.scope_spans.add()
    span = scope.spans.add(trace_id=bytes.fromhex(trace_id[3:]), span_id=number.to_bytes(8, "big"))
    span.name = fields.pop("name", f"span {number}")
    span.start_time_unix_nano = START_NS + number * SECOND_NS
    span.end_time_unix_nano = START_NS + 10 * SECOND_NS
    parent = fields.pop("parent", None)
    if parent is not None:
        span.parent_span_id = parent.to_bytes(8, "big")
    for key, value in fields.pop("attributes", {}).items():
        _any(span.attributes.add(key=key).value, value)
    span.status.code = fields.pop("code", 0)
    return span


def _any(target: Any, value: Any) -> None:
    if isinstance(value, dict):
        target.kvlist_value.SetInParent()
        for key, one in value.items():
            _any(target.kvlist_value.values.add(key=key).value, one)
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for one in value:
            _any(target.array_value.values.add(), one)
    elif value is not None:
        kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
        setattr(target, kinds[type(value)], value)


def _plain(value: dict[str, Any]) -> Any:
    """Return what an `AnyValue` in JSON means."""
    for kind, inner in value.items():
        if kind == "kvlist_value":
            return {one["key"]: _plain(one.get("value", {})) for one in inner["values"]}
        if kind == "array_value":
            return [_plain(one) for one in inner["values"]]
        return inner
    return None


# --- spans over OTLP


def test_spans_alone_make_a_trace_that_comes_back_whole(client: Client, experiment: str, trace_id: str) -> None:
    attributes = {
        "mlflow.spanType": "CHAIN",
        "mlflow.spanInputs": {"z": 1, "a": [1.5, None, True, "x"]},
        "mlflow.spanOutputs": "done",
        "empty": {},
        "bytes": b"\x00\xff",
        "nul": "a\0b",
        "inf": float("inf"),
    }
    request = ExportTraceServiceRequest()
    root = _span(request, trace_id, 1, name="answer", attributes=attributes)
    event = root.events.add(name="chunk", time_unix_nano=START_NS + 1)
    _any(event.attributes.add(key="n").value, 3)
    link = root.links.add(trace_id=bytes(15) + b"\x07", span_id=bytes(7) + b"\x09")
    _any(link.attributes.add(key="why").value, "retry")
    _span(request, trace_id, 2, name="ask", parent=1, code=2).status.message = "no answer"
    assert client.export(request.SerializeToString(), experiment) == (200, {})

    found = client.done("GET", f"{V3}/get", trace_id=trace_id, allow_partial="False")["trace"]
    info = found["trace_info"]
    assert (info["state"], info["request_time"], info["execution_duration"]) == ("OK", "2023-11-14T22:13:21Z", "9s")
    assert info["trace_location"] == _place(experiment)
    assert info["tags"] == {
        SPANS_LOCATION: "TRACKING_STORE",
        "mlflow.artifactLocation": f"mlflow-artifacts:/{experiment}/traces/{trace_id}/artifacts",
    }
    assert (info["request_preview"], info["response_preview"]) == ('{"z": 1, "a": [1.5, null, true, "x"]}', '"done"')
    first, second = found["spans"]
    assert base64.b64decode(first["trace_id"]).hex() == trace_id[3:]
    assert (first["name"], base64.b64decode(second["parent_span_id"])) == ("answer", base64.b64decode(first["span_id"]))
    assert (first["status"], second["status"]) == (
        {"code": "STATUS_CODE_UNSET"},
        {"code": "STATUS_CODE_ERROR", "message": "no answer"},
    )
    said = {one["key"]: _plain(one.get("value", {})) for one in first["attributes"]}
    assert said == {
        **attributes,
        "bytes": base64.b64encode(b"\x00\xff").decode(),
        "nul": "a\ufffdb",
        "inf": "Infinity",
        "mlflow.traceRequestId": trace_id,
    }
    assert list(said["mlflow.spanInputs"]) == ["z", "a"], "arguments keep their order"
    assert first["events"] == [
        {"time_unix_nano": START_NS + 1, "name": "chunk", "attributes": [{"key": "n", "value": {"int_value": 3}}]}
    ]
    assert base64.b64decode(first["links"][0]["span_id"]) == bytes(7) + b"\x09"
    (file,) = [client.done("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", request_id=trace_id)]
    assert json.loads(file["spans"][0]["attributes"]["mlflow.spanInputs"]) == attributes["mlflow.spanInputs"]


def test_json_is_taken_as_protobuf_is(client: Client, experiment: str, trace_id: str) -> None:
    span = {
        "traceId": trace_id[3:].upper(),
        "spanId": "00000000000000AA",
        "parentSpanId": "",
        "name": "prompt",
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": START_NS + SECOND_NS,
        "status": {"code": "STATUS_CODE_OK"},
        "attributes": [
            {"key": "n", "value": {"intValue": "-3"}},
            {"key": "x", "value": {"doubleValue": "NaN"}},
            {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": False}, {}]}}},
            {"key": "m", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "é"}}]}}},
        ],
        "unknownField": 1,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cli"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": [span]}]}]}
    status, answer = client.export(json.dumps(body).encode(), experiment, media_type=JSON)
    assert (status, answer) == (200, {})
    (shown,) = client.done("GET", f"{V3}/batchGet", trace_ids=[trace_id, "tr-none"])["traces"]
    said = {one["key"]: _plain(one.get("value", {})) for one in shown["spans"][0]["attributes"]}
    assert said["service.name"] == shown["trace_info"]["tags"]["service.name"] == "cli"
    assert (said["n"], said["x"], said["l"], said["m"]) == (-3, "NaN", [False, None], {"k": "é"})


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        (
            {
                "openinference.span.kind": "LLM",
                "input.value": '{"messages": [{"role": "user", "content": "Why?"}]}',
                "output.value": "So.",
                "llm.token_count.prompt": 5,
                "llm.token_count.completion": 2,
            },
            ("LLM", "Why?", '"So."', 7),
        ),
        (
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.input.messages": "Why?",
                "gen_ai.output.messages": "So.",
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.output_tokens": 2,
            },
            ("CHAT_MODEL", '"Why?"', '"So."', 7),
        ),
        (
            {
                "traceloop.span.kind": "tool",
                "traceloop.entity.input": "Why?",
                "traceloop.entity.output": "So.",
                "gen_ai.usage.prompt_tokens": "5",
                "gen_ai.usage.completion_tokens": 2,
                "llm.usage.total_tokens": 9,
            },
            ("TOOL", '"Why?"', '"So."', 9),
        ),
    ],
)
def test_other_conventions_are_understood(
    client: Client, experiment: str, trace_id: str, convention: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    request = ExportTraceServiceRequest()
    _span(request, trace_id, 1, attributes={**convention, "session.id": "s-1", "user.id": "u-1"})
    client.export(request.SerializeToString(), experiment)
    info = client.done("GET", f"{V3}/{trace_id}")["trace"]["trace_info"]
    usage = json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])
    assert (info["request_preview"], info["response_preview"]) == expected[1:3]
    assert usage == {"input_tokens": 5, "output_tokens": 2, "total_tokens": expected[3]}
    assert info["trace_metadata"]["mlflow.trace.session"] == "s-1"
    assert info["trace_metadata"]["mlflow.trace.user"] == "u-1"
    assert client.search(experiment, f"span.type = '{expected[0]}'") == [trace_id]


def test_what_spans_say_of_their_trace_is_kept(client: Client, experiment: str, trace_id: str) -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add().resource
    for key, value in (("team", "ops"), ("telemetry.sdk.name", "x"), ("mlflow.x", "y"), (SPANS_LOCATION, "elsewhere")):
        _any(resource.attributes.add(key=key).value, value)
    said = {"mlflow.traceTag.team": "data", f"mlflow.traceTag.{SPANS_LOCATION}": "elsewhere", "mlflow.traceTag.t": "v"}
    _span(request, trace_id, 1, attributes=said)
    run = client.done("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    client.export(request.SerializeToString(), experiment, headers={"x-mlflow-run-id": run})
    tags = client.done("GET", f"{V3}/{trace_id}")["trace"]["trace_info"]["tags"]
    assert {key: value for key, value in tags.items() if "artifact" not in key} == {
        "team": "data",
        "t": "v",
        SPANS_LOCATION: "TRACKING_STORE",
    }
    assert client.search(experiment, f"run_id = '{run}'") == [trace_id]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
def test_compressed_spans_are_taken(client: Client, experiment: str, trace_id: str, encoding: str) -> None:
    request = ExportTraceServiceRequest()
    _span(request, trace_id, 1)
    body = request.SerializeToString()
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw deflate": raw.compress(body) + raw.flush(),
    }[encoding]
    header = {"content-encoding": encoding.split()[-1]}
    assert client.export(packed, experiment, headers=header) == (200, {})
    assert client.search(experiment) == [trace_id]


def test_bombs_and_broken_requests_leave_nothing(client: Client, experiment: str, trace_id: str) -> None:
    request = ExportTraceServiceRequest()
    _span(request, trace_id, 1)
    good = request.SerializeToString()
    bomb = gzip.compress(bytes(80 * 1024 * 1024))
    short = ExportTraceServiceRequest()
    _span(short, trace_id, 1).span_id = b"\x01"
    late = ExportTraceServiceRequest()
    _span(late, trace_id, 1).end_time_unix_nano = 2**64 - 1
    deep: Any = {"stringValue": "x"}
    for _ in range(200):
        deep = {"arrayValue": {"values": [deep]}}
    nested = {"traceId": trace_id[3:], "spanId": "00000000000000aa", "attributes": [{"key": "k", "value": deep}]}
    cases: list[tuple[bytes, str, dict[str, str], int]] = [
        (good, "text/plain", {}, 400),
        (good, JSON, {}, 400),
        (b"this is no protobuf", PROTOBUF, {}, 400),
        (b"", PROTOBUF, {}, 400),
        (b'{"resourceSpans": []}', JSON, {}, 400),
        (b'{"resourceSpans": 7}', JSON, {}, 400),
        (json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [nested]}]}]}).encode(), JSON, {}, 400),
        (b"[" * 100_000, JSON, {}, 400),
        (good, PROTOBUF, {"content-encoding": "br"}, 400),
        (good, PROTOBUF, {"content-encoding": "gzip"}, 400),
        (gzip.compress(good)[:-9], PROTOBUF, {"content-encoding": "gzip"}, 400),
        (bomb, PROTOBUF, {"content-encoding": "gzip"}, 413),
        (short.SerializeToString(), PROTOBUF, {}, 422),
        (late.SerializeToString(), PROTOBUF, {}, 422),
    ]
    for body, media_type, headers, expected in cases:
        status, answer = client.export(body, experiment, media_type=media_type, headers=headers)
        assert (status, set(answer)) == (expected, {"error_code", "message"}), (body[:40], answer)
    assert client.send("POST", "/v1/traces", good, media_type=PROTOBUF)[0] == 422
    assert client.export(good, "99999999")[0] == 404
    assert client.export(good, "no number")[0] == 400
    assert client.search(experiment) == []


def test_a_client_waits_for_the_rest_of_the_spans(client: Client, experiment: str, trace_id: str) -> None:
    sizes = json.dumps({"num_spans": 2})
    info = _info(trace_id, experiment, trace_metadata={"mlflow.trace.sizeStats": sizes})
    first, second = ExportTraceServiceRequest(), ExportTraceServiceRequest()
    _span(first, trace_id, 1)
    _span(second, trace_id, 2, parent=1)
    client.export(first.SerializeToString(), experiment)
    client.done("POST", V3, info)
    partial = client.done("GET", f"{V3}/get", trace_id=trace_id, allow_partial="True")["trace"]
    assert len(partial["spans"]) == 1
    assert client.done("GET", f"{V3}/batchGet", trace_ids=trace_id)["traces"] == []
    said = client.refused("GET", f"{V3}/get?trace_id={trace_id}", status=404)
    assert "not fully exported yet" in said
    client.export(second.SerializeToString(), experiment)
    assert len(client.done("GET", f"{V3}/get", trace_id=trace_id)["trace"]["spans"]) == 2


# --- traces


def test_a_recorded_trace_comes_back_as_it_was_sent(client: Client, experiment: str, trace_id: str) -> None:
    info = _info(
        trace_id,
        experiment,
        client_request_id="theirs",
        request_preview="",
        response_preview="so",
        trace_metadata={"m": "1"},
        tags={"mlflow.traceName": "f", "mlflow.artifactLocation": "s3://elsewhere"},
    )
    shown = client.done("POST", V3, info)["trace"]["trace_info"]
    place = f"mlflow-artifacts:/{experiment}/traces/{trace_id}/artifacts"
    expected = {**info["trace"]["trace_info"], "tags": {"mlflow.traceName": "f", "mlflow.artifactLocation": place}}
    assert shown == expected
    assert client.done("GET", f"{V3}/{trace_id}", trace_id=trace_id)["trace"]["trace_info"] == expected
    assert client.done("POST", f"{V3}/batchGetInfos", {"trace_ids": ["x", trace_id]}) == {"trace_infos": [expected]}
    camel = {"trace": {"traceInfo": {"traceId": trace_id, "traceLocation": _place(experiment), "state": 2}}}
    assert client.done("POST", V3, camel)["trace"]["trace_info"]["state"] == "ERROR"


@pytest.mark.parametrize(
    "changes",
    [
        {"trace_id": ""},
        {"trace_id": "../x"},
        {"trace_id": "a/b"},
        {"trace_location": {}},
        {"trace_location": _place("x")},
        {"request_time": "soon"},
        {"request_time": "2026-13-01T00:00:00Z"},
        {"request_time": "1969-12-31T23:59:59Z"},
        {"execution_duration": "-1s"},
        {"execution_duration": "1"},
        {"state": "FINE"},
        {"tags": {"k" * 251: "v"}},
        {"tags": {"k": "a\0b"}},
        {"trace_metadata": {"": "v"}},
        {"assessments": [{"assessment_name": "x"}]},
    ],
)
def test_a_trace_that_makes_no_sense_is_refused(
    client: Client, experiment: str, trace_id: str, changes: dict[str, Any]
) -> None:
    client.refused("POST", V3, _info(trace_id, experiment, **changes))
    assert client.search(experiment) == []


def test_a_trace_needs_an_experiment_that_is_in_use(client: Client, experiment: str, trace_id: str) -> None:
    client.refused("POST", V3, _info(trace_id, "99999999"), status=404)
    client.done("POST", "/api/2.0/mlflow/experiments/delete", {"experiment_id": experiment})
    client.refused("POST", V3, _info(trace_id, experiment))
    assert client.search(experiment) == []


@pytest.mark.parametrize("root", [V2, V3, V2.replace("/api/", "/ajax-api/")])
def test_tags_are_set_and_deleted(client: Client, experiment: str, trace_id: str, root: str) -> None:
    client.done("POST", V3, _info(trace_id, experiment))
    client.done("PATCH", f"{root}/{trace_id}/tags", {"key": "k", "value": "v" * 9000})
    assert client.search(experiment, "tags.k LIKE 'vvv%'") == [trace_id]
    client.done("DELETE", f"{root}/{trace_id}/tags", {"key": "k"})
    assert client.search(experiment, "tags.k IS NOT NULL") == []
    said = client.refused("DELETE", f"{root}/{trace_id}/tags", {"key": "k"}, status=404)
    assert said == f"No trace tag with key 'k' for trace with ID '{trace_id}'"
    client.refused("PATCH", f"{root}/tr-none/tags", {"key": "k", "value": "v"}, status=404)
    for key in ("", "k" * 251, SPANS_LOCATION, "../x"):
        client.refused("PATCH", f"{root}/{trace_id}/tags", {"key": key, "value": "v"})


def test_traces_are_found_in_pages(client: Client, experiment: str) -> None:
    ids = [f"tr-page-{experiment}-{number}" for number in range(5)]
    for number, one in enumerate(ids):
        info = _info(one, experiment, request_time=f"2026-01-01T00:00:0{number}Z", tags={"t": str(number % 2)})
        client.done("POST", V3, info)
    asked: dict[str, Any] = {
        "locations": [_place(experiment)],
        "max_results": 2,
        "order_by": ["tags.t DESC", "timestamp_ms ASC"],
    }
    found: list[str] = []
    while True:
        page = client.done("POST", f"{V3}/search", asked)
        found += [one["trace_id"] for one in page["traces"]]
        if "next_page_token" not in page:
            break
        asked["page_token"] = page["next_page_token"]
    assert found == [ids[1], ids[3], ids[0], ids[2], ids[4]]
    assert client.search(experiment, "tags.t = '1' OR NOT (timestamp_ms > 1767225600000)") == [ids[3], ids[1], ids[0]]
    for changes in (
        {"filter": "   "},
        {"filter": "colour = 'red'"},
        {"filter": "tags.t RLIKE '('"},
        {"order_by": ["colour"]},
        {"order_by": ["status", "status"]},
        {"max_results": 0},
        {"max_results": 501},
        {"page_token": "nonsense"},
        {"locations": [_place("x")]},
        {"locations": []},
    ):
        client.refused("POST", f"{V3}/search", {**asked, "page_token": None, **changes})


@pytest.mark.parametrize("root", [V2, V3])
def test_traces_are_deleted_by_id_or_by_age(client: Client, experiment: str, root: str) -> None:
    ids = [f"tr-del-{experiment}-{number}" for number in range(4)]
    for number, one in enumerate(ids):
        client.done("POST", V3, _info(one, experiment, request_time=f"1970-01-01T00:00:0{number}Z"))
    path = f"{root}/delete-traces"
    for bad in (
        {},
        {"max_timestamp_millis": 1, "request_ids": ids},
        {"request_ids": ids, "max_traces": 1},
        {"max_timestamp_millis": 1, "max_traces": 0},
    ):
        client.refused("POST", path, {"experiment_id": experiment, **bad})
    deleted = client.done("POST", path, {"experiment_id": experiment, "request_ids": [ids[3], "none"]})
    assert deleted == {"traces_deleted": 1}
    asked = {"experiment_id": experiment, "max_timestamp_millis": "1000", "max_traces": 1}
    assert client.done("POST", path, asked) == {"traces_deleted": 1}
    assert client.search(experiment) == [ids[2], ids[1]]
    gone = client.done("POST", path, {"experiment_id": experiment, "max_timestamp_millis": -5})
    assert gone == {"traces_deleted": 0}


def test_traces_are_tied_to_runs_and_prompts(client: Client, experiment: str, trace_id: str) -> None:
    run = client.done("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    client.done("POST", V3, _info(trace_id, experiment))
    client.done("POST", f"{V2}/link-to-run", {"trace_ids": [trace_id, "tr-none"], "run_id": run})
    prompts = [{"name": "my prompt", "version": "2"}]
    client.done("POST", f"{V2}/link-prompts", {"trace_id": trace_id, "prompt_versions": prompts})
    assert client.search(experiment, f"run_id = '{run}'") == [trace_id]
    assert client.search(experiment, "prompt = 'my prompt/2'") == [trace_id]
    assert client.search(experiment, "prompt = 'my prompt/1'") == []
    edges = client.stores.journal.walk("model:my%20prompt@2", direction="forward")
    assert [(edge.target, edge.relation) for edge in edges] == [
        (f"trace:{trace_id}", "used_in"),
        (f"run:{run}", "linked_to"),
    ]
    client.refused("POST", f"{V2}/link-to-run", {"trace_ids": [trace_id] * 101, "run_id": run})
    client.refused("POST", f"{V2}/link-to-run", {"trace_ids": [trace_id], "run_id": "none"}, status=404)
    client.refused("POST", f"{V2}/link-prompts", {"trace_id": "tr-none", "prompt_versions": prompts}, status=404)
    client.refused("POST", f"{V2}/link-prompts", {"trace_id": trace_id, "prompt_versions": [{"name": "x"}]})


def test_what_is_not_there_is_not_found(client: Client) -> None:
    assert client.refused("GET", f"{V3}/tr-none", status=404) == "Trace with ID 'tr-none' not found."
    client.refused("GET", f"{V3}/get?trace_id=tr-none", status=404)
    client.refused("GET", f"{V3}/get", status=400)
    client.refused("GET", "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=tr-none", status=404)
    client.refused(
        "GET", "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=tr-none&path=../../etc/passwd", status=404
    )


# --- assessments


def test_assessments_are_made_changed_and_taken_back(client: Client, experiment: str, trace_id: str) -> None:
    client.done("POST", V3, _info(trace_id, experiment))
    path = f"{V3}/{trace_id}/assessments"
    sent = {
        "assessment_name": "correct",
        "trace_id": "another trace",
        "source": {"source_type": "HUMAN", "source_id": "me"},
        "create_time": "2026-11-21T02:00:39.501Z",
        "last_update_time": "2026-11-21T02:00:39.501Z",
        "feedback": {"value": True},
        "rationale": "r",
        "metadata": {"k": "v"},
        "valid": False,
    }
    made = client.done("POST", path, {"assessment": sent})["assessment"]
    first = made.pop("assessment_id")
    assert made == {**sent, "trace_id": trace_id, "valid": True}
    over = {**sent, "feedback": {"value": None, "error": {"error_code": "E"}}, "overrides": first}
    second = client.done("POST", path, {"assessment": over})["assessment"]["assessment_id"]
    old = client.done("GET", f"{path}/{first}", trace_id=trace_id)["assessment"]
    assert old["valid"] is False
    asked = {
        "assessment": {"assessmentName": "fair", "feedback": {"value": 0.5}, "metadata": {"z": "1"}, "rationale": "x"},
        "update_mask": "assessmentName,feedback,metadata",
    }
    changed = client.done("PATCH", f"{path}/{second}", asked)["assessment"]
    assert (changed["assessment_name"], changed["feedback"]) == ("fair", {"value": 0.5})
    assert (changed["metadata"], changed["rationale"]) == ({"k": "v", "z": "1"}, "r")
    shown = client.done("GET", f"{V3}/{trace_id}")["trace"]["trace_info"]["assessments"]
    assert [one["assessment_id"] for one in shown] == [first, second]
    for _ in range(2):
        assert client.done("DELETE", f"{path}/{second}", {"trace_id": trace_id}) == {}
    assert client.done("GET", f"{path}/{first}")["assessment"]["valid"] is True


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"feedback": {"value": None}}, {"feedback": {"value": None}}),
        ({"feedback": {"value": {"a": [1.5, "x"]}}}, {"feedback": {"value": {"a": [1.5, "x"]}}}),
        (
            {"feedback": {"error": {"error_code": "E", "error_message": "m", "stack_trace": "s"}}},
            {"feedback": {"value": None, "error": {"error_code": "E", "error_message": "m", "stack_trace": "s"}}},
        ),
        ({"expectation": {"value": 3.5}}, {"expectation": {"value": 3.5}}),
        (
            {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a": [1, 2]}'}}},
            {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a":[1,2]}'}}},
        ),
        ({"issue": {"issue_name": "loop"}}, {"issue": {"issue_name": "loop"}}),
    ],
)
def test_every_kind_of_judgement_comes_back(
    client: Client, experiment: str, trace_id: str, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    client.done("POST", V3, _info(trace_id, experiment, assessments=[{"assessment_name": "n", **given}]))
    (only,) = client.done("GET", f"{V3}/{trace_id}")["trace"]["trace_info"]["assessments"]
    kind = next(iter(shown))
    assert {kind: only[kind]} == shown
    assert only["source"] == {"source_type": "SOURCE_TYPE_UNSPECIFIED", "source_id": ""}


def test_an_assessment_that_makes_no_sense_is_refused(client: Client, experiment: str, trace_id: str) -> None:
    client.done("POST", V3, _info(trace_id, experiment))
    path = f"{V3}/{trace_id}/assessments"
    good = {"assessment_name": "n", "feedback": {"value": 1}}
    for bad in (
        {},
        {"assessment_name": "n"},
        {"feedback": {"value": 1}},
        {**good, "expectation": {"value": 1}},
        {**good, "source": {"source_type": "CAT"}},
        {**good, "create_time": "now"},
        {"assessment_name": "n", "expectation": {}},
        {"assessment_name": "n", "expectation": {"serialized_value": {"serialization_format": "X", "value": "1"}}},
        {"assessment_name": "n", "expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT"}}},
    ):
        client.refused("POST", path, {"assessment": bad})
    client.refused("POST", path, {"assessment": {**good, "overrides": "a-none"}}, status=404)
    client.refused("POST", f"{V3}/tr-none/assessments", {"assessment": good}, status=404)
    made = client.done("POST", path, {"assessment": {**good, "assessment_id": "a-1"}})["assessment"]
    client.refused("POST", path, {"assessment": {**good, "assessment_id": "a-1"}})
    for mask, given in (
        ("", good),
        ("expectation", {"expectation": {"value": 1}}),
        ("expectation,feedback", {**good, "expectation": {"value": 1}}),
    ):
        client.refused("PATCH", f"{path}/a-1", {"assessment": given, "update_mask": mask})
    client.refused("PATCH", f"{path}/a-none", {"assessment": good, "update_mask": "feedback"}, status=404)
    client.refused("GET", f"{path}/a-none", status=404)
    assert client.done("GET", f"{path}/a-1")["assessment"] == made


def test_a_trace_as_clients_before_mlflow_3_log_it(client: Client, experiment: str) -> None:
    given = {
        "experiment_id": experiment,
        "timestamp_ms": 1000,
        "request_metadata": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
        "tags": [{"key": "t", "value": "old"}, {"key": "u", "value": "kept"}],
    }
    begun = client.done("POST", V2, given)["trace_info"]
    assert (begun["status"], begun["timestamp_ms"], begun["experiment_id"]) == ("IN_PROGRESS", 1000, experiment)
    assert "execution_time_ms" not in begun
    ended = {
        "timestamp_ms": 3000,
        "status": "OK",
        "request_metadata": [{"key": "a", "value": "3"}],
        "tags": [{"key": "t", "value": "new"}],
    }
    address = f"{V2}/{begun['request_id']}"
    shown = client.done("PATCH", address, ended)["trace_info"]
    assert (shown["status"], shown["execution_time_ms"]) == ("OK", 2000)
    assert {one["key"]: one["value"] for one in shown["request_metadata"]} == {"a": "3", "b": "2"}
    tags = {one["key"]: one["value"] for one in shown["tags"]}
    assert (tags["t"], tags["u"]) == ("new", "kept") and tags["mlflow.artifactLocation"].endswith("/artifacts")
    assert client.done("GET", f"{address}/info")["trace_info"] == shown
    again = client.done("POST", V2, given)["trace_info"]["request_id"]
    asked: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 1, "order_by": ["timestamp_ms ASC"]}
    first = client.done("GET", V2, **asked, filter="tags.u = 'kept'")
    second = client.done("GET", V2, **asked, filter="tags.u = 'kept'", page_token=first["next_page_token"])
    found = {one["traces"][0]["request_id"] for one in (first, second)}
    assert found == {begun["request_id"], again} and "next_page_token" not in second
    assert client.done("GET", V2, **asked, filter="tags.u = 'other'") == {}


def test_what_clients_before_mlflow_3_may_not_log(client: Client, experiment: str) -> None:
    client.refused("POST", V2, {"experiment_id": experiment})
    client.refused("POST", V2, {"experiment_id": experiment, "timestamp_ms": -1})
    client.refused("POST", V2, {"experiment_id": experiment, "timestamp_ms": 1, "tags": [{"value": "x"}]})
    client.refused("POST", V2, {"experiment_id": "98765", "timestamp_ms": 1}, status=404)
    client.refused("PATCH", f"{V2}/tr-none", {"timestamp_ms": 1}, status=404)
    client.refused("GET", f"{V2}/tr-none/info", status=404)
    client.refused("GET", V2)
    client.refused("GET", f"{V2}?experiment_ids={experiment}&max_results=501")
    begun = client.done("POST", V2, {"experiment_id": experiment, "timestamp_ms": 1000})["trace_info"]
    client.refused("PATCH", f"{V2}/{begun['request_id']}", {"timestamp_ms": 1, "status": "SHINY"})
    early = client.done("PATCH", f"{V2}/{begun['request_id']}", {"timestamp_ms": 1})["trace_info"]
    assert (early["execution_time_ms"], early["status"]) == (0, "TRACE_STATUS_UNSPECIFIED")


def test_a_trace_is_found_by_the_run_that_it_was_tied_to_before_it_came(
    client: Client, experiment: str, trace_id: str
) -> None:
    made = client.done("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment})
    run = made["run"]["info"]["run_id"]
    client.done("POST", "/api/2.0/mlflow/traces/link-to-run", {"trace_ids": [trace_id], "run_id": run})
    client.done("POST", V3, _info(trace_id, experiment))
    assert client.search(experiment, f"attributes.run_id = '{run}'") == [trace_id]


def test_what_is_attached_to_a_trace_is_sent(client: Client, experiment: str, trace_id: str) -> None:
    client.done("POST", V3, _info(trace_id, experiment))
    folder = f"{experiment}/traces/{trace_id}/artifacts/attachments"
    upload = urllib.request.Request(
        f"{client.url}/api/2.0/mlflow-artifacts/artifacts/{folder}/sound.wav", data=b"RIFF", method="PUT"
    )
    with urllib.request.urlopen(upload, timeout=10) as answer:
        assert answer.status == 200
    address = "/ajax-api/2.0/mlflow/get-trace-artifact"
    sound = f"{client.url}{address}?request_id={trace_id}&path=sound.wav"
    with urllib.request.urlopen(sound, timeout=10) as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"RIFF", "audio/wav")
        assert answer.headers["content-disposition"] == "attachment; filename=sound.wav"
    client.refused("GET", f"{address}?request_id={trace_id}&path=other.wav", status=404)
    client.refused("GET", f"{address}?request_id=tr-none&path=sound.wav", status=404)
    client.refused("GET", f"{address}?request_id={trace_id}&path=..%2Fsound.wav")
    client.refused("GET", f"{address}?path=sound.wav")
