from __future__ import annotations

import threading

import pytest

from interlock.core.errors import NotFound, Unavailable
from interlock.ports.stores import Stores
from interlock.server.hosting import EndpointHost
from interlock.serving.rollout import begin
from tests.serving_examples import FIRST, SECOND, Shelf, fresh_stores, hosted, loaded


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(loaded(FIRST), loaded(SECOND))


def live(host: EndpointHost, name: str = "delay") -> str:
    return host.engine(name).routing.live.model.ref


def test_every_endpoint_is_hosted_as_it_comes(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf) as host:
        assert set(host.engines) == {"delay"}
        stores.deployments.route("fare", begin(SECOND))
        assert host.refresh() == ["fare"]
        assert live(host, "fare") == SECOND
        assert host.is_ready


def test_only_the_chosen_are_hosted(stores: Stores, shelf: Shelf) -> None:
    stores.deployments.route("fare", begin(SECOND))
    with hosted(stores, shelf, endpoints=["delay"]) as host:
        assert set(host.engines) == {"delay"}


def test_a_chosen_endpoint_that_does_not_exist_is_an_error(stores: Stores, shelf: Shelf) -> None:
    host = EndpointHost(stores.deployments, stores.journal, load=shelf, log=stores.predictions, endpoints=["dely"])
    with pytest.raises(NotFound):
        host.refresh()


def test_nothing_is_done_where_nothing_happened(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf) as host:
        assert host.refresh() == []
        stores.journal.append("run.started", "run:x")
        assert host.refresh() == []
        assert shelf.asked == [FIRST]


def test_a_routing_that_cannot_be_loaded_is_tried_once_and_noted(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf) as host:
        stores.deployments.route("delay", begin("model:delay@9"))
        assert host.refresh() == []
        assert host.refresh() == []
        assert live(host) == FIRST
        assert shelf.asked.count("model:delay@9") == 1
        (event,) = stores.journal.events(kinds=["endpoint.reload_failed"])
        assert event.subject == "endpoint:delay"
        assert event.payload["revision"] == 2
        assert "model:delay@9" in event.payload["problem"]
        with pytest.raises(NotFound):
            host.reload("delay")
        shelf.models["model:delay@9"] = loaded("model:delay@9")
        assert host.reload("delay") is True
        assert live(host) == "model:delay@9"


def test_an_endpoint_that_never_loaded_is_there_but_not_ready(stores: Stores) -> None:
    with hosted(stores, Shelf()) as host:
        assert not host.is_ready
        with pytest.raises(Unavailable):
            host.engine("delay").routing  # noqa: B018


def test_an_unknown_endpoint_is_named_with_the_nearest(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf) as host, pytest.raises(NotFound) as error:
        host.engine("dely")
    assert error.value.why == "did you mean 'delay'?"


def test_a_process_with_several_endpoints_has_no_only_one(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf) as host:
        assert host.only().name == "delay"
        stores.deployments.route("fare", begin(SECOND))
        host.refresh()
        with pytest.raises(NotFound, match="which endpoint"):
            host.only()


def test_a_started_host_follows_by_itself(stores: Stores, shelf: Shelf) -> None:
    stores.deployments.route("delay", begin(FIRST))
    loaded_second = threading.Event()

    def load(ref: str) -> object:
        if ref == SECOND:
            loaded_second.set()
        return shelf(ref)

    with EndpointHost(
        stores.deployments,
        stores.journal,
        load=load,  # type: ignore[arg-type]
        log=stores.predictions,
        poll_s=0.005,
    ) as host:
        assert live(host) == FIRST
        stores.deployments.route("delay", begin(SECOND))
        assert loaded_second.wait(10)


def test_a_store_that_fails_for_a_while_is_borne(stores: Stores, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.deployments.route("delay", begin(FIRST))
    recovered = threading.Event()
    asked = iter([True, True, False])

    with EndpointHost(stores.deployments, stores.journal, load=shelf, log=stores.predictions, poll_s=0.005) as host:
        last_seq = stores.journal.last_seq

        def failing() -> int:
            if next(asked, False):
                raise Unavailable("the database is away")
            recovered.set()
            return last_seq()

        monkeypatch.setattr(stores.journal, "last_seq", failing)
        assert recovered.wait(10)
        assert live(host) == FIRST


def test_a_new_endpoint_is_loaded_when_it_is_told_of(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf) as host:
        stores.deployments.route("fare", begin(SECOND))
        assert host.reload("fare") and live(host, "fare") == SECOND
        assert not host.reload("fare")
        with pytest.raises(NotFound, match="nowhere"):
            host.reload("nowhere")
    with hosted(stores, shelf, endpoints=["delay"]) as chosen, pytest.raises(NotFound):
        chosen.reload("fare")
