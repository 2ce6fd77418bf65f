"""Where the answers of a form jump."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.registry.jumps import MOST_JUMPS, jump_rows

SIGNATURE = Signature(
    (Column("x", "double"), Column("n", "long"), Column("city", "string")), (Column("prediction", "double"),)
)
DICE = np.random.default_rng(0)
ROWS = [(float(x), int(n), "JFK") for x, n in zip(DICE.normal(size=50), DICE.integers(-20, 20, 50), strict=True)]


class Said(Predictor):
    """Answers by a function of the first two columns."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function
        self.asked = 0

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        self.asked += rows
        return {"prediction": self.function(np.array(columns[0], float), np.array(columns[1], float))}


def test_a_threshold_is_found_to_the_last_bit() -> None:
    rows = jump_rows(Said(lambda x, _: (x <= 0.1) * 1.0), ROWS, SIGNATURE)
    assert len(rows) == 2 * MOST_JUMPS
    assert {x for x, *_ in rows} == {0.1, math.nextafter(0.1, 1)}


def test_a_threshold_at_nothing_is_found_from_both_sides() -> None:
    rows = jump_rows(Said(lambda x, _: np.where(x < 0, 1.0, 2.0)), ROWS, SIGNATURE)
    assert {x for x, *_ in rows} == {0.0, math.nextafter(0, -1)}


def test_of_whole_numbers_it_lies_between_two_neighbours() -> None:
    rows = jump_rows(Said(lambda _, n: np.floor(n > 2.5).astype(float)), ROWS, SIGNATURE)
    assert {n for _, n, _ in rows} == {2, 3}
    assert all(isinstance(n, int) for _, n, _ in rows)


def test_what_changes_smoothly_has_neighbours_that_are_as_good_as_equal() -> None:
    rows = jump_rows(Said(lambda x, n: x + n / 7), ROWS, SIGNATURE)
    near, far = (np.array([x + n / 7 for x, n, _ in half]) for half in (rows[:MOST_JUMPS], rows[MOST_JUMPS:]))
    # of whole numbers the neighbours are one apart
    assert np.abs(near - far).max() <= 1 / 7 + 1e-9


def test_what_never_changes_is_asked_no_more() -> None:
    said = Said(lambda x, _: x * 0)
    assert jump_rows(said, ROWS, SIGNATURE) == []
    assert said.asked < 800


def test_numbers_of_clusters_are_no_measure() -> None:
    assert jump_rows(Said(lambda x, _: (x > 0).astype(int)), ROWS, SIGNATURE) == []


def test_gaps_and_infinity_are_left_out() -> None:
    rows = [(math.nan, 1, "JFK"), (math.inf, 1, "JFK"), (0.5, 1, "JFK")]
    assert jump_rows(Said(lambda x, _: x), rows, SIGNATURE) == []
    assert jump_rows(Said(lambda x, _: x), [], SIGNATURE) == []


def test_columns_of_strings_have_no_neighbours() -> None:
    strings = Signature((Column("city", "string"),), (Column("prediction", "double"),))
    assert jump_rows(Said(lambda x, _: x), [("JFK",)], strings) == []
