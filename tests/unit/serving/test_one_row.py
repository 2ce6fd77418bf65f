"""The short way of one row."""

from __future__ import annotations

import msgspec
import pytest

from interlock.core.clock import SystemClock
from interlock.core.errors import InvalidInput, StorageFull
from interlock.core.schema import Column, Signature
from interlock.ports.deployment_store import Deployment
from interlock.ports.stores import Stores
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import question
from interlock.serving.validation import Table
from tests.serving_examples import FIRST, NOW_MICROS, SECOND, SIGNATURE, Shelf, fresh_stores, hosted, loaded

COLUMNS = [(0.25,), (1,), ("JFK",)]


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


def engine_of(stores: Stores, *shelf: object, endpoint: str = "delay") -> EndpointEngine:
    with hosted(stores, Shelf(*(shelf or (loaded(),)))) as host:  # type: ignore[arg-type]
        return host.engine(endpoint)


def test_it_answers_counts_and_logs_what_the_long_way_does(stores: Stores) -> None:
    engine = engine_of(stores)
    short = engine.one_row
    assert short is not None
    prediction_id, values = short.ask(COLUMNS)
    table = Table([list(column) for column in COLUMNS], 1, False)
    answer = engine.predict(question(table, {}, now_micros=NOW_MICROS))
    assert [[value] for value in values] == list(answer.outputs.values())
    newest, before = (one.prediction for one in stores.predictions.recent("delay"))
    assert {newest.id, before.id} == {prediction_id, answer.ids[0]}
    assert msgspec.structs.replace(newest, id="") == msgspec.structs.replace(before, id="")
    done = engine.routing.live.statistics
    assert (done.requests, done.rows, done.failures) == (2, 2, 0)


def test_a_row_that_the_model_refuses_is_counted_and_not_logged(stores: Stores) -> None:
    engine = engine_of(stores)
    assert engine.one_row is not None
    with pytest.raises(InvalidInput, match="refused"):
        engine.one_row.ask([(0.25,), (1,), ("nowhere",)])
    assert engine.routing.live.statistics.failures == 1
    assert stores.predictions.recent("delay") == []


def test_what_cannot_be_logged_is_not_answered(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(predictions: object) -> None:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(stores.predictions, "append", full)
    engine = engine_of(stores)
    assert engine.one_row is not None
    with pytest.raises(StorageFull):
        engine.one_row.ask(COLUMNS)


def test_it_goes_by_the_machines_clock_without_asking_for_a_date(stores: Stores) -> None:
    stores.deployments.route("delay", [Deployment(FIRST, "live", 1.0)])
    engine = EndpointEngine("delay", stores.deployments, Shelf(loaded()), stores.predictions, SystemClock())
    engine.reload()
    assert engine.one_row is not None
    engine.one_row.ask(COLUMNS)
    (found,) = stores.predictions.recent("delay")
    assert found.prediction.served_at > NOW_MICROS - 10**15
    assert found.prediction.served_at == found.prediction.event_time


def test_it_follows_the_routing(stores: Stores) -> None:
    with hosted(stores, Shelf(loaded(), loaded(SECOND, shift=0.5))) as host:
        engine = host.engine("delay")
        first = engine.one_row
        assert first is not None and engine.one_row is first
        stores.deployments.route("delay", [Deployment(SECOND, "live", 1.0)])
        host.refresh()
        assert engine.one_row is not None
        assert engine.one_row.ask(COLUMNS)[1] == [0.75, 1]


@pytest.mark.parametrize(
    "model",
    [
        loaded(is_quick=False),
        loaded(gains_together=True),
        loaded(signature=Signature((Column("x", "datetime"),), SIGNATURE.outputs)),
        loaded(signature=Signature(SIGNATURE.inputs, (Column("p", "double", shape=(-1, 2), datatype="FP64"),))),
        loaded(signature=Signature(tuple(Column(f"x{at}", "double") for at in range(257)), SIGNATURE.outputs)),
    ],
)
def test_not_every_model_has_one(stores: Stores, model: object) -> None:
    assert engine_of(stores, model).one_row is None


def test_with_a_canary_or_a_shadow_there_is_none(stores: Stores) -> None:
    for role, share in (("canary", 0.5), ("shadow", 0.0)):
        live = Deployment(FIRST, "live", 1.0 - share)
        stores.deployments.route("delay", [live, Deployment(SECOND, role, share)])  # type: ignore[arg-type]
        assert engine_of(stores, loaded(), loaded(SECOND)).one_row is None


def test_what_is_not_loaded_has_none(stores: Stores) -> None:
    engine = EndpointEngine("delay", stores.deployments, Shelf(), stores.predictions)
    assert engine.one_row is None
