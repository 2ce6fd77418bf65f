"""One row is answered part by part, and logged whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput, StepFailed
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor, StreamingPredictor
from interlock.ports.stores import Stores
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import question
from interlock.serving.rollout import begin, begin_canary
from tests.serving_examples import FIRST, SECOND, Shelf, fresh_stores, loaded

SIGNATURE = Signature((Column("n", "long", nullable=False),), (Column("text", "string"), Column("tokens", "long")))


class Counting(StreamingPredictor):
    """Says as many words as it is told; fails at the fourth."""

    def __init__(self) -> None:
        self.stopped = 0

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        raise AssertionError("a stream is asked for its parts")

    def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
        try:
            for at in range(columns[0][0]):
                if at == 3:
                    raise StepFailed("out of words")
                yield {"text": f"w{at} ", "tokens": at + 1}
        finally:
            self.stopped += 1


class Whole(Predictor):
    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        return {"text": np.array(["all"], object), "tokens": np.array([1])}


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def engine(stores: Stores, counting: Counting) -> Iterator[EndpointEngine]:
    stores.deployments.route("delay", begin(FIRST))
    shelf = Shelf(
        loaded(FIRST, signature=SIGNATURE, predictor=counting), loaded(SECOND, signature=SIGNATURE, predictor=Whole())
    )
    engine = EndpointEngine("delay", stores.deployments, shelf, stores.predictions)
    engine.reload()
    yield engine
    engine.close()


def stream_of(engine: EndpointEngine, n: int, *, version: str | None = None, rows: int = 1, **parameters: Any) -> Any:
    table = engine.routing.check.records([{"n": n}] * rows)
    return engine.stream(question(table, parameters, now_micros=engine.now_micros()), version=version)


def logged(stores: Stores) -> list[Any]:
    return [one.prediction for one in stores.predictions.recent("delay")]


def test_the_whole_is_logged_after_the_last_part(engine: EndpointEngine, stores: Stores) -> None:
    stream = stream_of(engine, 2, prediction_ids=["one"])
    assert stream.next() == {"text": "w0 ", "tokens": 1}
    assert logged(stores) == []
    assert list(stream) == [{"text": "w1 ", "tokens": 2}]
    assert stream.next() is None
    (found,) = logged(stores)
    assert found.id == "one"
    assert found.outputs == {"text": "w0 w1 ", "tokens": 2}
    assert found.model == FIRST


def test_what_was_given_is_logged_when_the_listener_leaves(
    engine: EndpointEngine, stores: Stores, counting: Counting
) -> None:
    stream = stream_of(engine, 3, prediction_ids=["one"])
    stream.next()
    stream.close()
    stream.close()
    assert counting.stopped == 1
    assert logged(stores)[0].outputs == {"text": "w0 ", "tokens": 1}


def test_a_failure_is_counted_and_not_logged(engine: EndpointEngine, stores: Stores) -> None:
    with pytest.raises(StepFailed):
        list(stream_of(engine, 4))
    assert logged(stores) == []
    assert engine.routing.live.statistics.failures == 1


def test_a_trial_leaves_no_trace(engine: EndpointEngine, stores: Stores) -> None:
    assert len(list(stream_of(engine, 2, trial=True))) == 2
    assert logged(stores) == []


def test_several_rows_are_refused(engine: EndpointEngine) -> None:
    with pytest.raises(InvalidInput, match="2 rows cannot be streamed"):
        stream_of(engine, 1, rows=2)


def test_a_model_that_cannot_stream_answers_in_one_part(engine: EndpointEngine, stores: Stores) -> None:
    stores.deployments.route("delay", begin_canary(stores.deployments.get("delay").deployments, SECOND, share=0.5))
    engine.reload()
    assert list(stream_of(engine, 1, version="2")) == [{"text": "all", "tokens": 1}]
    assert [one.model for one in logged(stores)] == [SECOND]
