"""MLflow's webhooks over real sockets: the endpoints, and what a receiver on loopback gets to see."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import SystemClock
from interlock.core.sealing import Seal
from interlock.ports.stores import Stores
from interlock.server.guard import Guard
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.webhook_topics import LANGUAGE, TOPICS
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.scheduler import Scheduler
from interlock.server.serve import listen, serving
from interlock.server.webhooks.addresses import PRIVATE_ALLOWED
from interlock.server.webhooks.delivery import WebhookDelivery
from interlock.server.workers import Workers
from interlock.workspace import open_workspace

API = "/api/2.0/mlflow"
HOOKS = f"{API}/webhooks"
CREATED = {"entity": "MODEL_VERSION", "action": "CREATED"}


@dataclass
class Receiver:
    """What arrived, and how it is answered."""

    url: str
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def wait(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [json.loads(body) for _, _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((self.path, dict(self.headers), body))
            status, headers = state.answers.pop(0) if state.answers else (200, {})
            self.send_response(status)
            for name, value in {"Content-Length": "4", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"fine")

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield state
        server.shutdown()


@dataclass
class Client:
    """Sends what MLflow's clients send."""

    url: str
    stores: Stores

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def done(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.ask(method, path, body)
        assert status == 200, answer
        return answer

    def hook(self, url: str, *topics: str, **rest: Any) -> str:
        events = [dict(zip(("entity", "action"), topic.upper().split("."), strict=True)) for topic in topics]
        given = {"name": "hook", "url": url, "events": events or [CREATED], **rest}
        return str(self.done("POST", HOOKS, given)["webhook"]["webhook_id"])


@pytest.fixture(params=["memory", "sqlite"])
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
def private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRIVATE_ALLOWED, "1")


@pytest.fixture
def delivering(client: Client, private: None) -> Iterator[None]:
    delivery = WebhookDelivery(client.stores, LANGUAGE, private=True)
    with Scheduler(client.stores.leases, [delivery], tick_s=0.01):
        yield
    delivery.close()


# --- endpoints


def test_a_webhook_is_made_shown_and_never_shows_its_secret(client: Client) -> None:
    given = {
        "name": "ci",
        "url": "https://example.com/hook?x=1",
        "events": [CREATED, {"entity": "PROMPT", "action": "CREATED"}, CREATED],
        "description": "builds",
        "secret": "s3cret",
        "status": "DISABLED",
    }
    made = client.done("POST", HOOKS, given)["webhook"]
    times = [made.pop(name) for name in ("creation_timestamp", "last_updated_timestamp")]
    webhook_id = made.pop("webhook_id")
    assert made == {**{k: v for k, v in given.items() if k != "secret"}, "events": given["events"][:2]}
    assert times[0] == times[1] > 1_700_000_000_000
    for path in (f"{HOOKS}/{webhook_id}", HOOKS):
        status, answer = client.ask("GET", path)
        assert status == 200 and "s3cret" not in json.dumps(answer) and webhook_id in json.dumps(answer)


def test_webhooks_are_listed_in_pages_newest_first(client: Client) -> None:
    ids = [client.hook(f"https://example.com/{number}") for number in range(5)]
    found: list[str] = []
    token = ""
    while True:
        page = client.done("GET", f"{HOOKS}?max_results=2&page_token={token}")
        found += [one["webhook_id"] for one in page["webhooks"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert found == ids[::-1]
    assert client.ask("GET", f"{HOOKS}?max_results=1001")[0] == 400
    assert client.ask("GET", f"{HOOKS}?max_results=0")[0] == 400
    assert client.ask("GET", f"{HOOKS}?page_token=none")[0] == 400


def test_a_webhook_changes_in_what_is_given(client: Client) -> None:
    webhook_id = client.hook("https://example.com/a", description="old", secret="s")
    after = client.done("PATCH", f"{HOOKS}/{webhook_id}", {"name": "new", "status": "DISABLED"})["webhook"]
    assert (after["name"], after["status"], after["description"]) == ("new", "DISABLED", "old")
    after = client.done("PATCH", f"{HOOKS}/{webhook_id}", {"description": "", "secret": ""})["webhook"]
    assert "description" not in after
    assert client.stores.webhooks.get(webhook_id).signed is False
    assert client.done("DELETE", f"{HOOKS}/{webhook_id}") == {}
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        status, answer = client.ask(method, f"{HOOKS}/{webhook_id}", body)
        assert (status, answer["message"]) == (404, f"Webhook with ID {webhook_id} not found.")
    assert client.ask("POST", f"{HOOKS}/{webhook_id}/test", {})[0] == 404


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Missing value"),
        ({"name": "-x"}, "Webhook name '-x' is invalid"),
        ({"name": "x" * 64}, "is invalid"),
        ({"url": "   "}, "Webhook URL cannot be empty or just whitespace"),
        ({"url": "ftp://example.com"}, "Invalid webhook URL scheme"),
        ({"url": "http://[invalid"}, "Invalid webhook URL"),
        ({"url": "https://user:secret@example.com/"}, "Invalid webhook URL"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "Webhooks may not go to"),
        ({"url": "http://127.0.0.1:8080/"}, "Webhooks may not go to"),
        ({"url": "http://localhost/"}, "Webhooks may not go to"),
        ({"url": "http://2130706433/"}, "Invalid webhook URL"),
        ({"events": []}, "Missing value"),
        ({"events": [{"entity": "MODEL_VERSION", "action": "SET"}]}, "Invalid webhook event 'model_version.set'"),
        ({"events": [{"entity": "CAT", "action": "CREATED"}]}, "Invalid webhook event"),
        ({"status": "ASLEEP"}, "Invalid webhook status"),
        ({"events": "x"}, "Invalid"),
    ],
)
def test_a_webhook_that_makes_no_sense_is_refused(client: Client, changes: dict[str, Any], message: str) -> None:
    good = {"name": "ci", "url": "https://example.com/hook", "events": [CREATED]}
    status, answer = client.ask("POST", HOOKS, {**good, **changes})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer
    assert message in answer["message"]
    assert client.done("GET", HOOKS) == {}


# --- what is told


def test_everything_of_the_registry_is_told_signed_and_in_order(
    client: Client, receiver: Receiver, delivering: None
) -> None:
    topics = [topic for topic in TOPICS if not topic.startswith(("prompt", "budget"))]
    client.hook(f"{receiver.url}/in?x=1", *topics, secret="s3cret")
    tags = [{"key": "a", "value": "1"}]
    client.done("POST", f"{API}/registered-models/create", {"name": "my model", "tags": tags, "description": "d"})
    source = {"source": "s3://bucket/model", "run_id": "r1", "tags": tags, "description": "v"}
    client.done("POST", f"{API}/model-versions/create", {"name": "my model", **source})
    one = {"name": "my model", "version": "1"}
    receiver.wait(2)
    client.done("POST", f"{API}/model-versions/set-tag", {**one, "key": "k", "value": "v"})
    receiver.wait(3)
    client.done("DELETE", f"{API}/model-versions/delete-tag", {**one, "key": "k"})
    client.done("POST", f"{API}/registered-models/alias", {**one, "alias": "best"})
    client.done("DELETE", f"{API}/registered-models/alias", {"name": "my model", "alias": "best"})
    told = receiver.wait(6)
    named = {"name": "my model"}
    said = {"tags": {"a": "1"}}
    assert [(f"{each['entity']}.{each['action']}", each["data"]) for each in told] == [
        ("registered_model.created", {**named, **said, "description": "d"}),
        ("model_version.created", {**one, **said, "source": "s3://bucket/model", "run_id": "r1", "description": "v"}),
        ("model_version_tag.set", {**one, "key": "k", "value": "v"}),
        ("model_version_tag.deleted", {**one, "key": "k"}),
        ("model_version_alias.created", {**one, "alias": "best"}),
        ("model_version_alias.deleted", {**named, "alias": "best"}),
    ]
    assert all(each["timestamp"].endswith("+00:00") for each in told)
    path, headers, body = receiver.got[0]
    assert (path, headers["Content-Type"]) == ("/in?x=1", "application/json")
    message = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.digest(b"s3cret", message, hashlib.sha256)).decode()
    assert headers["X-MLflow-Signature"] == f"v1,{digest}"
    assert abs(int(headers["X-MLflow-Timestamp"]) - time.time()) < 60


def test_prompts_are_told_in_words_of_their_own(client: Client, receiver: Receiver, delivering: None) -> None:
    topics = [topic for topic in TOPICS if not topic.startswith("budget")]
    client.hook(receiver.url, *topics)
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    client.done("POST", f"{API}/registered-models/create", {"name": "ask", "tags": [is_prompt]})
    text = {"key": "mlflow.prompt.text", "value": "Hi {{x}}"}
    version = {"name": "ask", "source": "dummy-source", "tags": [is_prompt, text, {"key": "t", "value": "u"}]}
    client.done("POST", f"{API}/model-versions/create", version)
    receiver.wait(2)
    client.done("POST", f"{API}/registered-models/set-tag", {"name": "ask", "key": "k", "value": "v"})
    client.done("POST", f"{API}/registered-models/alias", {"name": "ask", "version": "1", "alias": "best"})
    told = receiver.wait(4)
    assert [(f"{each['entity']}.{each['action']}", each["data"]) for each in told] == [
        ("prompt.created", {"name": "ask", "tags": {}, "description": ""}),
        (
            "prompt_version.created",
            {"name": "ask", "version": "1", "template": "Hi {{x}}", "tags": {"t": "u"}, "description": None},
        ),
        ("prompt_tag.set", {"name": "ask", "key": "k", "value": "v"}),
        ("prompt_alias.created", {"name": "ask", "version": "1", "alias": "best"}),
    ]
    assert "X-MLflow-Signature" not in receiver.got[0][1]


def test_only_what_was_asked_for_is_told(client: Client, receiver: Receiver, delivering: None) -> None:
    client.hook(receiver.url, "model_version_alias.created")
    sleeping = client.hook(f"{receiver.url}/asleep", "registered_model.created", status="DISABLED")
    client.done("POST", f"{API}/registered-models/create", {"name": "m"})
    client.done("POST", f"{API}/model-versions/create", {"name": "m", "source": "s3://b/m"})
    client.done("PATCH", f"{HOOKS}/{sleeping}", {"status": "ACTIVE"})
    client.done("POST", f"{API}/registered-models/alias", {"name": "m", "version": "1", "alias": "best"})
    client.done("POST", f"{API}/registered-models/create", {"name": "n"})
    told = receiver.wait(2)
    by_path = {path: each["data"]["name"] for (path, _, _), each in zip(receiver.got, told, strict=True)}
    assert by_path == {"/": "m", "/asleep": "n"}


def test_a_receiver_that_fails_is_told_again_under_the_same_id(
    client: Client, receiver: Receiver, delivering: None
) -> None:
    receiver.answers = [(503, {}), (200, {})]
    client.hook(receiver.url, "registered_model.created")
    for name in ("m", "n"):
        client.done("POST", f"{API}/registered-models/create", {"name": name})
    assert [each["data"]["name"] for each in receiver.wait(3)] == ["m", "m", "n"]
    ids = [headers["X-MLflow-Delivery-Id"] for _, headers, _ in receiver.got]
    assert ids[0] == ids[1] != ids[2]
    assert client.stores.journal.events(kinds=["webhook.gave_up"]) == []


def test_a_redirect_is_not_followed(client: Client, receiver: Receiver, delivering: None) -> None:
    receiver.answers = [(302, {"Location": f"{receiver.url}/secret"})]
    webhook_id = client.hook(receiver.url, "registered_model.created")
    for name in ("m", "n"):
        client.done("POST", f"{API}/registered-models/create", {"name": name})
    assert [each["data"]["name"] for each in receiver.wait(2)] == ["m", "n"]
    assert [path for path, _, _ in receiver.got] == ["/", "/"]
    (gave_up,) = client.stores.journal.events(kinds=["webhook.gave_up"])
    assert (gave_up.subject, "302" in gave_up.payload["because"]) == (f"webhook:{webhook_id}", True)


# --- tests of webhooks


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_a_test_sends_an_example_of_the_topic(client: Client, receiver: Receiver, private: None, topic: str) -> None:
    webhook_id = client.hook(receiver.url, "model_version.created", secret="s")
    entity, action = topic.upper().split(".")
    event = {"event": {"entity": entity, "action": action}}
    result = client.done("POST", f"{HOOKS}/{webhook_id}/test", event)["result"]
    assert result == {"success": True, "response_status": 200, "response_body": "fine"}
    (told,) = receiver.wait(1)
    assert (f"{told['entity']}.{told['action']}", told["data"]) == (topic, TOPICS[topic])
    assert "X-MLflow-Signature" in receiver.got[0][1]


def test_a_test_says_what_went_wrong(client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRIVATE_ALLOWED, "1")
    webhook_id = client.hook(receiver.url)
    receiver.answers = [(500, {}), (307, {"Location": f"{receiver.url}/secret"})]
    for status in (500, 307):
        result = client.done("POST", f"{HOOKS}/{webhook_id}/test", {})["result"]
        assert (result["success"], result["response_status"]) == (False, status)
    monkeypatch.delenv(PRIVATE_ALLOWED)
    result = client.done("POST", f"{HOOKS}/{webhook_id}/test", {})["result"]
    assert result["success"] is False and "not public" in result["error_message"]
    assert len(receiver.got) == 2
    bad = {"event": {"entity": "MODEL_VERSION", "action": "SET"}}
    assert client.ask("POST", f"{HOOKS}/{webhook_id}/test", bad)[0] == 400
