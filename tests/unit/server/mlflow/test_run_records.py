"""Runs and experiments take the shape that MLflow's clients read."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from interlock.ports.experiment_store import Experiment
from interlock.ports.run_store import DatasetUse, MetricSummary, ModelUse, Run
from interlock.server.mlflow.run_records import (
    DATASET_CONTEXT,
    MADE_BY_MLFLOW,
    DatasetInput,
    DatasetRecord,
    KeyValue,
    dataset_use,
    experiment_record,
    json_number,
    run_record,
)

NOON = datetime(2026, 1, 1, 12, microsecond=123_999, tzinfo=UTC)
HOME = Experiment(3, "delay", NOON, NOON + timedelta(seconds=1), {"team": "ops"})


def summary(key: str, last: float, *, step: float = 2, time: int = 5_999) -> MetricSummary:
    return MetricSummary(key, last, last, last, last, last, 1, step, time)


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def run(**changes: Any) -> Run:
    given = {"id": "r1", "experiment": "delay", "kind": "training", "name": "n", "status": "running"}
    return Run(**{**given, "started_at": NOON, **changes})


def pairs(listed: list[dict[str, str]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in listed}


def test_a_bare_run_leaves_out_what_is_empty() -> None:
    shown = plain(run_record(run(environment=dict(MADE_BY_MLFLOW)), HOME))
    assert shown == {
        "info": {
            "run_uuid": "r1",
            "run_id": "r1",
            "run_name": "n",
            "experiment_id": "3",
            "status": "RUNNING",
            "start_time": 1767268800123,
            "artifact_uri": "mlflow-artifacts:/3/r1/artifacts",
            "lifecycle_stage": "active",
        },
        "data": {"tags": [{"key": "mlflow.runName", "value": "n"}]},
        "inputs": {},
        "outputs": {},
    }


def test_an_ended_and_deleted_run_says_so() -> None:
    shown = plain(run_record(run(status="failed", ended_at=NOON, deleted_at=NOON), HOME))["info"]
    assert (shown["status"], shown["end_time"], shown["lifecycle_stage"]) == ("FAILED", 1767268800123, "deleted")


def test_metrics_show_their_last_value_with_whole_steps_and_milliseconds() -> None:
    metrics = {one.key: one for one in (summary("a", 0.5, step=1.75), summary("b", -0.5, step=-0.5, time=0))}
    shown = plain(run_record(run(metrics=metrics), HOME))["data"]["metrics"]
    assert shown == [
        {"key": "a", "value": 0.5, "timestamp": 5, "step": 1},
        {"key": "b", "value": -0.5, "timestamp": 0, "step": -1},
    ]


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_what_json_has_no_number_for_is_text(value: float, shown: str) -> None:
    assert json_number(value) == shown
    assert plain(run_record(run(metrics={"a": summary("a", value)}), HOME))["data"]["metrics"][0]["value"] == shown


def test_typed_and_nested_params_become_flat_text() -> None:
    params = {"rate": 0.1, "layers": [1, 2], "net": {"act": "relu", "deep": {"n": 3}}, "on": True, "off": None, "e": {}}
    shown = pairs(plain(run_record(run(params=params), HOME))["data"]["params"])
    assert shown == {
        "rate": "0.1",
        "layers": "[1,2]",
        "net.act": "relu",
        "net.deep.n": "3",
        "on": "true",
        "off": "null",
        "e": "{}",
    }


def test_a_native_run_shows_the_tags_that_clients_look_for() -> None:
    native = run(
        parent="p", tags={"mine": "1"}, code={"entry_point": "train.py", "commit": "ab"}, environment={"user": "ann"}
    )
    shown = plain(run_record(native, HOME))
    assert shown["info"]["user_id"] == "ann"
    assert pairs(shown["data"]["tags"]) == {
        "mlflow.parentRunId": "p",
        "mlflow.user": "ann",
        "mlflow.source.name": "train.py",
        "mlflow.source.git.commit": "ab",
        "mine": "1",
        "mlflow.runName": "n",
    }


def test_a_tag_of_the_run_itself_goes_first() -> None:
    shown = plain(run_record(run(tags={"mlflow.user": "bob"}, environment={"user": "ann"}), HOME))
    assert pairs(shown["data"]["tags"])["mlflow.user"] == "bob"


def test_inputs_and_outputs_are_shown_in_order() -> None:
    given = DatasetUse("flights", "d1", "training", "local", "{}", "s", "p", {"foo": "bar"})
    uses = (ModelUse("m-1", "input"), ModelUse("m-2", "output", 0), ModelUse("m-3", "output", 7))
    shown = plain(run_record(run(datasets=(given,), models=uses), HOME))
    assert shown["inputs"]["model_inputs"] == [{"model_id": "m-1"}]
    assert shown["outputs"]["model_outputs"] == [{"model_id": "m-2", "step": 0}, {"model_id": "m-3", "step": 7}]
    (dataset,) = shown["inputs"]["dataset_inputs"]
    assert dataset["dataset"]["schema"] == "s"
    assert dataset["tags"] == [{"key": "foo", "value": "bar"}, {"key": DATASET_CONTEXT, "value": "training"}]


def test_a_dataset_comes_back_as_it_was_given() -> None:
    given = DatasetInput(
        DatasetRecord("flights", "d1", "local", "{}", "s", "p"),
        [KeyValue("foo", "bar"), KeyValue(DATASET_CONTEXT, "training")],
    )
    (shown,) = run_record(run(datasets=(dataset_use(given),)), HOME).inputs.dataset_inputs
    assert shown == given


def test_an_experiment_says_where_its_files_go() -> None:
    assert plain(experiment_record(HOME)) == {
        "experiment_id": "3",
        "name": "delay",
        "artifact_location": "mlflow-artifacts:/3",
        "lifecycle_stage": "active",
        "creation_time": 1767268800123,
        "last_update_time": 1767268801123,
        "tags": [{"key": "team", "value": "ops"}],
    }
    elsewhere = msgspec.structs.replace(HOME, artifact_root="s3://bucket/x?region=eu", deleted_at=NOON)
    assert experiment_record(elsewhere).lifecycle_stage == "deleted"
    assert run_record(run(), elsewhere).info.artifact_uri == "s3://bucket/x/r1/artifacts?region=eu"
