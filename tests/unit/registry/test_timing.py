from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.registry import timing
from interlock.registry.probing import Answers, ask
from interlock.registry.timing import first_quicker, time_us, times


class Counting(Predictor):
    """Notes how many rows it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        assert {len(values) for values in columns} == {rows}
        self.asked.append(rows)
        return {"y": np.zeros(rows)}


def answers(**changes: Any) -> Answers:
    fields: dict[str, Any] = {"rows": ((1.0,), (2.0,)), "outputs": {"y": [0.0, 0.0]}, "refused": 0}
    return Answers(**{**fields, "nullable": frozenset(), **changes})


def test_a_call_is_timed_in_microseconds_and_repeated_within_a_budget() -> None:
    predictor = Counting()
    assert 0 < time_us(predictor, [[1.0]], rows=1) < 1e6
    assert 2 <= len(predictor.asked) <= 50


def test_one_row_and_512_are_asked_with_the_rows_over_again() -> None:
    predictor = Counting()
    times(predictor, answers())
    assert set(predictor.asked) == {1, 512}


def test_what_is_slow_or_large_is_not_asked_512(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Counting()
    large = answers(rows=(), tensors=(np.zeros((2, 20_000)),))
    took, many = times(predictor, large)
    assert many == pytest.approx(512 * took, abs=0.1)
    monkeypatch.setattr(timing, "time_us", lambda predictor, columns, *, rows: 30_000.0)
    assert times(predictor, answers()) == (30_000.0, 512 * 30_000.0)
    assert set(predictor.asked) == {1}


def test_tensors_that_are_one_row_as_a_whole_are_asked_as_they_are() -> None:
    class Whole(Predictor):
        def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
            assert (columns[0].shape, rows) == ((3, 2), 1)
            return {"y": columns[0]}

    signature = Signature((Column("x", "double", False, shape=(3, 2), datatype="FP32"),), ())
    found = ask(Whole(), {"x": np.ones((3, 2), np.float32)}, signature)
    assert (found.size, found.is_whole) == (1, True)
    took, many = times(Whole(), found)
    assert many == pytest.approx(512 * took, abs=0.1)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({8: 1, 32: 1, 128: 1}, 8),
        ({8: 9, 32: 1, 128: 1}, 32),
        ({8: 1, 32: 9, 128: 1}, 128),
        ({8: 1, 32: 1, 128: 9}, 512),
    ],
)
def test_the_second_engine_begins_where_it_is_quicker_for_good(
    monkeypatch: pytest.MonkeyPatch, second: dict[int, float], expected: int
) -> None:
    few, many = Counting(), Counting()
    monkeypatch.setattr(
        timing, "time_us", lambda predictor, columns, *, rows: second[rows] if predictor is many else 5.0
    )
    assert first_quicker(few, many, answers()) == expected
