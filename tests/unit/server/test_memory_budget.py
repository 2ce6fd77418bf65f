"""Models of many endpoints within a budget of memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.core.errors import StorageFull
from interlock.ports.deployment_store import Deployment
from interlock.ports.stores import Stores
from interlock.server.answering import Answering
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from interlock.server.limits import Limits
from interlock.server.memory_budget import MemoryBudget
from interlock.serving.loading import LoadedModel
from tests.serving_examples import ROW, fresh_stores, loaded, oip_inputs
from tests.unit.server.asgi import Reply, call

NAMES = ("a", "b", "c")
SIZES = {"a": 100, "b": 100, "c": 100}


class Store:
    """Loads models that take memory."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.loads: list[str] = []
        self.held = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, ref: str) -> LoadedModel:
        assert self.gate.wait(20)
        name = ref[6]
        self.loads.append(name)
        self.held += self.sizes[name]
        return loaded(ref)


@pytest.fixture
def store() -> Store:
    return Store(dict(SIZES))


@pytest.fixture
def stores() -> Stores:
    found = fresh_stores()
    for name in NAMES:
        found.deployments.route(name, [Deployment(f"model:{name}@1", "live", 1.0)])
    return found


@pytest.fixture
def host(stores: Stores, store: Store) -> Iterator[EndpointHost]:
    host = hosting(stores, store, 250)
    yield host
    host.close()


def hosting(stores: Stores, store: Store, limit: int) -> EndpointHost:
    host = EndpointHost(stores.deployments, stores.journal, load=store, log=stores.predictions, memory_bytes=limit)
    # what a model takes is what the process grows by
    host.memory = MemoryBudget(limit, lambda: host.engines, resident=lambda: store.held)
    host.refresh()
    return host


def ready(host: EndpointHost) -> list[str]:
    return [name for name, engine in host.engines.items() if engine.is_ready]


def infer(plane: DataPlane, name: str, *headers: tuple[str, str]) -> Reply:
    body = msgspec.json.encode({"inputs": oip_inputs(ROW)})
    length = ("content-length", str(len(body)))
    return call(plane, "POST", f"/v2/models/{name}/infer", body=body, headers=[length, *headers])


def test_what_there_is_room_for_is_loaded_at_the_start_and_the_rest_rests(host: EndpointHost) -> None:
    assert ready(host) == ["a", "b"]
    assert host.engines["c"].is_resting
    assert host.is_ready
    assert host.memory is not None
    assert host.memory.used_bytes == 200


def test_who_is_asked_is_loaded_and_who_was_not_asked_longest_rests(host: EndpointHost, store: Store) -> None:
    plane = DataPlane(host)
    assert [infer(plane, name).status for name in ("b", "a", "c")] == [200] * 3
    assert ready(host) == ["a", "c"]
    assert [infer(plane, name).status for name in ("b", "a", "b", "a")] == [200] * 4
    assert ready(host) == ["a", "b"]
    plane.close()


def test_the_index_says_who_rests_and_asking_about_one_does_not_wake_it(host: EndpointHost, store: Store) -> None:
    plane = DataPlane(host)
    rows = call(plane, "POST", "/v2/repository/index").json()
    assert {(row["name"], row["state"], row["reason"]) for row in rows} == {
        ("a", "READY", ""),
        ("b", "READY", ""),
        ("c", "UNAVAILABLE", "it rests until it is asked"),
    }
    assert call(plane, "GET", "/v2/models/c/ready").status == 503
    assert store.loads.count("c") == 1
    assert call(plane, "GET", "/v2/models/c").json()["inputs"]
    plane.close()


def test_many_who_ask_first_load_once_and_others_are_answered_meanwhile(host: EndpointHost, store: Store) -> None:
    plane = DataPlane(host)
    assert infer(plane, "a").status == 200
    before = store.loads.count("c")
    store.gate.clear()
    waiting: list[Reply] = []
    threads = [threading.Thread(target=lambda: waiting.append(infer(plane, "c"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert infer(plane, "a").status == 200
    store.gate.set()
    for thread in threads:
        thread.join(20)
    assert [reply.status for reply in waiting] == [200] * 5
    assert store.loads.count("c") == before + 1
    plane.close()


def test_a_model_that_does_not_fit_at_all_is_told_of(stores: Stores, store: Store) -> None:
    store.sizes["c"] = 300
    host = hosting(stores, store, 250)
    plane = DataPlane(host)
    reply = infer(plane, "c")
    assert reply.status == 507
    assert "does not fit the memory" in reply.json()["error"]
    assert host.engines["c"].is_resting
    assert infer(plane, "a").status == 200
    plane.close()
    host.close()


def test_a_request_that_has_begun_keeps_its_models(host: EndpointHost) -> None:
    engine = host.engines["a"]
    routing = engine.routing
    engine.rest()
    assert routing.live.model.predictor is not None
    assert not engine.is_ready


def test_a_new_routing_of_who_rests_is_loaded_when_it_is_asked(
    host: EndpointHost, stores: Stores, store: Store
) -> None:
    stores.deployments.route("c", [Deployment("model:c@2", "live", 1.0)])
    host.refresh()
    assert not host.engines["c"].is_ready
    plane = DataPlane(host)
    assert infer(plane, "c").json()["model_version"] == "2"
    plane.close()


def test_a_new_routing_of_who_is_loaded_is_followed(host: EndpointHost, stores: Stores) -> None:
    stores.deployments.route("a", [Deployment("model:a@2", "live", 1.0)])
    assert host.refresh() == ["a"]
    assert host.engines["a"].routing.live.model.version == "2"


def test_a_load_by_hand_makes_room_too(host: EndpointHost) -> None:
    assert host.reload("c")
    assert "c" in ready(host)
    assert len(ready(host)) == 2
    assert not host.reload("c")


def test_a_package_on_disk_is_the_least_a_model_takes(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x" * 1_000)

    def load(ref: str) -> LoadedModel:
        import dataclasses

        return dataclasses.replace(loaded(ref), folder=tmp_path)

    host = EndpointHost(stores.deployments, stores.journal, load=load, log=stores.predictions, memory_bytes=10**9)
    host.refresh()
    assert host.memory is not None
    assert host.memory.used_bytes >= 3_000
    host.close()


def test_who_gives_up_does_not_stop_the_load(host: EndpointHost, store: Store) -> None:
    plane = DataPlane(host)
    store.gate.clear()
    late = infer(plane, "c", ("x-interlock-timeout-ms", "10"))
    assert late.status == 504
    store.gate.set()
    assert infer(plane, "c").status == 200
    plane.close()


def test_whoever_asks_by_another_door_wakes_it_too(host: EndpointHost) -> None:
    async def ask() -> str:
        answering = Answering(host, limits=Limits(), version="1")
        answer, _ = await answering.predict(host.engine("c"), lambda check: (check.records([ROW]), {}), size_bytes=10)
        answering.close()
        return answer.version

    assert asyncio.run(ask()) == "1"


def test_a_stop_answers_those_who_wait(host: EndpointHost, store: Store) -> None:
    plane = DataPlane(host)

    async def both() -> Any:
        store.gate.clear()
        asking = [asyncio.ensure_future(plane._answering.wake(host.engines[name])) for name in ("c", "a")]
        await asyncio.sleep(0)
        closing = asyncio.get_running_loop().run_in_executor(None, plane.close)
        await asyncio.sleep(0.05)
        store.gate.set()
        await closing
        return await asyncio.gather(*asking, return_exceptions=True)

    first, second = asyncio.run(both())
    assert first is None
    assert "stopping" in str(second)


def test_full_is_an_error_of_storage() -> None:
    assert StorageFull.http_status == 507
