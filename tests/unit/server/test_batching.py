"""Requests that wait for a busy model are answered together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.ports.deployment_store import Deployment
from interlock.ports.model_runtime import Predictor
from interlock.ports.stores import Stores
from interlock.server.answering import Answering
from interlock.server.batching import MOST_ROWS, Batcher
from interlock.server.limits import Limits
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import Question, question
from interlock.serving.seen import SEEN, Seen
from interlock.serving.validation import Table
from tests.serving_examples import FIRST, NOW_MICROS, SECOND, SIGNATURE, Adding, Shelf, fresh_stores, hosted, loaded


class Counting(Predictor):
    """Tells how many rows it was asked at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        self.asked.append(rows)
        if "broken" in columns[2]:
            raise ZeroDivisionError("broken")
        return Adding(SIGNATURE, 0.0).predict(columns, rows=rows)


class Desk:
    """An endpoint whose batches run when they are told to."""

    def __init__(self, stores: Stores, *, shelf: Shelf | None = None) -> None:
        self.model = Counting()
        self._hosting = hosted(
            stores, shelf or Shelf(loaded(predictor=self.model, gains_together=True, is_quick=False))
        )
        self.engine: EndpointEngine = self._hosting.__enter__().engine("delay")
        self.todo: deque[Callable[[], None]] = deque()
        self.batcher = Batcher(self.engine, submit=self.todo.append, soon=lambda call: call())

    def ask(self, *xs: float, city: str = "JFK", **said: Any) -> Any:
        return self.batcher.ask(asked(*xs, city=city, **said), self.engine.routing)

    def run(self) -> None:
        while self.todo:
            self.todo.popleft()()


def asked(*xs: float, city: str = "JFK", **said: Any) -> Question:
    rows = len(xs)
    return question(Table([list(xs), [1] * rows, [city] * rows], rows, False), said, now_micros=NOW_MICROS)


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def desk(stores: Stores) -> Desk:
    return Desk(stores)


def test_who_comes_alone_is_answered_alone_and_who_waits_together(desk: Desk, stores: Stores) -> None:
    answers = [desk.ask(0.25), desk.ask(0.5, 0.75), desk.ask(1.0)]
    desk.run()
    assert desk.model.asked == [1, 3]
    assert [one.result().outputs["probability"] for one in answers] == [[0.25], [0.5, 0.75], [1.0]]
    logged = {one.prediction.id: one.prediction.outputs["probability"] for one in stores.predictions.recent("delay")}
    assert {one.result().ids[0]: one.result().outputs["probability"][0] for one in answers}.items() <= logged.items()
    assert len(logged) == 4
    done = desk.engine.routing.live.statistics
    assert (done.requests, done.rows) == (3, 4)


def test_a_bad_row_fails_its_own_request_only(desk: Desk, stores: Stores) -> None:
    answers = [
        desk.ask(0.0),
        desk.ask(0.25),
        desk.ask(0.5, city="nowhere"),
        desk.ask(0.75, city="broken"),
        desk.ask(1.0),
    ]
    desk.run()
    assert [one.exception() is None for one in answers] == [True, True, False, False, True]
    assert isinstance(answers[2].exception(), InvalidInput)
    assert isinstance(answers[3].exception(), ZeroDivisionError)
    assert len(stores.predictions.recent("delay")) == 3


def test_a_batch_has_so_many_rows_and_no_more(desk: Desk) -> None:
    answers = [desk.ask(0.0), *(desk.ask(*[0.5] * 200) for _ in range(5))]
    desk.run()
    assert desk.model.asked == [1, 400, 400, 200]
    assert all(one.done() for one in answers)


def test_who_gave_up_is_not_asked_for(desk: Desk) -> None:
    first, second, third = desk.ask(0.0), desk.ask(0.25), desk.ask(0.5)
    assert second.cancel()
    desk.run()
    assert desk.model.asked == [1, 1]
    assert (first.done(), third.done()) == (True, True)


def test_a_change_of_routing_ends_a_batch(stores: Stores) -> None:
    model = Counting()
    both = [loaded(ref, predictor=model, gains_together=True, is_quick=False) for ref in (FIRST, SECOND)]
    desk = Desk(stores, shelf=Shelf(*both))
    first, before = desk.ask(0.0), desk.ask(0.25)
    stores.deployments.route("delay", [Deployment(SECOND, "live", 1.0)])
    desk.engine.reload()
    after = desk.ask(0.5)
    desk.run()
    assert [one.result().version for one in (first, before, after)] == ["1", "1", "2"]


def test_trials_are_answered_and_not_logged_and_shadows_hear_the_rest(stores: Stores) -> None:
    shadow = Counting()
    live = loaded(predictor=Counting(), gains_together=True, is_quick=False)
    stores.deployments.route("delay", [Deployment(FIRST, "live", 1.0), Deployment(SECOND, "shadow", 0.0)])
    desk = Desk(stores, shelf=Shelf(live, loaded(SECOND, predictor=shadow)))
    desk.ask(0.0)
    trial, real = desk.ask(0.25, trial=True), desk.ask(0.5)
    desk.run()
    desk.engine.drain()
    assert (trial.result().outputs["probability"], real.result().outputs["probability"]) == ([0.25], [0.5])
    assert len(stores.predictions.recent("delay")) == 2
    assert shadow.asked == [1, 1]


def test_observers_hear_of_each_answer(desk: Desk) -> None:
    async def ask() -> Seen:
        seen = Seen(0)
        SEEN.set(seen)
        desk.ask(0.25)
        return seen

    seen = asyncio.run(ask())
    desk.run()
    assert seen.answer.version == "1"


def test_not_every_request_may_wait_for_others(desk: Desk, stores: Stores) -> None:
    routing = desk.engine.routing
    assert Batcher.fits(routing, asked(0.5))
    assert not Batcher.fits(routing, asked(*[0.5] * (MOST_ROWS + 1)))
    with hosted(fresh_stores(), Shelf(loaded())) as host:
        assert not Batcher.fits(host.engine("delay").routing, asked(0.5))


@pytest.mark.parametrize("is_quick", [True, False])
def test_requests_at_once_are_answered_together_by_protocols(stores: Stores, is_quick: bool) -> None:
    model = Counting()
    let = threading.Event()

    class Slow(Counting):
        def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
            if not is_quick:
                assert let.wait(20)
            return model.predict(columns, rows=rows)

    async def all_at_once() -> list[Any]:
        answering = Answering(host, limits=Limits(), version="1")
        engine = host.engine("delay")
        rows = [[[0.1 * number], [1], ["JFK"]] for number in range(20)]
        asking = [
            asyncio.ensure_future(
                answering.predict(engine, lambda check, row=row: (Table(row, 1, False), {}), size_bytes=100)  # type: ignore[misc]
            )
            for row in rows
        ]
        await asyncio.sleep(0)
        let.set()
        found = await asyncio.gather(*asking)
        many, _ = await answering.predict(
            engine, lambda check: (Table([[0.5] * 600, [1] * 600, ["JFK"] * 600], 600, False), {}), size_bytes=100
        )
        assert len(many.ids) == 600
        answering.close()
        return [answer.outputs["probability"][0] for answer, _ in found]

    with hosted(stores, Shelf(loaded(predictor=Slow(), gains_together=True, is_quick=is_quick))) as host:
        assert asyncio.run(all_at_once()) == pytest.approx([0.1 * number for number in range(20)])
    assert sum(model.asked) == 620
    assert len(model.asked) <= 4
