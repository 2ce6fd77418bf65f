"""Ask a model odd rows, to learn what it bears and to have something to hold a compiled form against."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
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
        rows: The rows that it answered, in the order of the signature; none of tensors.
        outputs: Its answers to them, by output name.
        refused: How many rows it refused.
        nullable: Names of the columns that may be missing, as far as the model is concerned.
        tensors: Of a model that takes tensors, these, in place of rows.
        is_whole: Whether the tensors are one row as a whole.
    """

    rows: tuple[Row, ...]
    outputs: dict[str, Any]
    refused: int
    nullable: frozenset[str]
    tensors: tuple[Any, ...] = ()
    is_whole: bool = False

    @property
    def size(self) -> int:
        """How many rows were answered."""
        if self.is_whole:
            return 1
        return len(self.tensors[0]) if self.tensors else len(self.rows)

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

    def columns(self) -> list[Any]:
        """Return the answered rows column by column."""
        return list(self.tensors) or [list(values) for values in zip(*self.rows, strict=True)]

    def repeated(self, size: int) -> list[Any]:
        """Return so many of the answered rows column by column, from the first on, over again where there are fewer."""
        if self.is_whole:
            return list(self.tensors)
        if self.tensors:
            import numpy as np

            return [np.resize(tensor, (size, *tensor.shape[1:])) for tensor in self.tensors]
        return [list(islice(cycle(values), size)) for values in self.columns()]


def ask(predictor: Predictor, columns: Mapping[str, Any], signature: Signature, *, is_probed: bool = True) -> Answers:
    """Return a model's answers to its example rows, to mixtures of them, and to edge rows.

    The edge rows are the first example row with one value changed: missing, far outside the range seen, infinite, or
    a category never seen. Tensors are asked as they are.
    """
    if signature.is_tensor:
        whole = is_whole(signature)
        tensors = tuple(columns[name] if whole else columns[name][:EXAMPLE_ROWS] for name in signature.input_names)
        outputs = predictor.predict(tensors, rows=1 if whole else len(tensors[0]))
        return Answers(rows=(), outputs=dict(outputs), refused=0, nullable=frozenset(), tensors=tensors, is_whole=whole)
    rows = list(zip(*(columns[name] for name in signature.input_names), strict=True))[:EXAMPLE_ROWS]
    if not is_probed:
        return Answers(rows=tuple(rows), outputs=answer(predictor, rows), refused=0, nullable=frozenset())
    dice = random.Random(0)
    mixed = [tuple(dice.choice(columns[name]) for name in signature.input_names) for _ in range(MIXED_ROWS)]
    missing = [(column.name, _changed(rows[0], at, _missing(column))) for at, column in enumerate(signature.inputs)]
    extreme = [
        _changed(rows[0], at, value)
        for at, column in enumerate(signature.inputs)
        for value in _extremes(column, columns[column.name])
    ]
    infinite = [
        _changed(rows[0], at, value)
        for at, column in enumerate(signature.inputs)
        if column.type == "double"
        for value in (math.inf, -math.inf)
    ]
    groups = [[*rows, *mixed, *extreme], [row for _, row in missing], infinite]
    # a model that takes no infinity refuses every row of that kind: one question tells
    answered = [row for group in groups[:2] for row in _answered(predictor, group)]
    if infinite and _answered(predictor, infinite[:1]):
        answered += _answered(predictor, infinite)
    taken = {id(row) for row in answered}
    return Answers(
        rows=tuple(answered),
        outputs=answer(predictor, answered),
        refused=sum(map(len, groups)) - len(answered),
        nullable=frozenset(name for name, row in missing if id(row) in taken),
    )


def is_whole(signature: Signature) -> bool:
    """Whether a request is one row as a whole: the first dimension of a tensor is fixed, or it has none."""
    return any(column.shape is not None and column.shape[:1] != (-1,) for column in signature.inputs)


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
