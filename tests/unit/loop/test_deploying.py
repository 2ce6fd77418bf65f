"""Models in memory go behind endpoints that answer over HTTP, or leave everything as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from interlock.core.clock import SystemClock
from interlock.core.errors import Corrupt, InterlockError, InvalidInput, NotFound, Refused, SchemaMismatch, Unauthorised
from interlock.core.ids import new_id
from interlock.core.owner_keys import owner_key
from interlock.loop.endpoints import Endpoint
from interlock.loop.gates import GatePolicy
from interlock.loop.trials import agree
from interlock.ports.model_store import Verdict
from interlock.serving.api_keys import ApiKeys
from interlock.serving.client import EndpointClient
from interlock.serving.loading import LoadedModel
from interlock.workspace import Workspace, open_workspace

ROWS = 400
NAMES = ("wind", "delay")


def data(seed: int = 1) -> pa.Table:
    dice = np.random.default_rng(seed)
    table = pa.table({name: dice.normal(size=ROWS) for name in NAMES})
    late = np.asarray(table.column("wind")) + 0.3 * dice.normal(size=ROWS) > 0
    return table.append_column("late", pa.array(late.astype(int)))


def fitted(*, turned: bool = False, strength: float = 1.0) -> Any:
    from sklearn.linear_model import LogisticRegression

    table = data()
    truth = np.asarray(table.column("late"))
    return LogisticRegression(C=strength).fit(table.select(NAMES), 1 - truth if turned else truth)


def example() -> pa.Table:
    return data().select(NAMES).slice(0, 50)


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with open_workspace("memory:") as opened:
        yield opened


@pytest.fixture
def endpoint(workspace: Workspace) -> Endpoint:
    return workspace.deploy(fitted(), example=example(), name="delay")


def answering(workspace: Workspace) -> list[tuple[str, str, float]]:
    return [(one.model, one.role, one.share) for one in workspace.stores.deployments.get("delay").deployments]


def test_a_model_in_memory_answers_over_http(workspace: Workspace, endpoint: Endpoint) -> None:
    answers = endpoint.predict([{"wind": 3.0, "delay": 0.0}, {"wind": -3.0, "delay": 0.0}])
    assert [answer["label"] for answer in answers] == [1, 0]
    assert endpoint.outcome is not None
    assert (endpoint.outcome.model, endpoint.outcome.role, endpoint.outcome.revision) == ("model:delay@1", "live", 1)
    assert endpoint.outcome.url == endpoint.url
    assert "first version" in endpoint.outcome.notes[0] and "50 example rows" in endpoint.outcome.notes[1]
    assert workspace.stores.models.aliases("delay") == {"champion": 1}
    logged = workspace.stores.predictions.find(answers[0]["prediction_id"])
    assert [judged.prediction.model for judged in logged] == ["model:delay@1"]


def test_the_trial_leaves_no_trace(workspace: Workspace, endpoint: Endpoint) -> None:
    assert workspace.stores.predictions.recent("delay") == []
    assert [(one.requests, one.logged) for one in endpoint.traffic()] == [(0, 0)]


@pytest.mark.parametrize("shape", ["unfitted", "no model", "no example"])
def test_what_cannot_be_deployed_leaves_nothing(workspace: Workspace, shape: str) -> None:
    from sklearn.linear_model import LogisticRegression

    models = {"unfitted": LogisticRegression(), "no model": {"a": 1}, "no example": fitted()}
    with pytest.raises(InterlockError):
        workspace.deploy(models[shape], example=None if shape == "no example" else example(), name="delay")
    assert workspace.stores.models.models() == []
    assert workspace.stores.deployments.endpoints() == []
    assert workspace.servers.find() is None


def test_a_model_in_memory_needs_a_name(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="no name"):
        workspace.deploy(fitted(), example=example())


def test_an_unknown_version_starts_nothing(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="dely"):
        workspace.deploy("model:dely@champion")
    assert workspace.servers.find() is None


def test_a_registered_version_is_deployed_by_its_ref(workspace: Workspace) -> None:
    version = workspace.registry.register("team/delay", fitted(), example=example())
    for model in (version.ref, version):
        endpoint = workspace.deploy(model)
        assert endpoint.name == "team/delay" and endpoint.url.endswith("/v2/models/team%2Fdelay")
        assert endpoint.predict({"wind": 3.0, "delay": 0.0})["label"] == 1
    assert workspace.endpoint("endpoint:team/delay").versions == endpoint.versions
    assert endpoint.outcome is not None and "live already" in endpoint.outcome.notes[0]
    assert endpoint.outcome.revision == 1


def test_a_version_without_an_example_is_only_loaded(workspace: Workspace) -> None:
    version = workspace.registry.register("delay", fitted(), example=example())
    bare = workspace.stores.models.add_version(msgspec.structs.replace(version, version=0, example=None))
    deployed = workspace.deploy(bare.ref)
    assert deployed.outcome is not None and "no example to be asked" in deployed.outcome.notes[-1]


def test_later_versions_swap_in_without_another_server(workspace: Workspace, endpoint: Endpoint) -> None:
    url = endpoint.url
    wrong: list[Any] = []
    stop = threading.Event()

    def ask() -> None:
        mine = workspace.endpoint("delay")
        while not stop.is_set():
            try:
                mine.predict([{"wind": 3.0, "delay": 0.0}])
            except InterlockError as error:
                wrong.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        second = workspace.deploy(fitted(strength=0.1), example=example(), name="delay")
    finally:
        stop.set()
        asking.join()
    assert wrong == []
    assert second.url == url
    assert answering(workspace) == [("model:delay@2", "live", 1.0)]


def test_two_that_deploy_at_once_come_one_after_the_other(workspace: Workspace, endpoint: Endpoint) -> None:
    refs = [workspace.registry.register("delay", fitted(), example=example()).ref for _ in range(2)]
    threads = [threading.Thread(target=workspace.deploy, args=(ref,), kwargs={"name": "delay"}) for ref in refs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = workspace.stores.deployments.history("delay")
    assert sorted(one.deployments[0].model for one in history) == ["model:delay@1", *refs]


def test_a_canary_answers_a_share_and_a_shadow_nobody(workspace: Workspace, endpoint: Endpoint) -> None:
    second = workspace.registry.register("delay", fitted(strength=0.1), example=example()).ref
    third = workspace.registry.register("delay", fitted(strength=0.01), example=example()).ref
    workspace.deploy(second, canary=True, share=0.3)
    assert answering(workspace) == [("model:delay@1", "live", 0.7), (second, "canary", 0.3)]
    workspace.deploy(second, canary=True, share=0.5)
    shadowed = workspace.deploy(third, shadow=True)
    assert answering(workspace) == [("model:delay@1", "live", 0.5), (second, "canary", 0.5), (third, "shadow", 0.0)]
    assert shadowed.outcome is not None and "answers nobody" in shadowed.outcome.notes[-1]
    assert workspace.deploy(third, shadow=True).versions == shadowed.versions
    workspace.deploy(second)
    assert answering(workspace) == [(second, "live", 1.0), (third, "shadow", 0.0)]
    assert workspace.stores.models.aliases("delay") == {"champion": 2}
    with pytest.raises(InvalidInput, match="not both"):
        workspace.deploy(second, canary=True, shadow=True)


def test_a_canary_needs_a_live_version(workspace: Workspace) -> None:
    ref = workspace.registry.register("delay", fitted(), example=example()).ref
    with pytest.raises(InvalidInput, match="nothing answers"):
        workspace.deploy(ref, canary=True)
    assert workspace.stores.deployments.endpoints() == []
    assert workspace.servers.find() is None


def test_a_gate_that_fails_stops_the_deployment(workspace: Workspace, endpoint: Endpoint) -> None:
    held_back = data(seed=2)
    with pytest.raises(Refused, match="gate refused") as refused:
        workspace.deploy(fitted(turned=True), example=example(), name="delay", held_back=held_back)
    assert "AUC" in refused.value.why
    assert answering(workspace) == [("model:delay@1", "live", 1.0)]
    (verdict,) = workspace.stores.models.verdicts(candidate="model:delay@2")
    assert not verdict.passed
    wished = workspace.deploy("model:delay@2", held_back=held_back, gate=False)
    assert wished.outcome is not None and "wished" in wished.outcome.notes[0]
    assert answering(workspace) == [("model:delay@2", "live", 1.0)]


def test_a_gate_that_passes_is_told(workspace: Workspace) -> None:
    workspace.deploy(fitted(turned=True), example=example(), name="delay")
    snapshot = workspace.data.commit("held", data(seed=2))
    better = workspace.deploy(
        fitted(), example=example(), name="delay", held_back=snapshot.ref, label="late", gate=GatePolicy(floor=0.7)
    )
    assert better.outcome is not None and better.outcome.verdict is not None
    assert better.outcome.verdict.passed and better.outcome.verdict.data == snapshot.ref
    moves = workspace.stores.models.alias_history("delay", alias="champion")
    assert moves[0].verdict == better.outcome.verdict.id


def test_a_gate_judges_on_what_the_champion_was_judged_on(workspace: Workspace, endpoint: Endpoint) -> None:
    snapshot = workspace.data.commit("held", data(seed=2))
    workspace.stores.models.add_verdict(
        Verdict(
            id=new_id(),
            model="delay",
            candidate="model:delay@1",
            champion=None,
            passed=True,
            checks=(),
            reason="it was the first",
            data=snapshot.ref,
            created_at=SystemClock().now(),
        )
    )
    with pytest.raises(Refused, match="gate refused"):
        workspace.deploy(fitted(turned=True), example=example(), name="delay")


def test_a_gate_that_cannot_be_asked_says_why(workspace: Workspace) -> None:
    from sklearn.linear_model import LinearRegression

    table = data()
    numbers = LinearRegression().fit(table.select(NAMES), np.asarray(table.column("wind")))
    notes = []
    for held_back in (None, data(seed=2)):
        workspace.deploy(numbers, example=example(), name="hours", gate=False)
        deployed = workspace.deploy(numbers, example=example(), name="hours", held_back=held_back)
        assert deployed.outcome is not None
        notes.append(deployed.outcome.notes[0])
    assert "no held-back data" in notes[0] and "no probability" in notes[1]


def test_held_back_rows_have_to_say_what_proved_true(workspace: Workspace, endpoint: Endpoint) -> None:
    odd = data(seed=2).append_column("origin", pa.array(["EWR"] * ROWS))
    with pytest.raises(InvalidInput, match="which column is the label"):
        workspace.deploy(fitted(), example=example(), name="delay", held_back=odd)
    assert answering(workspace) == [("model:delay@1", "live", 1.0)]


class Turning:
    """Loads versions as they are until it is told otherwise; then hands out what was prepared for a version."""

    def __init__(self, workspace: Workspace, ref: str, second: Any) -> None:
        self._load = workspace.load_model
        self._ref, self._second = ref, second
        self._asked = 0

    def __call__(self, ref: str) -> LoadedModel:
        self._asked += ref == self._ref
        if ref == self._ref and self._asked > 1:
            if isinstance(self._second, InterlockError):
                raise self._second
            return LoadedModel(
                ref=ref,
                version=ref.partition("@")[2],
                engine="test",
                signature=self._load(ref).signature,
                predictor=self._load(self._second).predictor,
            )
        return self._load(ref)


@pytest.mark.parametrize("how", ["answers otherwise", "cannot be loaded"])
def test_a_failing_smoke_test_leaves_the_old_routing(workspace: Workspace, how: str) -> None:
    second = "model:delay@1" if how == "answers otherwise" else Corrupt("the package is damaged", why="bytes differ")
    workspace.__dict__["load_model"] = Turning(workspace, "model:delay@2", second)
    endpoint = workspace.deploy(fitted(), example=example(), name="delay")
    workspace.registry.register("delay", fitted(turned=True), example=example())
    with pytest.raises(Corrupt, match="model:delay@2 was not deployed") as failed:
        workspace.deploy("model:delay@2")
    assert "answers as before" in failed.value.why
    assert answering(workspace) == [("model:delay@1", "live", 1.0)]
    assert "smoke test" in workspace.stores.deployments.get("delay").reason
    assert endpoint.predict({"wind": 3.0, "delay": 0.0})["label"] == 1
    assert workspace.stores.models.aliases("delay") == {"champion": 1}


def test_a_first_version_that_fails_says_that_there_is_nothing_to_go_back_to(workspace: Workspace) -> None:
    workspace.registry.register("delay", fitted(), example=example())
    workspace.__dict__["load_model"] = Turning(workspace, "model:delay@1", Corrupt("the package is damaged"))
    with pytest.raises(Corrupt) as failed:
        workspace.deploy("model:delay@1")
    assert "nothing answered there before" in failed.value.why


def test_what_the_training_data_shows_is_kept_with_the_version(workspace: Workspace) -> None:
    snapshot = workspace.data.commit("flights", data().append_column("origin", pa.array(["EWR", "JFK"] * (ROWS // 2))))
    with workspace.experiments.run("delays", inputs=[snapshot.ref]) as run:
        run.log_metric("auc", 0.9)
        run.flush()
        workspace.deploy(fitted(), example=example(), name="delay")
    version = workspace.registry.resolve("model:delay@1")
    assert version.run == run.id
    facts = version.facts["columns"]
    assert facts["origin"] == {"missing": 0.0, "values": ["EWR", "JFK"]}
    assert facts["wind"]["min"] < 0 < facts["wind"]["max"]
    assert snapshot.ref in {edge.source for edge in workspace.stores.journal.walk(version.ref, direction="back")}


def test_inputs_without_a_profile_say_nothing_of_columns(workspace: Workspace) -> None:
    workspace.deploy(fitted(), example=example(), name="delay", inputs=["dataset:gone@1", "run:01J"])
    assert "columns" not in workspace.registry.resolve("model:delay@1").facts


def test_an_endpoint_goes_back_and_its_server_can_be_stopped(workspace: Workspace, endpoint: Endpoint) -> None:
    with pytest.raises(NotFound, match="never routed otherwise"):
        endpoint.rollback()
    workspace.deploy(fitted(turned=True), example=example(), name="delay")
    assert endpoint.predict({"wind": 3.0, "delay": 0.0})["label"] == 0
    assert [one.model for one in endpoint.rollback("it was turned")] == ["model:delay@1"]
    assert endpoint.predict({"wind": 3.0, "delay": 0.0})["label"] == 1
    assert endpoint.stop() and not endpoint.stop()
    assert [one.requests for one in endpoint.traffic()] == [None]
    assert endpoint.predict({"wind": 3.0, "delay": 0.0})["label"] == 1
    assert [one.requests for one in endpoint.traffic()] == [1]


def test_truths_come_back_by_the_answers_themselves(workspace: Workspace, endpoint: Endpoint) -> None:
    rows = example().slice(0, 3)
    answers = endpoint.predict(rows)
    assert endpoint.feedback(answers, [1, 0, 1], source="the tower") == 3
    assert endpoint.feedback(answers.column("prediction_id"), pa.array([1, 0, 1])) == 0
    records = endpoint.predict(rows.to_pylist())
    assert endpoint.feedback(records, np.array([1, 1, 1]), known_at=SystemClock().now()) == 3
    one = endpoint.predict({"wind": 1.0, "delay": 0.0}, ids=["mine"], context={"flight": "UA1"})
    assert one["prediction_id"] == "mine"
    assert endpoint.feedback(one, 1) == 1
    assert workspace.stores.predictions.find("mine")[0].prediction.context == {"flight": "UA1"}
    with pytest.raises(NotFound, match="not known"):
        endpoint.feedback("nobody", 1)
    with pytest.raises(InvalidInput, match="as many truths"):
        endpoint.feedback(answers, [1])


def test_what_is_said_of_rows_has_to_match_them(endpoint: Endpoint) -> None:
    now = SystemClock().now()
    assert len(endpoint.predict(example(), event_time=now)) == 50
    with pytest.raises(InvalidInput, match="event_time"):
        endpoint.predict(example(), event_time=[now])
    with pytest.raises(InvalidInput, match="ids"):
        endpoint.predict(example(), ids=["a"])


def test_errors_of_the_server_come_back_as_they_were_raised(endpoint: Endpoint) -> None:
    with pytest.raises(SchemaMismatch, match="row 0, column 'wind': expected double, got a string") as refused:
        endpoint.predict([{"wind": "strong", "delay": 0.0}])
    assert "the signature says double" in refused.value.why
    with pytest.raises(SchemaMismatch, match="column 'delay'"):
        endpoint.predict([{"wind": 1.0}])
    with pytest.raises(NotFound, match="version '9'"):
        endpoint.predict([{"wind": 1.0, "delay": 0.0}], version=9)


def test_a_version_with_other_columns_is_noticed(workspace: Workspace, endpoint: Endpoint) -> None:
    from sklearn.linear_model import LogisticRegression

    endpoint.predict(example())
    table = data()
    narrow = LogisticRegression().fit(table.select(["wind"]), np.asarray(table.column("late")))
    workspace.deploy(narrow, example=table.select(["wind"]).slice(0, 20), name="delay")
    assert len(endpoint.predict(example())) == 50


def test_keys_for_others_do_not_shut_the_owner_out(workspace: Workspace, endpoint: Endpoint) -> None:
    ApiKeys(workspace.stores.records, workspace.stores.journal).create("ci")
    workspace.deploy(fitted(), example=example(), name="delay")
    assert len(endpoint.predict(example())) == 50
    stranger = EndpointClient("delay", lambda is_gone: (endpoint.url.partition("/v2")[0], None))
    pause = threading.Event()
    with pytest.raises(Unauthorised):
        for _ in range(500):
            stranger.get("")
            # servers learn of a new key within half a second
            pause.wait(0.01)
    assert len(endpoint.predict(example())) == 50
    guessed = EndpointClient("delay", lambda is_gone: (endpoint.url.partition("/v2")[0], owner_key(bytes(32))))
    with pytest.raises(Unauthorised):
        guessed.get("")


def test_an_endpoint_shows_itself(workspace: Workspace, endpoint: Endpoint) -> None:
    assert endpoint.url in repr(endpoint)
    shown = endpoint._repr_html_()
    assert endpoint.outcome is not None and endpoint.outcome.engine in shown
    assert "endpoint:delay" in shown and "model:delay@1" in shown and "curl http" in shown
    assert endpoint.logs() == endpoint.logs(requests=True) == ""
    assert endpoint.name in endpoint.curl() and "dataframe_records" in endpoint.curl()
    with pytest.raises(NotFound):
        workspace.endpoint("nowhere")


def test_answers_agree_but_for_rounding() -> None:
    assert agree([0.1 + 0.2], (0.3,)) and not agree([1.0], [1.0, 2.0])
    assert agree(float("nan"), float("nan")) and not agree(1.0, "1.0") and not agree(1.0, 1.1)
