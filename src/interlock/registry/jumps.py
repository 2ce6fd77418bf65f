"""Find the rows beside which the answers of a form jump: where two forms of a model differ if anywhere.

Trees ask whether a value is below a threshold, and values of real columns often lie on one: of two forms that round
otherwise by the last bit, one goes left there and one right, and they agree everywhere else.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.schema import Signature
from interlock.ports.model_runtime import Predictor
from interlock.registry.comparing import TOLERANCE

PAIRS = 384
"""How many rows are changed in one column, to see whether the answer changes."""

MOST_JUMPS = 64
"""How many of the changes are narrowed down."""

_NUMBERS = ("double", "long")

Row = tuple[Any, ...]


def jump_rows(predictor: Predictor, rows: Sequence[Row], signature: Signature) -> list[Row]:
    """Return pairs of rows that differ in one column by the last bit, with an answer that differs.

    Between two values of a column at which a form answers otherwise, the place is narrowed down to two numbers of 64
    bits with none between (of a column of whole numbers, to two neighbours). Where its answer changes smoothly, the two
    answers are as good as equal, and holding them against another form's does no harm.
    Cost: 65 questions of 64 rows.

    Args:
        predictor: The form.
        rows: Rows that it answers.
        signature: What it takes.
    """
    import numpy as np

    dice = random.Random(1)
    columns = [at for at, column in enumerate(signature.inputs) if column.type in _NUMBERS]
    if not columns or not rows:
        return []
    pairs = [
        (row, at, value)
        for row, at in ((dice.choice(rows), dice.choice(columns)) for _ in range(PAIRS))
        if _is_number(row[at]) and _is_number(value := dice.choice(rows)[at]) and value != row[at]
    ]
    if not pairs:
        return []
    begun = _answers(predictor, [row for row, _, _ in pairs])
    ended = _answers(predictor, [_changed(row, at, value) for row, at, value in pairs])
    places = np.flatnonzero(_differs(begun, ended))[:MOST_JUMPS]
    if not len(places):
        return []
    chosen, begun = [pairs[place] for place in places], begun[places]
    whole = np.array([signature.inputs[at].type == "long" for _, at, _ in chosen])
    near, far = (_keys([float(value) for value in values]) for values in _ends(chosen))
    while (wide := np.abs(far - near) > 1).any():
        middle = (near >> 1) + (far >> 1) + (near & far & 1)
        asked = [_changed(row, at, value) for (row, at, _), value in zip(chosen, _values(middle, whole), strict=True)]
        jumped = _differs(begun, _answers(predictor, asked))
        near, far = np.where(wide & ~jumped, middle, near), np.where(wide & jumped, middle, far)
    return [
        _changed(row, at, value)
        for found in (near, far)
        for (row, at, _), value in zip(chosen, _values(found, whole), strict=True)
    ]


def _ends(chosen: Sequence[tuple[Row, int, Any]]) -> tuple[list[Any], list[Any]]:
    return [row[at] for row, at, _ in chosen], [value for _, _, value in chosen]


def _is_number(value: Any) -> bool:
    return value is not None and value == value and abs(value) != float("inf")


def _changed(row: Row, at: int, value: Any) -> Row:
    return (*row[:at], value, *row[at + 1 :])


def _answers(predictor: Predictor, rows: Sequence[Row]) -> Any:
    """Return the measures among the answers; shape (rows, outputs).

    Labels and numbers of clusters are none: they change where two are equally near, as these tell in the last bit.
    """
    import numpy as np

    said: Mapping[str, Any] = predictor.predict([list(values) for values in zip(*rows, strict=True)], rows=len(rows))
    numbers = [np.asarray(values) for values in said.values()]
    return np.array([values for values in numbers if values.dtype.kind == "f"], np.float64).reshape(-1, len(rows)).T


def _differs(one: Any, other: Any) -> Any:
    import numpy as np

    with np.errstate(invalid="ignore"):
        return (np.abs(one - other) > TOLERANCE * np.maximum(1.0, np.abs(one))).any(axis=1)


def _keys(values: Sequence[float]) -> Any:
    """Return whole numbers that lie as these numbers of 64 bits do, neighbours beside each other."""
    import numpy as np

    bits = np.array(values, np.float64).view(np.int64)
    return np.where(bits >= 0, bits, np.iinfo(np.int64).min - bits)


def _values(keys: Any, whole: Any) -> list[Any]:
    """Return the numbers that keys stand for, of columns of whole numbers rounded down."""
    import numpy as np

    numbers = np.where(keys >= 0, keys, np.iinfo(np.int64).min - keys).view(np.float64)
    return [int(number // 1) if is_whole else number for number, is_whole in zip(numbers.tolist(), whole, strict=True)]
