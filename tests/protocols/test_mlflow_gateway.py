"""What MLflow's clients and web UI keep of a gateway, over a real socket: secrets, models, endpoints and guards."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import SystemClock
from interlock.core.errors import Conflict
from interlock.core.sealing import PASSPHRASES, Seal
from interlock.ports.record_store import Record
from interlock.ports.stores import Stores
from interlock.server.guard import Guard
from interlock.server.mlflow.gateway_records import ENDPOINTS_KEPT, SECRETS
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.unique_names import find_owner, put_named, take_name
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.workers import Workers

GATEWAY = "/api/3.0/mlflow/gateway"
SCORERS = "/api/3.0/mlflow/scorers"
V2 = "/api/2.0/mlflow"
KEY = "sk-a-very-long-key-1234"


@dataclass
class Client:
    url: str
    ground: Ground

    @property
    def stores(self) -> Stores:
        return self.ground.stores

    def ask(self, method: str, path: str, **fields: Any) -> tuple[int, Any]:
        query = "?" + urlencode(fields, doseq=True) if method == "GET" and fields else ""
        address = (path if path.startswith("/") else f"{GATEWAY}/{path}") + query
        data = None if method == "GET" else json.dumps(fields).encode()
        request = urllib.request.Request(
            self.url + address, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def get(self, path: str, **fields: Any) -> Any:
        return self.good("GET", path, **fields)

    def post(self, path: str, **fields: Any) -> Any:
        return self.good("POST", path, **fields)

    def good(self, method: str, path: str, **fields: Any) -> Any:
        status, answer = self.ask(method, path, **fields)
        assert status == 200, answer
        return answer

    def bad(self, method: str, path: str, **fields: Any) -> str:
        """Return the code of a refusal, which has written nothing."""
        before = self.stores.journal.last_seq()
        status, answer = self.ask(method, path, **fields)
        assert 400 <= status < 500, answer
        assert self.stores.journal.last_seq() == before
        return str(answer["error_code"])

    def secret(self, name: str = "key", **more: Any) -> Any:
        fields = {"secret_value": {"api_key": KEY}, "provider": "openai", **more}
        return self.post("secrets/create", secret_name=name, **fields)["secret"]

    def model(self, name: str, secret_id: str, **more: Any) -> str:
        fields = {"provider": "openai", "model_name": "gpt", **more}
        made = self.post("model-definitions/create", name=name, secret_id=secret_id, **fields)
        return str(made["model_definition"]["model_definition_id"])

    def endpoint(self, name: str, *models: str, **more: Any) -> Any:
        configs = [{"model_definition_id": one, "linkage_type": "PRIMARY", "weight": 1.0} for one in models]
        return self.post("endpoints/create", name=name, model_configs=configs, **more)["endpoint"]

    def scorer(self, name: str = "polite") -> tuple[str, Any]:
        experiment = self.post(f"{V2}/experiments/create", name="judged")["experiment_id"]
        body = {"experiment_id": experiment, "name": name, "serialized_scorer": '{"builtin_scorer_class": "Safety"}'}
        return experiment, self.post(f"{SCORERS}/register", **body)


@pytest.fixture
def client() -> Iterator[Client]:
    workers = Workers()
    seal = Seal(lambda: [bytes(range(32))])
    ground = Ground(stores=memory_stores(), clock=SystemClock(), workers=workers, seal=seal)
    router = Router(mlflow_routes(ground), guard=Guard(), shapes=ERROR_SHAPES)
    with serving(router, listen("127.0.0.1", 0)) as url:
        yield Client(url, ground)
    workers.close()


def test_a_secret_is_kept_sealed_and_never_shown(client: Client) -> None:
    values = {"aws_access_key_id": "AKIA-0123456789", "pin": "1234"}
    made = client.secret("aws", secret_value=values, provider="bedrock", auth_config={"aws_region_name": "eu"})
    assert made["masked_values"] == {"aws_access_key_id": "AKI...6789", "pin": "***"}
    assert (made["provider"], made["auth_config"]) == ("bedrock", {"aws_region_name": "eu"})
    assert client.get("secrets/get", secret_id=made["secret_id"])["secret"] == made
    assert client.get("secrets/get", secret_name="aws")["secret"] == made
    assert client.get("secrets/list", provider="bedrock") == {"secrets": [made]}
    assert client.get("secrets/list", provider="openai") == {}
    kept = client.stores.records.get(SECRETS, made["secret_id"])
    assert not any(value in str(kept.body) for value in values.values())
    assert json.loads(client.ground.seal.open(kept.body["sealed"], of=kept.id)) == values
    told = [str(event.payload) for event in client.stores.journal.events()]
    assert not any(value in text for value in values.values() for text in told)


def test_a_secret_is_replaced_and_forgotten(client: Client) -> None:
    secret_id = client.secret()["secret_id"]
    before = client.stores.records.get(SECRETS, secret_id).body["sealed"]
    changed = client.post("secrets/update", secret_id=secret_id, secret_value={"api_key": KEY}, updated_by="ada")
    assert changed["secret"]["last_updated_by"] == "ada"
    assert client.stores.records.get(SECRETS, secret_id).body["sealed"] != before, "never sealed alike twice"
    client.post("secrets/update", secret_id=secret_id, auth_config={"api_base": "https://x.example", "a": "b"})
    shown = client.post("secrets/update", secret_id=secret_id, auth_config={"api_base": " ", "c": "d"})["secret"]
    assert (shown["auth_config"], shown["masked_values"]) == ({"c": "d"}, {"api_key": "sk-...1234"})
    assert client.bad("POST", "secrets/create", secret_name="key", secret_value={"a": "b"}) == "RESOURCE_ALREADY_EXISTS"
    client.good("DELETE", "secrets/delete", secret_id=secret_id)
    assert client.bad("GET", "secrets/get", secret_id=secret_id) == "RESOURCE_DOES_NOT_EXIST"
    assert client.bad("GET", "secrets/get", secret_name="key") == "RESOURCE_DOES_NOT_EXIST"
    assert client.bad("POST", "secrets/update", secret_id=secret_id) == "RESOURCE_DOES_NOT_EXIST"
    client.secret()


@pytest.mark.parametrize(
    "fields",
    [
        {"secret_value": {"a": "b"}},
        {"secret_name": "s"},
        {"secret_name": "s", "secret_value": {}},
        {"secret_name": "s", "secret_value": "sk-1"},
        {"secret_name": "s", "secret_value": {"a": 5}},
        {"secret_name": "s\0", "secret_value": {"a": "b"}},
        {"secret_name": "s", "secret_value": {"a": "b" * 70_000}},
        {"secret_name": "s", "secret_value": {"api_base": "http://169.254.169.254"}},
        {"secret_name": "s", "secret_value": {"a": "b"}, "auth_config": {"base_url": "http://169.254.169.254"}},
        {"secret_name": "s", "secret_value": {"a": "b"}, "auth_config": {"c": "d" * 70_000}},
    ],
)
def test_a_secret_that_cannot_be_kept(client: Client, fields: dict[str, Any]) -> None:
    assert client.bad("POST", "secrets/create", **fields) == "INVALID_PARAMETER_VALUE"
    assert client.get("secrets/list") == {}


def test_what_is_asked_of_secrets_by_nobody(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PASSPHRASES:
        monkeypatch.delenv(name, raising=False)
    assert client.get("secrets/config") == {"secrets_available": True, "using_default_passphrase": True}
    monkeypatch.setenv(PASSPHRASES[1], "correct horse")
    assert client.get("secrets/config")["using_default_passphrase"] is False
    assert client.bad("GET", "secrets/get") == "INVALID_PARAMETER_VALUE"
    assert client.bad("DELETE", "secrets/delete") == "INVALID_PARAMETER_VALUE"
    assert client.bad("POST", "secrets/update") == "INVALID_PARAMETER_VALUE"


def test_a_model_definition(client: Client) -> None:
    one, two = client.secret("one")["secret_id"], client.secret("two")["secret_id"]
    model = client.model("m", one)
    shown = client.get("model-definitions/get", model_definition_id=model)["model_definition"]
    assert (shown["secret_id"], shown["secret_name"], shown["model_name"]) == (one, "one", "gpt")
    changed = client.post("model-definitions/update", model_definition_id=model, name="n", secret_id=two, provider="x")
    assert changed["model_definition"] | {"name": "n", "secret_name": "two"} == changed["model_definition"]
    other = client.model("m", one)
    assert [one["name"] for one in client.get("model-definitions/list")["model_definitions"]] == ["n", "m"]
    assert client.get("model-definitions/list", provider="x", secret_id=one) == {}
    taken = client.bad("POST", "model-definitions/update", model_definition_id=other, name="n")
    assert taken == "RESOURCE_ALREADY_EXISTS"
    gone = client.bad("POST", "model-definitions/update", model_definition_id=other, secret_id="s-none")
    assert gone == "RESOURCE_DOES_NOT_EXIST"
    client.good("DELETE", "secrets/delete", secret_id=two)
    left = client.get("model-definitions/get", model_definition_id=model)["model_definition"]
    assert "secret_id" not in left and "secret_name" not in left
    client.good("DELETE", "model-definitions/delete", model_definition_id=other)
    assert client.bad("GET", "model-definitions/get", model_definition_id=other) == "RESOURCE_DOES_NOT_EXIST"
    assert client.bad("POST", "model-definitions/create", name="x", secret_id=one, provider="p") != "INTERNAL_ERROR"


def test_an_endpoint_and_the_models_behind_it(client: Client) -> None:
    secret = client.secret()["secret_id"]
    one, two = client.model("one", secret), client.model("two", secret, provider="anthropic")
    made = client.endpoint(
        "chat", one, routing_strategy="REQUEST_BASED_TRAFFIC_SPLIT", fallback_config={"strategy": 1, "max_attempts": 2}
    )
    assert made["fallback_config"] == {"strategy": "SEQUENTIAL", "max_attempts": 2}
    assert made["model_mappings"][0]["model_definition"]["secret_name"] == "key"
    experiment = client.get(f"{V2}/experiments/get", experiment_id=made["experiment_id"])["experiment"]
    assert experiment["name"] == "gateway/chat"
    endpoint_id = made["endpoint_id"]
    assert client.get("endpoints/get", name="chat")["endpoint"] == made
    config = {"model_definition_id": two, "linkage_type": "FALLBACK", "fallback_order": 0}
    mapping = client.post("endpoints/models/attach", endpoint_id=endpoint_id, model_config=config)["mapping"]
    assert (mapping["linkage_type"], mapping["weight"], mapping["fallback_order"]) == ("FALLBACK", 1.0, 0)
    again = client.bad("POST", "endpoints/models/attach", endpoint_id=endpoint_id, model_config=config)
    assert again == "RESOURCE_ALREADY_EXISTS"
    assert [one["name"] for one in client.get("endpoints/list", provider="anthropic")["endpoints"]] == ["chat"]
    assert client.get("endpoints/list", secret_id="s-none") == {}
    assert client.bad("DELETE", "model-definitions/delete", model_definition_id=two) == "INVALID_STATE"
    client.post("endpoints/models/detach", endpoint_id=endpoint_id, model_definition_id=two)
    gone = client.bad("POST", "endpoints/models/detach", endpoint_id=endpoint_id, model_definition_id=two)
    assert gone == "RESOURCE_DOES_NOT_EXIST"
    client.post("endpoints/set-tag", endpoint_id=endpoint_id, key="team", value="ops")
    client.post("endpoints/set-tag", endpoint_id=endpoint_id, key="a", value="b")
    client.good("DELETE", "endpoints/delete-tag", endpoint_id=endpoint_id, key="a")
    shown = client.get("endpoints/get", endpoint_id=endpoint_id)["endpoint"]
    assert (shown["tags"], len(shown["model_mappings"])) == ([{"key": "team", "value": "ops"}], 1)


def test_an_endpoint_changes_its_name_and_is_deleted(client: Client) -> None:
    model = client.model("m", client.secret()["secret_id"])
    made = client.endpoint("one", model, usage_tracking=False)
    assert "experiment_id" not in made
    endpoint_id = made["endpoint_id"]
    client.endpoint("two", model)
    taken = client.bad("POST", "endpoints/update", endpoint_id=endpoint_id, name="two")
    assert taken == "RESOURCE_ALREADY_EXISTS"
    configs = [{"model_definition_id": model, "linkage_type": 2}]
    changed = client.post(
        "endpoints/update",
        endpoint_id=endpoint_id,
        name="three",
        model_configs=configs,
        usage_tracking=True,
        updated_by="ada",
        fallback_config={"max_attempts": 3},
        routing_strategy=1,
    )["endpoint"]
    assert (changed["name"], changed["last_updated_by"], changed["usage_tracking"]) == ("three", "ada", True)
    assert changed["experiment_id"] and changed["model_mappings"][0]["linkage_type"] == "FALLBACK"
    moved = client.post("endpoints/update", endpoint_id=endpoint_id, experiment_id="0")["endpoint"]
    assert (moved["experiment_id"], moved["fallback_config"]) == ("0", {"max_attempts": 3})
    assert client.bad("GET", "endpoints/get", name="one") == "RESOURCE_DOES_NOT_EXIST"
    client.post("endpoints/bindings/create", endpoint_id=endpoint_id, resource_type="scorer", resource_id="j")
    client.good("DELETE", "endpoints/delete", endpoint_id=endpoint_id)
    assert client.get("endpoints/bindings/list") == {}
    client.endpoint("one", model)
    client.endpoint("three", model)  # whose experiment is there already
    assert len(client.get("endpoints/list")["endpoints"]) == 3


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"name": "a b"}, "INVALID_PARAMETER_VALUE"),
        ({"name": ""}, "INVALID_PARAMETER_VALUE"),
        ({"model_configs": []}, "INVALID_PARAMETER_VALUE"),
        ({"model_configs": [{"model_definition_id": "d-none", "linkage_type": 1}]}, "RESOURCE_DOES_NOT_EXIST"),
        ({"model_configs": [{"model_definition_id": "MODEL"}]}, "INVALID_PARAMETER_VALUE"),
        ({"model_configs": [{"model_definition_id": "MODEL", "linkage_type": "OTHER"}]}, "INVALID_PARAMETER_VALUE"),
        ({"model_configs": [{"model_definition_id": "MODEL", "linkage_type": 1}] * 2}, "INVALID_PARAMETER_VALUE"),
        ({"model_configs": [{"model_definition_id": "MODEL", "linkage_type": 1}] * 101}, "INVALID_PARAMETER_VALUE"),
        (
            {"model_configs": [{"model_definition_id": "MODEL", "linkage_type": 1, "weight": -1}]},
            "INVALID_PARAMETER_VALUE",
        ),
        ({"routing_strategy": "RANDOM"}, "INVALID_PARAMETER_VALUE"),
        ({"fallback_config": {"max_attempts": -1}}, "INVALID_PARAMETER_VALUE"),
        ({"experiment_id": "12345"}, "RESOURCE_DOES_NOT_EXIST"),
    ],
)
def test_an_endpoint_that_cannot_be(client: Client, changed: dict[str, Any], code: str) -> None:
    model = client.model("m", client.secret()["secret_id"])
    fields = {"name": "e", "model_configs": [{"model_definition_id": model, "linkage_type": 1}]}
    changed = json.loads(json.dumps(changed).replace("MODEL", model))
    assert client.bad("POST", "endpoints/create", **{**fields, **changed}) == code
    assert client.get("endpoints/list") == {}


def test_what_names_no_endpoint(client: Client) -> None:
    for path in ("update", "set-tag", "models/detach"):
        fields = {"key": "k", "model_definition_id": "d"}
        assert client.bad("POST", f"endpoints/{path}", endpoint_id="e-none", **fields) == "RESOURCE_DOES_NOT_EXIST"
        assert client.bad("POST", f"endpoints/{path}", **fields) == "INVALID_PARAMETER_VALUE"
    assert client.bad("GET", "endpoints/get") == "INVALID_PARAMETER_VALUE"
    assert client.bad("POST", "endpoints/models/attach", endpoint_id="e") == "INVALID_PARAMETER_VALUE"
    assert client.bad("POST", "endpoints/models/detach", endpoint_id="e") == "INVALID_PARAMETER_VALUE"


def test_of_many_who_want_one_name_one_has_it(client: Client) -> None:
    model = client.model("m", client.secret()["secret_id"])
    configs = [{"model_definition_id": model, "linkage_type": 1}]
    with ThreadPoolExecutor(8) as pool:
        tried = [pool.submit(client.ask, "POST", "endpoints/create", name="e", model_configs=configs) for _ in range(8)]
    assert sorted(one.result()[0] for one in tried) == [200] + [400] * 7
    assert len(client.get("endpoints/list")["endpoints"]) == 1


def test_the_name_of_a_writer_that_broke_off_is_free(client: Client) -> None:
    take_name(client.ground, ENDPOINTS_KEPT, "e", "e-lost", what="GatewayEndpoint")
    model = client.model("m", client.secret()["secret_id"])
    made = client.endpoint("e", model)
    assert client.get("endpoints/get", name="e")["endpoint"]["endpoint_id"] == made["endpoint_id"]


def test_a_name_is_given_back_where_its_record_cannot_be_written(client: Client) -> None:
    stale = Record(ENDPOINTS_KEPT, "e-1", {"name": "e"}, revision=5)
    with pytest.raises(Conflict):
        put_named(client.ground, stale, what="GatewayEndpoint")
    assert find_owner(client.ground, ENDPOINTS_KEPT, "e") is None


def test_what_is_bound_to_endpoints(client: Client) -> None:
    model = client.model("m", client.secret()["secret_id"])
    one, two = (client.endpoint(name, model)["endpoint_id"] for name in ("one", "two"))
    for endpoint_id, resource in ((one, "a"), (one, "b"), (two, "c")):
        fields = {"endpoint_id": endpoint_id, "resource_type": "scorer", "resource_id": resource, "created_by": "ada"}
        made = client.post("endpoints/bindings/create", **fields)["binding"]
        assert made["created_by"] == "ada" and made["created_at"] == made["last_updated_at"]
        assert client.bad("POST", "endpoints/bindings/create", **fields) == "RESOURCE_ALREADY_EXISTS"

    def listed(**asked: str) -> list[str]:
        found = client.get("endpoints/bindings/list", **asked)
        return [binding["resource_id"] for binding in found.get("bindings", [])]

    assert listed() == ["a", "b", "c"]
    assert listed(endpoint_id=one, resource_type="scorer") == ["a", "b"]
    assert (listed(resource_id="c"), listed(resource_type="other")) == (["c"], [])
    client.good("DELETE", "endpoints/bindings/delete", endpoint_id=one, resource_type="scorer", resource_id="a")
    assert listed(endpoint_id=one) == ["b"]
    gone = client.bad("DELETE", "endpoints/bindings/delete", endpoint_id=one, resource_type="scorer", resource_id="a")
    assert gone == "RESOURCE_DOES_NOT_EXIST"
    fields = {"endpoint_id": one, "resource_type": "job", "resource_id": "a"}
    assert client.bad("POST", "endpoints/bindings/create", **fields) == "INVALID_PARAMETER_VALUE"
    assert client.bad("POST", "endpoints/bindings/create", endpoint_id=one) == "INVALID_PARAMETER_VALUE"


BUDGET = {
    "budget_unit": "USD",
    "budget_amount": 12.5,
    "duration": {"unit": "DAYS", "value": 7},
    "target_scope": "GLOBAL",
    "budget_action": "REJECT",
}


def test_a_budget(client: Client) -> None:
    made = client.post("budgets/create", **BUDGET, created_by="ada")["budget_policy"]
    assert made | BUDGET == made
    policy = made["budget_policy_id"]
    assert client.get("budgets/get", budget_policy_id=policy)["budget_policy"] == made
    endpoint = client.endpoint("e", client.model("m", client.secret()["secret_id"]))["endpoint_id"]
    aimed = {"target_scope": "ENDPOINT", "target_value": endpoint}
    changed = client.post("budgets/update", budget_policy_id=policy, **aimed, updated_by="bob")["budget_policy"]
    assert (changed["target_value"], changed["last_updated_by"], changed["budget_amount"]) == (endpoint, "bob", 12.5)
    back = client.post("budgets/update", budget_policy_id=policy, target_scope=1, budget_amount=1)["budget_policy"]
    assert "target_value" not in back and back["budget_amount"] == 1
    for _ in range(2):
        client.post("budgets/create", **BUDGET)
    first = client.get("budgets/list", max_results=2)
    second = client.get("budgets/list", max_results=2, page_token=first["next_page_token"])
    assert (len(first["budget_policies"]), len(second["budget_policies"])) == (2, 1)
    assert "next_page_token" not in second
    assert client.get("budgets/windows") == {}
    client.good("DELETE", "budgets/delete", budget_policy_id=policy)
    assert client.bad("GET", "budgets/get", budget_policy_id=policy) == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    "changed",
    [
        {"budget_unit": "EUR"},
        {"budget_unit": 0},
        {"budget_amount": -1},
        {"budget_amount": None},
        {"duration": {"unit": "DAYS", "value": 0}},
        {"duration": {"value": 1}},
        {"target_scope": "USER", "target_value": "ada"},
        {"target_scope": "ENDPOINT"},
        {"target_scope": "GLOBAL", "target_value": "e-1"},
        {"budget_action": "SHOUT"},
    ],
)
def test_a_budget_that_cannot_be(client: Client, changed: dict[str, Any]) -> None:
    assert client.bad("POST", "budgets/create", **{**BUDGET, **changed}) == "INVALID_PARAMETER_VALUE"


def test_what_no_budget_is(client: Client) -> None:
    aimed = {**BUDGET, "target_scope": "ENDPOINT", "target_value": "e-none"}
    assert client.bad("POST", "budgets/create", **aimed) == "RESOURCE_DOES_NOT_EXIST"
    assert client.bad("POST", "budgets/update", budget_amount=1) == "INVALID_PARAMETER_VALUE"
    for page in ({"max_results": 0}, {"max_results": 1001}, {"page_token": "x"}):
        assert client.bad("GET", "budgets/list", **page) == "INVALID_PARAMETER_VALUE"


def test_guardrails_and_where_they_stand(client: Client) -> None:
    _, scorer = client.scorer()
    fields = {"scorer_id": scorer["scorer_id"], "scorer_version": 1, "stage": "BEFORE", "action": "VALIDATION"}
    one, two, three = (
        client.post("guardrails/create", name=name, **fields)["guardrail"] for name in ("one", "two", "three")
    )
    assert (one["scorer"]["scorer_name"], one["stage"]) == ("polite", "BEFORE")
    assert client.get("guardrails/get", guardrail_id=one["guardrail_id"])["guardrail"] == one
    assert client.get("guardrails/list", max_results=2)["guardrails"] == [one, two]
    endpoint = client.endpoint("e", client.model("m", client.secret()["secret_id"]))["endpoint_id"]
    for guardrail, order in ((one, None), (two, 2), (three, 1)):
        place = {"endpoint_id": endpoint, "guardrail_id": guardrail["guardrail_id"]}
        added = client.post("guardrails/add-to-endpoint", **place, execution_order=order)["config"]
        assert added["guardrail"] == guardrail
        assert client.bad("POST", "guardrails/add-to-endpoint", **place) == "RESOURCE_ALREADY_EXISTS"

    def placed() -> list[str]:
        found = client.get("guardrails/list-for-endpoint", endpoint_id=endpoint)
        return [config["guardrail"]["name"] for config in found.get("configs", [])]

    assert placed() == ["three", "two", "one"]
    place = {"endpoint_id": endpoint, "guardrail_id": one["guardrail_id"]}
    moved = client.good("PATCH", "guardrails/update-config", **place, execution_order=0)["config"]
    assert moved["execution_order"] == 0 and placed() == ["one", "three", "two"]
    client.good("DELETE", "guardrails/remove-from-endpoint", **place)
    assert client.bad("DELETE", "guardrails/remove-from-endpoint", **place) == "RESOURCE_DOES_NOT_EXIST"
    client.good("DELETE", "guardrails/delete", guardrail_id=two["guardrail_id"])
    assert placed() == ["three"]
    client.good("DELETE", "endpoints/delete", endpoint_id=endpoint)
    assert client.bad("GET", "guardrails/list-for-endpoint", endpoint_id=endpoint) == "RESOURCE_DOES_NOT_EXIST"
    for lacking in ("name", "stage", "scorer_version"):
        asked = {key: value for key, value in {"name": "x", **fields}.items() if key != lacking}
        assert client.bad("POST", "guardrails/create", **asked) == "INVALID_PARAMETER_VALUE"
    asked = {"name": "x", **fields}
    assert client.bad("POST", "guardrails/create", **{**asked, "scorer_version": 9}) == "RESOURCE_DOES_NOT_EXIST"
    lost = client.bad("POST", "guardrails/create", **asked, action_endpoint_id="e-none")
    assert lost == "RESOURCE_DOES_NOT_EXIST"
    assert client.bad("POST", "guardrails/add-to-endpoint", guardrail_id="x") == "INVALID_PARAMETER_VALUE"


def test_providers(client: Client) -> None:
    client.model("m", client.secret()["secret_id"], provider="ours", model_name="tiny")
    providers = client.get("supported-providers")["providers"]
    assert {"openai", "bedrock", "ours"} <= set(providers) and providers == sorted(providers)
    assert client.get("supported-models", provider="ours")["models"] == [
        {"model": "tiny", "provider": "ours", "mode": None}
    ]
    assert client.get("supported-models", provider="openai") == {"models": []}
    plain = client.get("provider-config", provider="ours")
    assert (plain["default_mode"], plain["auth_modes"][0]["secret_fields"][0]["name"]) == ("api_key", "api_key")
    bedrock = client.get("provider-config", provider="Bedrock")["auth_modes"]
    assert [one["mode"] for one in bedrock] == ["api_key", "access_keys", "iam_role", "default_chain"]
    assert client.bad("GET", "provider-config") == "INVALID_PARAMETER_VALUE"


def test_how_often_a_scorer_is_to_judge(client: Client) -> None:
    experiment, scorer = client.scorer()
    asked: dict[str, Any] = {"experiment_id": experiment, "name": "polite", "sample_rate": 0.5}
    made = client.good("PUT", f"{SCORERS}/online-config", **asked, filter_string="status = 'OK'")["config"]
    assert (made["scorer_id"], made["sample_rate"], made["filter_string"]) == (
        scorer["scorer_id"],
        0.5,
        "status = 'OK'",
    )
    again = client.good("PUT", f"{SCORERS}/online-config", **{**asked, "sample_rate": 0})["config"]
    assert again["sample_rate"] == 0 and "filter_string" not in again
    ids = [scorer["scorer_id"], "other"]
    assert client.get(f"{SCORERS}/online-configs", scorer_ids=ids) == {"configs": [again]}
    for changed in (
        {"sample_rate": 1.5},
        {"sample_rate": None},
        {"filter_string": 5},
        {"filter_string": "status ="},
        {"name": ""},
    ):
        refused = client.bad("PUT", f"{SCORERS}/online-config", **{**asked, **changed})
        assert refused == "INVALID_PARAMETER_VALUE"
    assert client.bad("PUT", f"{SCORERS}/online-config", **{**asked, "name": "x"}) == "RESOURCE_DOES_NOT_EXIST"
    assert client.bad("GET", f"{SCORERS}/online-configs") == "INVALID_PARAMETER_VALUE"
    many = client.bad("GET", f"{SCORERS}/online-configs", scorer_ids=["x"] * 1001)
    assert many == "INVALID_PARAMETER_VALUE"
    client.good("DELETE", f"{SCORERS}/delete", experiment_id=experiment, name="polite")
    assert client.get(f"{SCORERS}/online-configs", scorer_ids=ids) == {"configs": []}
