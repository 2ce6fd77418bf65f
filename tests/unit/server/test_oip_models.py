from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from interlock.core.errors import NotFound, Unavailable
from interlock.core.schema import Column, Signature
from interlock.server import oip_models
from interlock.server.hosting import EndpointHost
from interlock.serving.requests import question
from interlock.serving.rollout import begin, begin_shadow
from interlock.serving.validation import MAX_ROWS
from interlock.testing.open_inference.models import SIMPLE_SIGNATURE, AddAndSubtract
from tests.serving_examples import FIRST, ROW, SECOND, SIGNATURE, Shelf, fresh_stores, hosted, loaded


@pytest.fixture
def host() -> Iterator[EndpointHost]:
    stores = fresh_stores()
    stores.deployments.route("delay", begin_shadow(begin(FIRST), SECOND))
    with hosted(stores, Shelf(loaded(FIRST), loaded(SECOND))) as host:
        yield host


def test_metadata_announces_the_signature(host: EndpointHost) -> None:
    assert oip_models.model_metadata(host.engine("delay"), None) == {
        "name": "delay",
        "versions": ["1"],
        "platform": "interlock_test",
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [-1]},
            {"name": "n", "datatype": "INT64", "shape": [-1]},
            {"name": "city", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
        ],
    }
    assert len(SIGNATURE.inputs) == 3
    with pytest.raises(NotFound):
        oip_models.model_metadata(host.engine("delay"), "2")
    assert oip_models.server_metadata("1.2") == {
        "name": "interlock",
        "version": "1.2",
        "extensions": oip_models.EXTENSIONS,
    }


def test_the_index_says_what_is_ready_and_what_is_not(host: EndpointHost) -> None:
    assert oip_models.repository_index(host.engines, only_ready=False) == [
        {"name": "delay", "version": "1", "state": "READY", "reason": ""}
    ]
    stores = fresh_stores()
    with hosted(stores, Shelf()) as broken:
        (row,) = oip_models.repository_index(broken.engines, only_ready=False)
        assert (row["state"], row["reason"]) == ("UNAVAILABLE", f"there is no {FIRST}")
        assert oip_models.repository_index(broken.engines, only_ready=True) == []


def test_statistics_count_rows_and_requests(host: EndpointHost) -> None:
    engine = host.engine("delay")
    engine.predict(question(engine.routing.check.records([ROW, ROW]), {}, now_micros=0))
    host.engine("delay").drain()
    live, shadow = oip_models.statistics(host)["model_stats"]
    assert (live["version"], live["inference_count"], live["execution_count"]) == ("1", 2, 1)
    assert live["inference_stats"]["success"]["count"] == 1
    assert live["inference_stats"]["success"]["ns"] > 0
    assert [(one["batch_size"], one["compute_infer"]["count"]) for one in live["batch_stats"]] == [(2, 1)]
    assert (shadow["version"], shadow["inference_count"]) == ("2", 2)
    assert len(oip_models.statistics(host, "delay", "1")["model_stats"]) == 1


def test_the_configuration_is_made_from_the_signature(host: EndpointHost) -> None:
    config = oip_models.model_config(host.engine("delay"), "1")
    assert (config["name"], config["max_batch_size"]) == ("delay", 0)
    assert config["version_policy"] == {"specific": {"versions": [1]}}
    assert [(one["name"], one["data_type"], one["dims"]) for one in config["input"]] == [
        ("x", "TYPE_FP64", [-1]),
        ("n", "TYPE_INT64", [-1]),
        ("city", "TYPE_STRING", [-1]),
    ]
    with pytest.raises(NotFound):
        oip_models.model_config(host.engine("delay"), "9")


def config_of(signature: Signature) -> dict[str, Any]:
    model = loaded(signature=signature, predictor=AddAndSubtract())
    with hosted(fresh_stores(), Shelf(model)) as host:
        return oip_models.model_config(host.engine("delay"), None)


def test_tensors_with_rows_are_what_triton_calls_batched() -> None:
    config = config_of(SIMPLE_SIGNATURE)
    assert (config["max_batch_size"], config["input"][0]["dims"]) == (MAX_ROWS, [16])
    whole = Column("x", "double", shape=(2, 3), datatype="BF16")
    config = config_of(Signature((whole,), (whole,)))
    assert (config["max_batch_size"], config["input"][0]["dims"]) == (0, [2, 3])
    assert config["input"][0]["data_type"] == "TYPE_BF16"


def test_what_was_unloaded_is_told(host: EndpointHost) -> None:
    host.unload("delay")
    (row,) = oip_models.repository_index(host.engines, only_ready=False)
    assert (row["state"], row["reason"]) == ("UNAVAILABLE", "unloaded")
    assert host.is_ready
    with pytest.raises(Unavailable, match="not ready") as error:
        oip_models.model_metadata(host.engine("delay"), None)
    assert "load brings it back" in error.value.why
    assert oip_models.statistics(host) == {"model_stats": []}
    assert host.reload("delay")
    assert oip_models.model_metadata(host.engine("delay"), None)["versions"] == ["1"]
