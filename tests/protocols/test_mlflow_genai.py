"""What MLflow's clients and web UI keep and ask for around language models, over a real socket.

Evaluation datasets, scorers, issues, the prompt lab, figures of traces, and GraphQL.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import SystemClock, to_micros
from interlock.core.sealing import Seal
from interlock.ports.run_store import MetricPoint, RunBatch
from interlock.ports.stores import Stores
from interlock.ports.trace_store import Assessment, RecordedTrace, Span, SpanBatch
from interlock.server.guard import Guard
from interlock.server.mlflow.promptlab import TARGET
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.workers import Workers

V3 = "/api/3.0/mlflow"
V2 = "/api/2.0/mlflow"
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class Client:
    url: str
    stores: Stores

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        query = "?" + urlencode(body, doseq=True) if method == "GET" and body else ""
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.url + path + query, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def good(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.ask(method, path, body)
        assert status == 200, answer
        return answer

    def bad(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return the status and the message of a refusal, which has written nothing."""
        before = self.stores.journal.last_seq()
        status, answer = self.ask(method, path, body)
        assert 400 <= status < 500, answer
        assert answer["error_code"] and self.stores.journal.last_seq() == before
        return status, answer["message"]

    def experiment(self, name: str) -> str:
        return str(self.good("POST", f"{V2}/experiments/create", {"name": name})["experiment_id"])

    def run(self, experiment_id: str) -> str:
        return str(self.good("POST", f"{V2}/runs/create", {"experiment_id": experiment_id})["run"]["info"]["run_id"])

    def dataset(self, name: str, **more: Any) -> Any:
        return self.good("POST", f"{V3}/datasets/create", {"name": name, **more})["dataset"]

    def rows(self, dataset_id: str, **more: Any) -> list[Any]:
        found: list[Any] = json.loads(self.good("GET", f"{V3}/datasets/{dataset_id}/records", more)["records"])
        return found

    def issue(self, experiment_id: str, name: str, **more: Any) -> Any:
        body = {"experiment_id": experiment_id, "name": name, "description": "d", **more}
        return self.good("POST", f"{V3}/issues", body)["issue"]

    def graphql(self, query: str, **variables: Any) -> Any:
        return self.good("POST", "/graphql", {"query": query, "variables": variables})


@pytest.fixture
def client() -> Iterator[Client]:
    stores = memory_stores()
    workers = Workers()
    ground = Ground(stores=stores, clock=SystemClock(), workers=workers, seal=Seal(lambda: [bytes(32)]))
    router = Router(mlflow_routes(ground), guard=Guard(), shapes=ERROR_SHAPES)
    with serving(router, listen("127.0.0.1", 0)) as url:
        yield Client(url, stores)
    workers.close()


def test_an_evaluation_dataset_as_clients_see_it(client: Client) -> None:
    one, two = client.experiment("one"), client.experiment("two")
    made = client.dataset("questions", experiment_ids=[one], tags=json.dumps({"a": "1", "mlflow.user": "ada"}))
    assert (made["name"], made["experiment_ids"], made["created_by"]) == ("questions", [one], "ada")
    assert made["created_time"] == made["last_update_time"] > 1_600_000_000_000
    assert "schema" not in made and "profile" not in made
    path = f"{V3}/datasets/{made['dataset_id']}"
    assert client.good("GET", path)["dataset"] == made
    client.good("PATCH", f"{path}/tags", {"tags": json.dumps({"b": 2, "a": None})})
    client.good("DELETE", f"{path}/tags/mlflow.user")
    assert json.loads(client.good("GET", path)["dataset"]["tags"]) == {"a": "1", "b": "2"}
    added = client.good("POST", f"{path}/add-experiments", {"experiment_ids": [two, one]})["dataset"]
    assert added["experiment_ids"] == [one, two]
    assert client.bad("POST", f"{path}/add-experiments", {"experiment_ids": ["999"]})[0] == 404
    client.good("POST", f"{path}/remove-experiments", {"experiment_ids": [one, "7"]})
    assert client.good("GET", f"{path}/experiment-ids") == {"experiment_ids": [two]}
    client.good("DELETE", path)
    assert client.bad("GET", path) == (404, f"Evaluation dataset with id '{made['dataset_id']}' not found")
    client.good("DELETE", path)


def test_rows_of_one_input_are_one(client: Client) -> None:
    dataset_id = client.dataset("questions")["dataset_id"]
    path = f"{V3}/datasets/{dataset_id}/records"
    first = {"inputs": {"q": "é", "n": 2**70}, "expectations": {"a": 1}, "tags": {"t": "x", "mlflow.user": "ada"}}
    source = {"source_type": "trace", "source_data": {"trace_id": "tr-1"}}
    second = {"inputs": {"q": "b"}, "outputs": ["o"], "source": source}
    answer = client.good("POST", path, {"records": json.dumps([first, second, first])})
    assert answer == {"inserted_count": 2, "updated_count": 1}
    again = {"inputs": {"n": 2**70, "q": "é"}, "expectations": {"b": 2}, "tags": {"u": "y"}, "outputs": None}
    assert client.good("POST", path, {"records": json.dumps([again])}) == {"inserted_count": 0, "updated_count": 1}
    one, two = client.rows(dataset_id)
    assert (one["inputs"], one["expectations"]) == (first["inputs"], {"a": 1, "b": 2})
    assert one["tags"] == {"t": "x", "mlflow.user": "ada", "u": "y"} and one["created_by"] == "ada"
    assert "outputs" not in one
    assert (two["outputs"], two["source_type"], two["source_id"]) == (["o"], "TRACE", "tr-1")
    shown = client.good("GET", f"{V3}/datasets/{dataset_id}")["dataset"]
    assert json.loads(shown["profile"]) == {"num_records": 2}
    assert json.loads(shown["schema"]) == {
        "inputs": {"q": "string", "n": "integer"},
        "outputs": "array",
        "expectations": {"a": "integer", "b": "integer"},
        "version": "1.0",
    }
    other = client.dataset("others")["dataset_id"]
    ids = {"dataset_record_ids": [one["dataset_record_id"]]}
    assert client.good("DELETE", f"{V3}/datasets/{other}/records", ids) == {"deleted_count": 0}
    assert client.good("DELETE", path, ids) == {"deleted_count": 1}
    client.good("DELETE", f"{V3}/datasets/{dataset_id}")
    assert client.stores.records.count("mlflow.evaluation_row") == 0


def test_rows_are_paged(client: Client) -> None:
    dataset_id = client.dataset("many")["dataset_id"]
    path = f"{V3}/datasets/{dataset_id}/records"
    client.good("POST", path, {"records": json.dumps([{"inputs": {"n": n}} for n in range(1203)])})
    seen, token = [], ""
    while True:
        page = client.good("GET", path, {"max_results": 500, "page_token": token})
        seen += [one["inputs"]["n"] for one in json.loads(page["records"])]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert seen == list(range(1203))


@pytest.mark.parametrize(
    "records",
    [
        "",
        "[",
        "{}",
        "[1]",
        '[{"tags": {"mlflow.user": "\\ud800"}}]',
        '[{"inputs": 1}]',
        '[{"inputs": {}, "source": {"source_type": "moon"}}]',
        "[" * 100_000,
    ],
)
def test_rows_that_cannot_be_taken(client: Client, records: str) -> None:
    dataset_id = client.dataset("questions")["dataset_id"]
    assert client.bad("POST", f"{V3}/datasets/{dataset_id}/records", {"records": records})[0] == 400
    assert client.bad("POST", f"{V3}/datasets/d-none/records", {"records": "[]"})[0] == 404


def test_two_who_write_rows_at_once_lose_none(client: Client) -> None:
    path = f"{V3}/datasets/{client.dataset('busy')['dataset_id']}/records"

    def write(number: int) -> None:
        row = {"inputs": {"q": 1}, "expectations": {f"e{number}": number}}
        client.good("POST", path, {"records": json.dumps([row])})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    (row,) = json.loads(client.good("GET", path)["records"])
    assert row["expectations"] == {f"e{number}": number for number in range(12)}


def test_datasets_are_found(client: Client) -> None:
    one, two = client.experiment("one"), client.experiment("two")
    client.dataset("b", experiment_ids=[one], tags=json.dumps({"team": "ml"}))
    client.dataset("a", experiment_ids=[one, two], tags=json.dumps({"team": "data"}))
    client.dataset("c")

    def names(**asked: Any) -> list[str]:
        found = client.good("POST", f"{V3}/datasets/search", asked).get("datasets", [])
        return [dataset["name"] for dataset in found]

    assert names(order_by=["name ASC"]) == ["a", "b", "c"]
    assert names(experiment_ids=[two]) == ["a"]
    assert names(filter_string="tags.team = 'ml'") == ["b"]
    assert names(filter_string="tags.team != 'ml'") == ["a"]
    assert names(filter_string="name ILIKE 'B%' AND created_time > 0") == ["b"]
    assert names(filter_string="created_time < 1000") == []
    page = client.good("POST", f"{V3}/datasets/search", {"order_by": ["name"], "max_results": 2})
    rest = {"order_by": ["name"], "max_results": 2, "page_token": page["next_page_token"]}
    assert names(**rest) == ["c"]
    for wrong in ({"filter_string": "moon = 'x'"}, {"order_by": ["moon"]}, {"page_token": "x"}, {"max_results": -1}):
        assert client.bad("POST", f"{V3}/datasets/search", wrong)[0] == 400
    assert client.bad("POST", f"{V3}/datasets/create", {})[0] == 400
    assert client.bad("POST", f"{V3}/datasets/create", {"name": "x", "tags": "[]"})[0] == 400


def test_scorers_have_versions(client: Client) -> None:
    experiment = client.experiment("one")

    def register(text: str, name: str = "polite") -> Any:
        body = {"experiment_id": experiment, "name": name, "serialized_scorer": text}
        return client.good("POST", f"{V3}/scorers/register", body)

    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(one["version"] for one in pool.map(lambda n: register(f'{{"n": {n}}}'), range(5)))
    assert numbers == [1, 2, 3, 4, 5]
    brief = register("{}", "brief")
    assert (brief["version"], brief["name"], brief["serialized_scorer"]) == (1, "brief", "{}")
    listed = client.good("GET", f"{V3}/scorers/list", {"experiment_id": experiment})["scorers"]
    assert [(one["scorer_name"], one["scorer_version"]) for one in listed] == [("brief", 1), ("polite", 5)]
    assert client.good("GET", f"{V3}/scorers/list")["scorers"] == listed
    asked: dict[str, Any] = {"experiment_id": experiment, "name": "polite"}
    versions = client.good("GET", f"{V3}/scorers/versions", asked)["scorers"]
    assert len({one["scorer_id"] for one in versions}) == 1 and len(versions) == 5
    client.good("DELETE", f"{V3}/scorers/delete", {**asked, "version": 5})
    assert client.good("GET", f"{V3}/scorers/get", asked)["scorer"]["scorer_version"] == 4
    assert register("{}")["version"] == 6, "a number is not used again"
    assert client.bad("GET", f"{V3}/scorers/get", {**asked, "version": 5})[0] == 404
    client.good("DELETE", f"{V3}/scorers/delete", asked)
    assert client.bad("GET", f"{V3}/scorers/get", asked)[0] == 404
    client.good("POST", f"{V2}/experiments/delete", {"experiment_id": experiment})
    assert client.good("GET", f"{V3}/scorers/list") == {}


@pytest.mark.parametrize("text", ["", "{", '{"call_source": "import os"}', '{"all": [{"call_source": "x"}]}'])
def test_a_scorer_that_brings_code_is_refused(client: Client, text: str) -> None:
    body = {"experiment_id": client.experiment("one"), "name": "s", "serialized_scorer": text}
    assert client.bad("POST", f"{V3}/scorers/register", body)[0] == 400


def test_issues(client: Client) -> None:
    experiment = client.experiment("one")
    made = client.issue(experiment, "slow", root_causes=["db"], severity="high", source_run_id="r", created_by="ada")
    assert (made["status"], made["root_causes"], made["experiment_id"]) == ("pending", ["db"], experiment)
    path = f"{V3}/issues/{made['issue_id']}"
    assert client.good("GET", path)["issue"] == made
    changed = client.good("PATCH", path, {"status": "resolved", "name": "was slow"})["issue"]
    assert (changed["status"], changed["name"], changed["severity"]) == ("resolved", "was slow", "high")
    assert client.bad("PATCH", path, {"status": "open"})[0] == 400
    assert client.bad("GET", f"{V3}/issues/iss-none") == (404, "Issue with ID 'iss-none' not found")
    assert client.bad("PATCH", f"{V3}/issues/iss-none", {"name": "x"})[0] == 404
    for wrong in ({"name": ""}, {"severity": "huge"}, {"name": "a\0"}):
        body = {"experiment_id": experiment, "name": "n", "description": "d", **wrong}
        assert client.bad("POST", f"{V3}/issues", body)[0] == 400
    assert client.bad("POST", f"{V3}/issues", {"experiment_id": "77", "name": "n", "description": "d"})[0] == 404


def test_issues_are_found_worst_first(client: Client) -> None:
    one, two = client.experiment("one"), client.experiment("two")
    low = client.issue(one, "low", severity="low", source_run_id="r1")
    high = client.issue(one, "high", severity="high", status="resolved")
    none = client.issue(two, "none")

    def ids(**asked: Any) -> list[str]:
        return [one["issue_id"] for one in client.good("POST", f"{V3}/issues/search", asked)["issues"]]

    assert ids() == [high["issue_id"], low["issue_id"], none["issue_id"]]
    assert ids(experiment_id=one, filter_string="status != 'resolved'") == [low["issue_id"]]
    assert ids(filter_string="source_run_id = 'r1'") == [low["issue_id"]]
    page = client.good("POST", f"{V3}/issues/search", {"max_results": 2})
    rest = client.good("POST", f"{V3}/issues/search", {"max_results": 2, "page_token": page["next_page_token"]})
    assert [one["name"] for one in rest["issues"]] == ["none"] and rest["next_page_token"] == ""
    assert client.bad("POST", f"{V3}/issues/search", {"filter_string": "status > 'a'"})[0] == 400
    record_trace(client, one, "tr-1")
    found = Assessment("a-1", "tr-1", low["issue_id"], "issue", "HUMAN", "ada", LONG_AGO, LONG_AGO, value="low")
    client.stores.traces.assess(found)
    counted = client.good("POST", f"{V3}/issues/search", {"include_trace_count": True})["issues"]
    assert [(one["name"], one["trace_count"]) for one in counted] == [("high", 0), ("low", 1), ("none", 0)]


def record_trace(client: Client, experiment: str, trace_id: str, **more: Any) -> None:
    given = {"start_ms": 1_700_000_000_000, "status": "OK", **more}
    client.stores.traces.record(RecordedTrace(trace_id, int(experiment), **given))


def traces(client: Client) -> str:
    experiment = client.experiment("traced")
    for number in range(10):
        record_trace(
            client,
            experiment,
            f"tr-{number}",
            start_ms=1_700_000_000_000 + 60_000 * (number // 5),
            status="ERROR" if number == 9 else "OK",
            duration_ms=number * 10,
            tags={"mlflow.traceName": "ask" if number < 4 else "tell", "env": "prod" if number < 6 else "dev"},
            metadata={
                "mlflow.trace.tokenUsage": json.dumps({"total_tokens": number}),
                "mlflow.trace.session": f"s{number % 3}",
            },
        )
    return experiment


def figures(client: Client, experiment: str, name: str, kinds: list[Any], **more: Any) -> list[Any]:
    body = {
        "experiment_ids": [experiment],
        "view_type": "TRACES",
        "metric_name": name,
        "aggregations": [
            {"aggregation_type": one} if isinstance(one, str) else {"aggregation_type": 4, "percentile_value": one}
            for one in kinds
        ],
        **more,
    }
    found = client.good("POST", f"{V3}/traces/metrics", body).get("data_points", [])
    return [(one["dimensions"], one["values"]) for one in found]


def test_traces_are_counted_and_measured(client: Client) -> None:
    experiment = traces(client)
    assert figures(client, experiment, "trace_count", ["COUNT"], dimensions=["trace_status"]) == [
        ({"trace_status": "ERROR"}, {"COUNT": 1}),
        ({"trace_status": "OK"}, {"COUNT": 9}),
    ]
    assert figures(client, experiment, "session_count", ["COUNT"]) == [({}, {"COUNT": 3})]
    assert figures(client, experiment, "total_tokens", ["SUM"], filters=["trace.tag.env = 'dev'"]) == [
        ({}, {"SUM": 6 + 7 + 8 + 9})
    ]
    assert figures(client, experiment, "latency", ["MIN", "MAX", "AVG", 50, 12.5], dimensions=["trace_name"])[0] == (
        {"trace_name": "ask"},
        {"MIN": 0, "MAX": 30, "AVG": 15, "P50.0": 15, "P12.5": 3.75},
    )
    times = {"start_time_ms": 1_700_000_000_000, "end_time_ms": 1_700_000_060_000, "time_interval_seconds": 60}
    assert figures(client, experiment, "trace_count", ["COUNT"], filters=["trace.status = 'OK'"], **times) == [
        ({"time_bucket": "2023-11-14T22:13:00+00:00"}, {"COUNT": 5}),
        ({"time_bucket": "2023-11-14T22:14:00+00:00"}, {"COUNT": 4}),
    ]
    assert figures(client, client.experiment("none"), "trace_count", ["COUNT"]) == [({}, {"COUNT": 0})]


def test_spans_and_judgements_are_measured(client: Client) -> None:
    experiment = client.experiment("traced")
    record_trace(client, experiment, "tr-1")
    spans = (
        Span("a" * 16, "root", 0, 5_000_000, kind="CHAIN"),
        Span("b" * 16, "ask", 0, 3_000_000, parent="a" * 16, kind="LLM", attributes={"mlflow.llm.model": "m"}),
    )
    client.stores.traces.log_spans(int(experiment), [SpanBatch("tr-1", spans)])
    for number, value in enumerate([True, False, 1.0, "yes", "perhaps"]):
        one = Assessment(f"a{number}", "tr-1", "good", "feedback", "HUMAN", "ada", LONG_AGO, LONG_AGO, value=value)
        client.stores.traces.assess(one)
    spans_of = {"view_type": "SPANS"}
    assert figures(client, experiment, "span_count", ["COUNT"], dimensions=["span_type"], **spans_of) == [
        ({"span_type": "CHAIN"}, {"COUNT": 1}),
        ({"span_type": "LLM"}, {"COUNT": 1}),
    ]
    assert figures(client, experiment, "latency", ["MAX"], filters=["span.name = 'ask'"], **spans_of) == [
        ({}, {"MAX": 3})
    ]
    assert figures(client, experiment, "assessment_value", ["AVG"], view_type="ASSESSMENTS") == [({}, {"AVG": 0.75})]


@pytest.mark.parametrize(
    "wrong",
    [
        {"experiment_ids": []},
        {"view_type": "MOON"},
        {"metric_name": "moon"},
        {"aggregations": [{"aggregation_type": "SUM"}]},
        {"aggregations": [{"aggregation_type": "COUNT", "percentile_value": 1}]},
        {"dimensions": ["span_name"]},
        {"filters": ["trace.status > 'OK'"]},
        {"filters": ["trace.tag = 'x'"]},
        {"filters": ["span.name = 'x'"]},
        {"time_interval_seconds": 60},
        {"max_results": 0},
    ],
)
def test_figures_that_make_no_sense(client: Client, wrong: dict[str, Any]) -> None:
    body = {
        "experiment_ids": ["0"],
        "view_type": "TRACES",
        "metric_name": "trace_count",
        "aggregations": [{"aggregation_type": "COUNT"}],
    }
    client.good("POST", f"{V3}/traces/metrics", body)
    assert client.bad("POST", f"{V3}/traces/metrics", {**body, **wrong})[0] == 400


def test_how_two_filters_go_together(client: Client) -> None:
    experiment = traces(client)

    def correlate(first: str, second: str, base: str = "") -> Any:
        body = {"experiment_ids": [experiment], "filter_string1": first, "filter_string2": second, "base_filter": base}
        return client.good("POST", f"{V3}/traces/calculate-filter-correlation", body)

    found = correlate("tags.env = 'prod'", "tags.`mlflow.traceName` = 'ask'")
    assert [found[name] for name in ("filter1_count", "filter2_count", "joint_count", "total_count")] == [6, 4, 4, 10]
    assert found["npmi"] == pytest.approx(0.5574929)  # ln(0.4 / (0.6 * 0.4)) / -ln(0.4)
    assert 0 < found["npmi_smoothed"] < found["npmi"]
    assert correlate("tags.env = 'prod'", "tags.env = 'dev'")["npmi"] == -1
    assert correlate("tags.env = 'moon'", "tags.env = 'dev'")["npmi"] == "NaN"
    assert correlate("status = 'OK'", "tags.env = 'prod'", "tags.env = 'prod'")["npmi"] == 1
    assert client.bad("POST", f"{V3}/traces/calculate-filter-correlation", {"experiment_ids": ["0"]})[0] == 400


PROMPT = {
    "prompt_template": "Say {{x}}",
    "prompt_parameters": [{"key": "x", "value": 1}],
    "model_route": "route",
    "model_input": "Say 1",
    "mlflow_version": "3.1.0",
}


def test_what_was_tried_in_the_prompt_lab_is_a_run(client: Client) -> None:
    experiment = client.experiment("lab")
    body = {
        **PROMPT,
        "experiment_id": experiment,
        "model_output": "1",
        "model_parameters": [{"key": "temperature", "value": 0.5}],
        "user_id": "ada",
        "start_time": 456,
    }
    run = client.good("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", body)["run"]
    assert (run["info"]["status"], run["info"]["start_time"], run["info"]["user_id"]) == ("FINISHED", 456, "ada")
    assert {one["key"]: one["value"] for one in run["data"]["params"]} == {
        "temperature": "0.5",
        "model_route": "route",
        "prompt_template": "Say {{x}}",
    }
    path = f"/get-artifact?run_id={run['info']['run_id']}&path="
    assert client.good("GET", path + "eval_results_table.json") == {
        "columns": ["x", "prompt", "output"],
        "data": [["1", "Say 1", "1"]],
    }
    assert client.good("GET", path + "model/parameters.yaml")["prompt_parameters"] == {"x": "1"}
    for name in PROMPT:
        lacking = {key: value for key, value in body.items() if key != name}
        said = client.bad("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", lacking)
        assert said == (400, f"CreatePromptlabRun request must specify {name}.")
    assert client.bad(
        "POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", {**body, "mlflow_version": "1\nevil"}
    ) == (400, "Invalid mlflow_version '1\nevil'.")


def test_a_gateway_is_asked_where_there_is_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/ajax-api/2.0/mlflow/gateway-proxy"
    monkeypatch.delenv(TARGET, raising=False)
    assert client.good("GET", path, {"gateway_path": "api/2.0/endpoints/"}) == {"endpoints": []}
    assert client.bad("POST", path) == (400, "Deployments proxy request must specify a gateway_path.")
    for wrong in ("gateway/../x/invocations", "gateway/a?b/invocations", "api/2.0/endpoints"):
        assert client.bad("POST", path, {"gateway_path": wrong})[0] == 400
    seen: list[tuple[str, bytes]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200 if "good" in self.path else 418)
            self.end_headers()
            self.wfile.write(b'{"said": 1}')

        def log_message(self, format: str, *args: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            monkeypatch.setenv(TARGET, f"http://127.0.0.1:{server.server_port}/")
            asked = {"gateway_path": "gateway/good/invocations", "json_data": {"a": 1}}
            assert client.good("POST", path, asked) == {"said": 1}
            assert seen == [("/gateway/good/invocations", b'{"a": 1}')]
            status, answer = client.ask("POST", path, {"gateway_path": "gateway/ill/invocations"})
            assert (status, "error code 418" in answer["message"]) == (502, True)
        finally:
            server.shutdown()
            thread.join()


def test_graphql_says_what_rest_says(client: Client) -> None:
    experiment = client.experiment("graph")
    run = client.run(experiment)
    points = [MetricPoint("loss", float("nan") if n == 2 else n / 2, n, to_micros(LONG_AGO)) for n in range(3)]
    client.stores.runs.log(run, RunBatch(metrics=tuple(points), params={"nan": "NaN"}))
    query = """query Q($id: String!) @component(name: "x") {
        mlflowGetRun(input: {runId: $id}) { run {
            ...info
            data { metrics { key value step timestamp } params { key value } }
            experiment { name experimentId } modelVersions { name } } }
        again: mlflowGetRun(input: {runId: $id}) { run { info { runId } } } }
        fragment info on MlflowRunExtension { info { runId status endTime } }"""
    answer = client.graphql(query, id=run)
    assert answer["errors"] is None
    assert answer["data"]["mlflowGetRun"]["run"] == {
        "info": {"runId": run, "status": "RUNNING", "endTime": None},
        "data": {
            "metrics": [{"key": "loss", "value": None, "step": "2", "timestamp": "1704067200000"}],
            "params": [{"key": "nan", "value": "NaN"}],
        },
        "experiment": {"name": "graph", "experimentId": experiment},
        "modelVersions": [],
    }
    history = '{ mlflowGetMetricHistoryBulkInterval(input: {runIds: [%s], metricKey: "loss"}) { metrics { value } } }'
    found = client.graphql(history % json.dumps(run))["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert found == [{"value": 0}, {"value": 0.5}, {"value": None}]
    search = (
        'mutation { mlflowSearchRuns(input: {experimentIds: ["%s"], runViewType: ALL}) { runs { info { runId } } } }'
    )
    assert client.graphql(search % experiment)["data"] == {"mlflowSearchRuns": {"runs": [{"info": {"runId": run}}]}}


def test_graphql_has_what_the_page_of_an_experiment_asks_for(client: Client) -> None:
    query = """{ mlflowGetExperiment(input: {experimentId: "0"}) { experiment {
        name effectiveTraceArchivalRetention workspace } apiError { message } } }"""
    answer = client.graphql(query)
    assert answer["errors"] is None
    found = answer["data"]["mlflowGetExperiment"]["experiment"]
    assert found == {"name": "Default", "effectiveTraceArchivalRetention": None, "workspace": None}


def test_graphql_says_what_is_wrong(client: Client) -> None:
    answer = client.graphql('{ mlflowGetRun(input: {runId: "none"}) { run { info { runId } } } }')
    assert answer["data"] == {"mlflowGetRun": None}
    assert answer["errors"] == ["Run with id=none not found"]
    for query in ("", "{", "{ moon }", "{ test }", "query A { __typename } query B { __typename }"):
        assert client.graphql(query)["errors"], query
    assert client.graphql('{ test(inputString: "a") { output } }')["data"] == {"test": {"output": "a"}}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{" + " ".join(f"k{n}: __typename" for n in range(11)) + "}", "at most 10 root fields"),
        ("{ test { " + " ".join(f"k{n}: output" for n in range(11)) + " } }", "at most 10 aliases"),
        ("{ test { " + " ".join(f"f{n}" for n in range(1001)) + " } }", "maximum total selections of 1000"),
        ("{" + "a {" * 11 + "b" + "}" * 12, "maximum depth of 10"),
        ("{" + "a {" * 3000 + "b" + "}" * 3001, "deep"),
        ("{ ...a } fragment a on Query { x { ...a } }", "maximum depth of 10"),
        ("{ " + "a " * 20_000 + "}", "tokens"),
        ("#" * 200_000, "may have 100000 characters"),
    ],
)
def test_graphql_asks_for_too_much(client: Client, query: str, said: str) -> None:
    answer = client.graphql(query)
    assert answer["data"] is None and said in answer["errors"][0]


def test_a_trace_file_has_the_name_clients_expect(client: Client) -> None:
    experiment = client.experiment("traced")
    record_trace(client, experiment, "tr-1", tags={"mlflow.trace.spansLocation": "TRACKING_STORE"})
    client.stores.traces.log_spans(int(experiment), [SpanBatch("tr-1", (Span("a" * 16, "root", 0, 1),))])
    address = f"{client.url}/ajax-api/2.0/mlflow/get-trace-artifact?request_id=tr-1"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["content-disposition"] == "attachment; filename=traces.json"


def test_two_slashes_before_an_artifact_are_one(client: Client) -> None:
    assert client.bad("GET", "//model-versions/get-artifact", {"name": "m", "version": 1, "path": "../x"})[0] == 400
