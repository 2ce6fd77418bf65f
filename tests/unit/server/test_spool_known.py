"""The spool answers for the server as MLflow would, from what it saw and what it took since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.server.mlflow.wire import Failure
from interlock.server.spool.known import Known
from interlock.server.spool.records import MADE_BY, Write, call_of, encode_write, subjects
from interlock.server.spool.state import Made
from interlock.server.spool.store import Store
from tests.unit.server.spooled import API, opened

RUN, MODEL, EXPERIMENT = "a" * 32, "m-" + "b" * 32, "1" * 32
SEEN_RUN = {
    "info": {"run_id": "old", "experiment_id": "3", "status": "RUNNING", "artifact_uri": "mlflow-artifacts:/3/old"},
    "data": {"metrics": [{"key": "m", "value": 1, "timestamp": 5, "step": 5}], "tags": [{"key": "t", "value": "1"}]},
    "inputs": {},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path / "spool", "http://up:1")
    yield store
    store.close()


def take(store: Store, method: str, path: str, *, makes: str = "", about: tuple[str, ...] = (), **fields: Any) -> Any:
    """Take a write in as if it had just been put into the log."""
    body = msgspec.json.encode(fields)
    write = Write("", method, path if path.startswith("/api/3") else f"{API}/{path}", {}, body, 1_000, about, (), makes)
    return store.accept(write)


def run(store: Store, run_id: str = RUN) -> Any:
    answer = store.known.answer(f"{API}/runs/get", {"run_id": run_id})
    return None if answer is None else answer["run"]


def learn(store: Store, **shown: Any) -> None:
    store.known.learn(msgspec.json.encode(shown))


def tags(shown: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in shown["data"]["tags"]}


def test_a_new_run_looks_as_mlflow_would_make_it(store: Store) -> None:
    given = [{"key": "a", "value": "b"}]
    fields = {"experiment_id": "3", "run_name": "one", "user_id": "me", "start_time": 77, "tags": given}
    answer = take(store, "POST", "runs/create", makes=RUN, **fields)["run"]
    assert answer == run(store)
    assert answer["info"] == {
        "run_id": RUN,
        "run_uuid": RUN,
        "run_name": "one",
        "experiment_id": "3",
        "user_id": "me",
        "status": "RUNNING",
        "start_time": 77,
        "artifact_uri": f"mlflow-artifacts:/3/{RUN}/artifacts",
        "lifecycle_stage": "active",
    }
    assert tags(answer) == {"a": "b", "mlflow.runName": "one"}
    assert answer["inputs"] == {}


def test_a_run_lies_where_its_experiment_keeps_its_artifacts(store: Store) -> None:
    learn(store, experiment={"experiment_id": "3", "name": "n", "artifact_location": "mlflow-artifacts:/team/x/"})
    answer = take(store, "POST", "runs/create", makes=RUN, experiment_id="3")
    assert answer["run"]["info"]["artifact_uri"] == f"mlflow-artifacts:/team/x/{RUN}/artifacts"


def test_what_is_logged_shows_in_the_run(store: Store) -> None:
    learn(store, run=SEEN_RUN)
    old = {"run_id": "old"}
    take(store, "POST", "runs/log-metric", **old, key="m", value=2, timestamp=1, step=4)
    assert run(store, "old")["data"]["metrics"] == SEEN_RUN["data"]["metrics"], "an earlier step is not the latest"  # type: ignore[index]
    take(store, "POST", "runs/log-metric", **old, key="m", value=3, timestamp=6, step="6")
    take(store, "POST", "runs/log-parameter", **old, key="p", value="v")
    take(store, "POST", "runs/set-tag", **old, key="u", value="2")
    take(store, "POST", "runs/delete-tag", **old, key="t")
    take(store, "POST", "runs/log-batch", **old, metrics=[{"key": "n", "value": 0}], tags=[{"key": "w", "value": "3"}])
    take(store, "POST", "runs/log-inputs", **old, datasets=[{"dataset": {"name": "d"}}], models=[{"model_id": "m-1"}])
    take(store, "POST", "runs/outputs", **old, models=[{"model_id": "m-2", "step": 0}])
    shown = run(store, "old")
    assert [(one["key"], one["value"]) for one in shown["data"]["metrics"]] == [("m", 3), ("n", 0)]
    assert shown["data"]["params"] == [{"key": "p", "value": "v"}]
    assert tags(shown) == {"u": "2", "w": "3"}
    assert shown["inputs"] == {"dataset_inputs": [{"dataset": {"name": "d"}}], "model_inputs": [{"model_id": "m-1"}]}
    assert shown["outputs"] == {"model_outputs": [{"model_id": "m-2", "step": 0}]}


def test_an_update_shows_in_the_answer_and_the_run(store: Store) -> None:
    learn(store, run=SEEN_RUN)
    answer = take(store, "POST", "runs/update", run_id="old", status="FINISHED", end_time=9, run_name="new")
    assert answer["run_info"] | {"status": "FINISHED", "end_time": 9, "run_name": "new"} == answer["run_info"]
    assert run(store, "old")["info"] == answer["run_info"] and tags(run(store, "old"))["mlflow.runName"] == "new"
    take(store, "POST", "runs/set-tag", run_id="old", key="mlflow.runName", value="newer")
    assert run(store, "old")["info"]["run_name"] == "newer"
    take(store, "POST", "runs/delete", run_id="old")
    assert run(store, "old")["info"]["lifecycle_stage"] == "deleted"
    take(store, "POST", "runs/restore", run_id="old")
    assert run(store, "old")["info"]["lifecycle_stage"] == "active"


def test_a_run_that_was_never_seen_can_be_written_to_but_not_shown(store: Store) -> None:
    assert take(store, "POST", "runs/update", run_id="new", status="FAILED") == {
        "run_info": {"run_id": "new", "run_uuid": "new", "status": "FAILED"}
    }
    assert run(store, "new") is None
    store.known.settle("new")
    assert store.state.seen("run", "new") is None


def test_logged_models(store: Store) -> None:
    fields = {"experiment_id": "3", "name": "clf", "source_run_id": RUN, "params": [{"key": "a", "value": "1"}]}
    made = take(store, "POST", "logged-models", makes=MODEL, **fields, tags=[{"key": "x", "value": "y"}])["model"]
    assert made["info"]["artifact_uri"] == f"mlflow-artifacts:/3/models/{MODEL}/artifacts"
    assert made["info"]["status"] == "LOGGED_MODEL_PENDING"
    take(store, "PATCH", f"logged-models/{MODEL}/tags", tags=[{"key": "z", "value": "1"}])
    take(store, "DELETE", f"logged-models/{MODEL}/tags/x")
    take(store, "POST", f"logged-models/{MODEL}/params", params=[{"key": "b", "value": "2"}])
    answer = take(store, "PATCH", f"logged-models/{MODEL}", status="LOGGED_MODEL_READY")["model"]
    assert answer == store.known.answer(f"{API}/logged-models/{MODEL}", {})["model"]  # type: ignore[index]
    assert answer["info"]["status"] == "LOGGED_MODEL_READY" and answer["info"]["tags"] == [{"key": "z", "value": "1"}]
    assert answer["data"]["params"] == [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    assert take(store, "PATCH", "logged-models/m-new", status="READY")["model"]["info"]["model_id"] == "m-new"
    assert store.known.answer(f"{API}/logged-models/m-new", {}) is None


def test_experiments_are_found_by_name_and_id_seen_or_made(store: Store) -> None:
    learn(store, experiments=[{"experiment_id": "1", "name": "seen"}, {"experiment_id": "2", "name": "other"}])
    assert take(store, "POST", "experiments/create", makes=EXPERIMENT, name="made") == {"experiment_id": EXPERIMENT}
    for name, experiment_id in (("seen", "1"), ("made", EXPERIMENT)):
        by_name = store.known.answer(f"{API}/experiments/get-by-name", {"experiment_name": name})
        assert by_name is not None and by_name["experiment"]["experiment_id"] == experiment_id
        assert store.known.answer(f"{API}/experiments/get", {"experiment_id": experiment_id}) == by_name
        with pytest.raises(Failure, match="already exists"):
            store.known.refuse_taken(name)
    store.known.refuse_taken("free")
    with pytest.raises(Failure) as failure:
        store.known.answer(f"{API}/experiments/get-by-name", {"experiment_name": "none"})
    assert (failure.value.code, failure.value.status) == ("RESOURCE_DOES_NOT_EXIST", 404)
    assert store.known.answer(f"{API}/experiments/get", {"experiment_id": "99"}) is None


def test_a_trace_is_told_where_its_spans_go(store: Store) -> None:
    place = {"mlflow_experiment": {"experiment_id": "3"}}
    info = {"trace_id": "tr-1", "trace_location": place, "tags": {"a": "b"}}
    answer = take(store, "POST", "/api/3.0/mlflow/traces", trace={"trace_info": info})
    location = {"mlflow.artifactLocation": "mlflow-artifacts:/3/traces/tr-1/artifacts"}
    assert answer == {"trace": {"trace_info": {**info, "tags": {"a": "b", **location}}}}


def test_what_it_learned_and_took_outlives_the_process(tmp_path: Path) -> None:
    store = opened(tmp_path, "http://up:1")
    learn(store, run=SEEN_RUN)
    learn(store, run_info={**SEEN_RUN["info"], "status": "FAILED"})  # type: ignore[dict-item]
    learn(store, model={"info": {"model_id": MODEL, "experiment_id": "3"}, "data": {}})
    for field in ("run", "model", "experiment"):
        learn(store, **{field: "nonsense"})
    store.known.learn(b"no json")
    take(store, "POST", "runs/create", makes=RUN, experiment_id="3")
    take(store, "POST", "experiments/create", makes=EXPERIMENT, name="made")
    for one in (RUN, EXPERIMENT):
        store.known.settle(one)
    store.close()
    again = opened(tmp_path, "http://up:1")
    assert run(again, "old")["info"]["status"] == "FAILED"
    assert run(again)["info"]["experiment_id"] == "3"
    assert again.known.answer(f"{API}/logged-models/{MODEL}", {}) is not None
    assert again.known.answer(f"{API}/experiments/get", {"experiment_id": EXPERIMENT}) is not None
    again.close()


def test_it_learns_in_the_ids_that_clients_know(store: Store) -> None:
    store.ids.settle(Made(RUN, "run", "f" * 32, ""))
    learn(store, run={"info": {"run_id": "f" * 32, "experiment_id": "3"}})
    assert run(store) is not None and run(store, "f" * 32) is None


def test_it_answers_again_what_it_answered_when_something_was_made(store: Store) -> None:
    first = take(store, "POST", "runs/create", makes=RUN, experiment_id="3")
    assert store.known.made("create-run", RUN) == first
    second = take(store, "POST", "logged-models", makes=MODEL, experiment_id="3", name="n")
    assert store.known.made("create-model", MODEL) == second
    assert store.known.made("create-experiment", EXPERIMENT) == {"experiment_id": EXPERIMENT}


def test_pages_about_the_server_are_kept_as_they_are(store: Store) -> None:
    assert store.known.page("/version") is None
    store.known.learn_page("/version", "text/plain", b"3.17")
    store.known.learn_page("/version", "text/plain", b"3.18")
    assert store.known.page("/version") == ("text/plain", b"3.18")


def test_the_history_of_a_metric_is_what_waits(store: Store) -> None:
    def put(call: str, **fields: Any) -> None:
        body = msgspec.json.encode({"run_id": "old", **fields})
        store.log.append([encode_write(Write(call, "POST", f"{API}/runs/{call}", {}, body, 0, ("old",)))])
        store.log.release()

    def history(key: str) -> Any:
        return store.known.answer(f"{API}/metrics/get-history", {"run_id": "old", "metric_key": key})

    assert history("m") is None, "nothing is known of the run"
    learn(store, run=SEEN_RUN)
    assert history("m") == {}
    put("log-metric", key="m", value=1, timestamp=20, step=1)
    put("log-batch", metrics=[{"key": "m", "value": 2, "timestamp": "10"}, {"key": "n", "value": 3, "timestamp": 1}])
    put("set-tag", key="m", value="x")
    assert [point["value"] for point in history("m")["metrics"]] == [2, 1]
    put("log-metric", key="m", value=4, timestamp=30)
    assert [point["value"] for point in history("m")["metrics"]] == [2, 1, 4]
    assert history("n") == {"metrics": [{"key": "n", "value": 3, "timestamp": 1}]}


leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.sampled_from(["key", "value", "step", "timestamp", "tags", "params", "metrics", "models", "status", "x"])
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))
CALLS = [
    *(("POST", f"runs/{what}") for what in ("create", "update", "delete", "log-metric", "log-parameter", "log-batch")),
    *(("POST", f"runs/{what}") for what in ("set-tag", "delete-tag", "log-inputs", "outputs", "log-model")),
    *(("POST", f"experiments/{what}") for what in ("create", "set-experiment-tag")),
    ("POST", "logged-models"),
    ("PATCH", "logged-models/m-1"),
    ("PATCH", "logged-models/m-1/tags"),
    ("POST", "logged-models/m-1/params"),
    ("POST", "/api/3.0/mlflow/traces"),
]


@given(st.sampled_from(CALLS), st.dictionaries(names, trees, max_size=6), trees)
def test_whatever_is_accepted_can_be_taken_and_shown(
    tmp_path_factory: pytest.TempPathFactory, call: tuple[str, str], odd: dict[str, Any], tree: Any
) -> None:
    """What is in the log has to be read at every start: nothing in it may fail."""
    needed = {"run_id": "old", "experiment_id": "3", "name": "n", "key": "k", "run_name": tree}
    info = {"trace_id": "t", "tags": tree, "trace_location": tree}
    fields = {**odd, **needed, "trace": {"trace_info": info}}
    path = call[1] if call[1].startswith("/") else f"{API}/{call[1]}"
    found = call_of(call[0], path)
    assert found is not None
    makes = RUN if found.name in MADE_BY else ""
    subjects(found, fields)
    store = opened(tmp_path_factory.mktemp("spool"), "http://up:1")
    learn(store, run=SEEN_RUN)
    answer = take(store, *call, makes=makes, **fields)
    msgspec.json.encode([answer, run(store, "old"), run(store)])
    for one in ("old", RUN, "m-1", "n"):
        store.known.settle(one)
    store.close()


def test_it_answers_nothing_else(store: Store) -> None:
    assert isinstance(store.known, Known)
    for path in (f"{API}/runs/search", "/elsewhere", f"{API}/logged-models/search", ""):
        assert store.known.answer(path, {}) is None
