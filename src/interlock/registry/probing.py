"""Ask a model odd rows, to learn what it bears and to have something to hold a compiled form against."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor

UNSEEN = "\u2205 never seen \u2205"
EXAMPLE_ROWS = 200
MIXED_ROWS = 200
"""How many rows of the example, and how many made of its values at random, take part in the comparison."""

Row = tuple[Any, ...]


class Answers(msgspec.Struct, frozen=True):
    """What a model said to some rows.

    Args:
        rows: The rows that it answered, in the order of the signature.
        outputs: Its answers to them, by output name.
        refused: How many rows it refused.
        nullable: Names of the columns that may be missing, as far as the model is concerned.
    """

    rows: tuple[Row, ...]
    outputs: dict[str, list[Any]]
    refused: int
    nullable: frozenset[str]

    def without_new_gaps(self, signature: Signature) -> Answers:
        """Return these answers without the rows that lack a value where the example always had one."""
        full = [at for at, column in enumerate(signature.inputs) if not column.nullable]
        kept = [
            number
            for number, row in enumerate(self.rows)
            if not any(row[at] is None or row[at] != row[at] for at in full)
        ]
        if len(kept) == len(self.rows):
            return self
        return Answers(
            rows=tuple(self.rows[number] for number in kept),
            outputs={name: [values[number] for number in kept] for name, values in self.outputs.items()},
            refused=self.refused,
            nullable=frozenset(),
        )

    def columns(self) -> list[list[Any]]:
        """Return the answered rows column by column."""
        return [list(values) for values in zip(*self.rows, strict=True)]


def ask(predictor: Predictor, columns: Mapping[str, list[Any]], signature: Signature) -> Answers:
    """Return a model's answers to its example rows, to mixtures of them, and to edge rows.

    The edge rows are the first example row with one value changed: missing, far outside the range seen, or a
    category never seen.
    """
    rows = list(zip(*(columns[name] for name in signature.input_names), strict=True))[:EXAMPLE_ROWS]
    dice = random.Random(0)
    mixed = [tuple(dice.choice(columns[name]) for name in signature.input_names) for _ in range(MIXED_ROWS)]
    missing = [(column.name, _changed(rows[0], at, _missing(column))) for at, column in enumerate(signature.inputs)]
    extreme = [
        _changed(rows[0], at, value)
        for at, column in enumerate(signature.inputs)
        for value in _extremes(column, columns[column.name])
    ]
    everything = [*rows, *mixed, *extreme, *(row for _, row in missing)]
    answered = _answered(predictor, everything)
    taken = {id(row) for row in answered}
    return Answers(
        rows=tuple(answered),
        outputs=answer(predictor, answered),
        refused=len(everything) - len(answered),
        nullable=frozenset(name for name, row in missing if id(row) in taken),
    )


def answer(predictor: Predictor, rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return a model's answers to some rows as plain values."""
    outputs = predictor.predict([list(values) for values in zip(*rows, strict=True)], rows=len(rows))
    return {name: values.tolist() for name, values in outputs.items()}


def _answered(predictor: Predictor, rows: list[Row]) -> list[Row]:
    """Return the rows that the model does not refuse, halving until the culprits are alone."""
    try:
        answer(predictor, rows)
    except InvalidInput:
        if len(rows) == 1:
            return []
        middle = len(rows) // 2
        return _answered(predictor, rows[:middle]) + _answered(predictor, rows[middle:])
    return rows


def _changed(row: Row, at: int, value: Any) -> Row:
    return (*row[:at], value, *row[at + 1 :])


def _missing(column: Column) -> Any:
    return float("nan") if column.type in ("double", "long", "boolean") else None


def _extremes(column: Column, values: list[Any]) -> list[Any]:
    if column.type == "string":
        return [UNSEEN, ""]
    if column.type == "boolean":
        return [True, False]
    if column.type not in ("double", "long"):
        return []
    known = [value for value in values if not math.isnan(value)] or [0.0]
    low, high = min(known), max(known)
    reach = 10 * (high - low) or 10
    return [low - reach, high + reach, type(low)(0)]
