from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from interlock.core.errors import InvalidInput
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.registry.probing import UNSEEN, answer, ask

SIGNATURE = Signature(
    (
        Column("x", "double", nullable=False),
        Column("city", "string", nullable=False),
        Column("flag", "boolean", nullable=False),
        Column("n", "long", nullable=True),
    ),
    (Column("prediction", "double", nullable=False),),
)
COLUMNS: dict[str, list[Any]] = {
    "x": [1.0, 2.0, 3.0],
    "city": ["a", "b", "a"],
    "flag": [True, False, True],
    "n": [1, math.nan, 3],
}


class Picky(Predictor):
    """Refuses a missing `x` and any unseen city; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        self.asked += 1
        x, city, *_ = columns
        if any(math.isnan(value) for value in x) or UNSEEN in city:
            raise InvalidInput("no")
        return {"prediction": np.array(x) * 2}


def test_refused_rows_are_set_aside_and_the_rest_is_answered() -> None:
    answers = ask(Picky(), COLUMNS, SIGNATURE)
    assert answers.refused == 2
    assert all(not math.isnan(row[0]) and row[1] != UNSEEN for row in answers.rows)
    assert answers.outputs["prediction"] == [row[0] * 2 for row in answers.rows]


def test_a_column_may_be_missing_where_the_model_bears_it() -> None:
    assert ask(Picky(), COLUMNS, SIGNATURE).nullable == {"city", "flag", "n"}


def test_edge_rows_go_far_outside_what_was_seen() -> None:
    rows = ask(Picky(), COLUMNS, SIGNATURE).rows
    assert {-19.0, 23.0, 0.0} <= {row[0] for row in rows}
    assert "" in {row[1] for row in rows}


def test_rows_are_the_same_every_time() -> None:
    assert repr(ask(Picky(), COLUMNS, SIGNATURE).rows) == repr(ask(Picky(), COLUMNS, SIGNATURE).rows)


def test_finding_the_culprits_takes_few_questions() -> None:
    picky = Picky()
    ask(picky, COLUMNS, SIGNATURE)
    assert picky.asked < 50


def test_without_new_gaps_only_the_gaps_of_the_example_are_left() -> None:
    answers = ask(Picky(), COLUMNS, SIGNATURE)
    without = answers.without_new_gaps(SIGNATURE)
    assert without.nullable == frozenset()
    assert len(without.rows) < len(answers.rows)
    assert all(row[1] is not None for row in without.rows)
    assert any(math.isnan(row[3]) for row in without.rows)
    assert without.outputs["prediction"] == [row[0] * 2 for row in without.rows]
    assert without.without_new_gaps(SIGNATURE) is without


def test_answers_are_plain_values() -> None:
    assert answer(Picky(), [(1.0, "a", True, 1)]) == {"prediction": [2.0]}
