from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from interlock.core.clock import FrozenClock
from interlock.core.errors import InvalidInput, NotFound, StorageFull, Unavailable
from interlock.core.ids import new_id
from interlock.core.schema import Signature
from interlock.ports.model_runtime import Predictor
from interlock.ports.prediction_log import Prediction
from interlock.ports.stores import Stores
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.requests import question
from interlock.serving.rollout import begin, begin_canary, begin_shadow, promote
from tests.serving_examples import FIRST, NOW, NOW_MICROS, ROW, SECOND, SIGNATURE, Adding, Shelf, fresh_stores, loaded


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(loaded(FIRST), loaded(SECOND, shift=0.5))


@pytest.fixture
def engine(stores: Stores, shelf: Shelf) -> Iterator[EndpointEngine]:
    stores.deployments.route("delay", begin(FIRST))
    engine = EndpointEngine("delay", stores.deployments, shelf, stores.predictions, FrozenClock(NOW))
    engine.reload()
    yield engine
    engine.close()


def ask(engine: EndpointEngine, *rows: dict[str, Any], version: str | None = None, **parameters: Any) -> Answer:
    table = engine.routing.check.records(list(rows) or [ROW])
    return engine.predict(question(table, parameters, now_micros=engine.now_micros()), version=version)


def logged(stores: Stores, prediction_id: str) -> list[Prediction]:
    return [one.prediction for one in stores.predictions.find(prediction_id)]


def test_an_answer_is_given_and_logged_with_everything_about_it(engine: EndpointEngine, stores: Stores) -> None:
    answer = ask(
        engine,
        {"x": None, "n": 3, "city": None},
        prediction_ids=["flight-1"],
        event_time="2025-12-31T00:00:00Z",
        context={"tail": "N1"},
    )
    assert answer == Answer(["flight-1"], (FIRST,), "1", 1, {"probability": [0.0], "label": [0]})
    assert logged(stores, "flight-1") == [
        Prediction(
            id="flight-1",
            endpoint="delay",
            model=FIRST,
            role="live",
            event_time=NOW_MICROS - 86_400_000_000,
            served_at=NOW_MICROS,
            inputs=(None, 3, None),
            outputs={"probability": 0.0, "label": 0},
            revision=1,
            context={"tail": "N1"},
        )
    ]


def test_what_is_logged_is_plain(engine: EndpointEngine, stores: Stores) -> None:
    answer = ask(engine)
    (row,) = logged(stores, answer.ids[0])
    assert [type(value) for value in row.inputs] == [float, int, str]
    assert {name: type(value) for name, value in row.outputs.items()} == {"probability": float, "label": int}


def test_nothing_is_answered_that_could_not_be_logged(
    engine: EndpointEngine, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(predictions: Sequence[Prediction]) -> None:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(stores.predictions, "append", full)
    with pytest.raises(StorageFull):
        ask(engine)


def test_rows_that_the_model_refuses_are_not_logged(engine: EndpointEngine, stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="refused"):
        ask(engine, {**ROW, "city": "nowhere"}, prediction_ids=["a"])
    assert logged(stores, "a") == []
    assert engine.routing.live.statistics.failures == 1
    assert engine.routing.live.statistics.last_problem == "the model refused the rows"


def test_before_anything_is_loaded_it_is_not_ready(stores: Stores, shelf: Shelf) -> None:
    engine = EndpointEngine("delay", stores.deployments, shelf, stores.predictions)
    assert not engine.is_ready
    assert not engine.is_quick
    with pytest.raises(Unavailable, match="not ready"):
        engine.routing  # noqa: B018
    with pytest.raises(NotFound):
        engine.reload()
    with pytest.raises(Unavailable) as error:
        engine.routing  # noqa: B018
    assert "delay" in error.value.why


def test_a_new_routing_is_followed_once(engine: EndpointEngine, stores: Stores) -> None:
    assert engine.reload() is False
    stores.deployments.route("delay", begin(SECOND))
    assert engine.reload() is True
    assert ask(engine).outputs["probability"] == [0.75]
    assert ask(engine).revision == 2


def test_a_version_that_cannot_be_loaded_leaves_the_old_routing(engine: EndpointEngine, stores: Stores) -> None:
    stores.deployments.route("delay", begin("model:delay@9"))
    with pytest.raises(NotFound):
        engine.reload()
    assert engine.problem is not None
    assert "model:delay@9" in engine.problem.what
    assert ask(engine).models == (FIRST,)
    stores.deployments.route("delay", begin(SECOND))
    engine.reload()
    assert engine.problem is None


def test_a_canary_answers_its_share_and_rows_come_back_in_order(engine: EndpointEngine, stores: Stores) -> None:
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.4))
    engine.reload()
    rows = [{**ROW, "x": at / 1000} for at in range(300)]
    ids = [new_id() for _ in rows]
    answer = ask(engine, *rows, prediction_ids=ids)
    assert answer.ids == ids
    assert len(answer.models) == 300
    for row, model, probability in zip(rows, answer.models, answer.outputs["probability"], strict=True):
        assert probability == pytest.approx(row["x"] + (0.5 if model == SECOND else 0.0))
    assert 60 < answer.models.count(SECOND) < 180
    roles = {one.prediction.role for one in stores.predictions.recent("delay", limit=300)}
    assert roles == {"live", "canary"}
    assert engine.routing.answering[1].statistics.rows == answer.models.count(SECOND)


def test_all_rows_may_fall_to_one_of_several(engine: EndpointEngine, stores: Stores) -> None:
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.4))
    engine.reload()
    answers = [ask(engine) for _ in range(40)]
    assert {answer.models for answer in answers} == {(FIRST,), (SECOND,)}
    assert {answer.version for answer in answers} == {"1", "2"}


def test_a_version_may_be_asked_for_by_number(engine: EndpointEngine, stores: Stores) -> None:
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.01))
    engine.reload()
    assert {ask(engine, version="2").models for _ in range(20)} == {(SECOND,)}
    with pytest.raises(NotFound):
        ask(engine, version="3")


def test_a_version_that_takes_columns_in_another_order_gets_them_so(
    engine: EndpointEngine, stores: Stores, shelf: Shelf
) -> None:
    turned = Signature(SIGNATURE.inputs[::-1], SIGNATURE.outputs)
    shelf.models[SECOND] = loaded(SECOND, signature=turned, shift=0.5)
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.5))
    engine.reload()
    answer = ask(engine, version="2", prediction_ids=["a"])
    assert answer.outputs["probability"] == [0.75]
    assert logged(stores, "a")[0].inputs == ("JFK", 1, 0.25)


def test_shadows_see_every_request_and_answer_none(engine: EndpointEngine, stores: Stores) -> None:
    stores.deployments.route("delay", begin_shadow(begin(FIRST), SECOND))
    engine.reload()
    answer = ask(engine, prediction_ids=["a"])
    engine.drain()
    assert answer.outputs["probability"] == [0.25]
    assert [(row.model, row.role, row.outputs["probability"]) for row in logged(stores, "a")] == [
        (FIRST, "live", 0.25),
        (SECOND, "shadow", 0.75),
    ]


class Blocking(Predictor):
    """Waits until it is let go, then fails in a way that no model should."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        assert self.go.wait(30)
        raise ZeroDivisionError("shadow bug")


def test_a_shadow_neither_delays_nor_fails_an_answer(
    engine: EndpointEngine, stores: Stores, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking = Blocking()
    monkeypatch.setattr(engine, "_shadow_slots", threading.BoundedSemaphore(2))
    shelf.models[SECOND] = loaded(SECOND, predictor=blocking)
    stores.deployments.route("delay", begin_shadow(begin(FIRST), SECOND))
    engine.reload()
    ids = [ask(engine).ids[0] for _ in range(5)]
    shadow = engine.routing.shadows[0].statistics
    assert shadow.shadow_failures == 3
    assert "too slow" in shadow.last_problem
    blocking.go.set()
    engine.drain()
    assert shadow.shadow_failures == 5
    assert shadow.last_problem == "shadow bug"
    assert all(len(logged(stores, one)) == 1 for one in ids)


def test_no_request_is_dropped_while_versions_change(engine: EndpointEngine, stores: Stores) -> None:
    done = threading.Event()

    def hammer(_: int) -> int:
        answered = 0
        while not done.is_set():
            answer = ask(engine)
            expected = {FIRST: 0.25, SECOND: 0.75}[answer.models[0]]
            assert answer.outputs["probability"] == [expected]
            answered += 1
        return answered

    with ThreadPoolExecutor(4) as pool:
        counts = [pool.submit(hammer, at) for at in range(4)]
        now = begin(FIRST)
        for candidate in [SECOND, FIRST] * 15:
            now = promote(begin_shadow(now, candidate), candidate)
            stores.deployments.route("delay", now)
            engine.reload()
        done.set()
        assert all(count.result() > 0 for count in counts)


def test_the_answer_of_a_request_is_that_of_the_routing_it_began_with(engine: EndpointEngine, stores: Stores) -> None:
    routing = engine.routing
    asked = question(routing.check.records([ROW]), {}, now_micros=0)
    stores.deployments.route("delay", begin(SECOND))
    engine.reload()
    assert engine.predict(asked, routing=routing).models == (FIRST,)


def test_adding_is_what_the_tests_think_it_is() -> None:
    assert Adding(SIGNATURE, 0.5).predict([[0.25], [1], ["a"]], rows=1)["label"].tolist() == [1]
