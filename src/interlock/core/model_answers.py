"""Read what a Python model answers, in whatever form, as columns of plain values; and parts of it, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.errors import InvalidInput

PREDICTION = "prediction"
"""Name of the only output of a model that gives no names; several are `prediction_0`, `prediction_1`, …"""

_MOST_COLUMNS = 1_000


def answer_columns(answer: Any, *, rows: int) -> dict[str, Any]:
    """Return an answer as values by output name, `rows` long each: lists, or arrays of more than one dimension.

    Args:
        answer: An array, a list with one value, list or dict for each row, columns by name, or a frame of pandas,
            polars or Arrow.
        rows: How many rows were asked.

    Raises:
        InvalidInput: It is something else, or has another length.

    Example:
        >>> answer_columns([0.5, 0.25], rows=2)
        {'prediction': [0.5, 0.25]}
        >>> answer_columns([{"p": 1, "q": "x"}], rows=1)
        {'p': [1], 'q': ['x']}
    """
    named = _named(answer)
    if named is not None:
        columns = {str(name): _values(values) for name, values in named.items()}
    else:
        columns = _unnamed(_values(answer), answer)
    if not columns:
        raise InvalidInput("the model's answer has no columns", why=f"it is an empty {type(answer).__name__}")
    if len(columns) > _MOST_COLUMNS:
        raise InvalidInput(f"the model's answer has {len(columns)} columns", why=f"at most {_MOST_COLUMNS} are taken")
    for name, values in columns.items():
        if len(values) != rows:
            raise InvalidInput(
                f"the model's answer '{name}' has {len(values)} values for {rows} rows",
                why="a model answers every row it is asked, in their order",
                fix="return one value for each row; to be asked row by row, name the parameter `row`",
            )
    return columns


def _named(answer: Any) -> Mapping[str, Any] | None:
    """Return the columns of an answer that has names for them."""
    if isinstance(answer, Mapping):
        return answer
    if hasattr(answer, "column_names") and hasattr(answer, "column"):  # Arrow
        return {name: answer.column(name).to_pylist() for name in answer.column_names}
    if hasattr(answer, "columns") and hasattr(answer, "__getitem__") and not callable(answer.columns):  # pandas, polars
        return {name: answer[name] for name in answer.columns}
    if isinstance(answer, (list, tuple)) and answer and all(isinstance(row, Mapping) for row in answer):
        names = list(dict.fromkeys(name for row in answer for name in row))
        return {name: [row.get(name) for row in answer] for name in names}
    return None


def _values(values: Any) -> Any:
    """Return a column as a list of plain values; an array of several dimensions as it is."""
    if getattr(values, "ndim", 1) > 1:
        return values
    for method in ("to_pylist", "tolist", "to_list"):
        if hasattr(values, method):
            values = getattr(values, method)()
            break
    if isinstance(values, (str, bytes)) or not isinstance(values, (list, tuple)):
        raise InvalidInput(
            f"the model answers with a {type(values).__name__}",
            why="expected an array, a list with one value for each row, columns by name, or a frame",
            fix="return one value for each row; to be asked row by row, name the parameter `row`",
        )
    return [value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value for value in values]


def _unnamed(values: Any, answer: Any) -> dict[str, Any]:
    """Name the columns of a matrix, or the only one of a list."""
    if getattr(values, "ndim", 1) == 2:
        width = values.shape[1]
        if width == 1:
            return {PREDICTION: values[:, 0].tolist()}
        if width <= _MOST_COLUMNS:
            return {f"{PREDICTION}_{at}": values[:, at].tolist() for at in range(width)}
    if isinstance(values, list) and values and all(isinstance(row, (list, tuple)) for row in values):
        widths = {len(row) for row in values}
        if len(widths) > 1:
            raise InvalidInput(
                "the model's answer has rows of different lengths",
                why=f"one has {min(widths)} values, another {max(widths)}",
                fix="return the same number of values for every row",
            )
        columns = list(zip(*values, strict=True))
        if len(columns) == 1:
            return {PREDICTION: list(columns[0])}
        return {f"{PREDICTION}_{at}": list(column) for at, column in enumerate(columns)}
    return {PREDICTION: values}


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the parts of one row's answer together: texts one after the other, of anything else the last counts.

    Example:
        >>> joined([{"text": "on "}, {"text": "time", "tokens": 2}])
        {'text': 'on time', 'tokens': 2}
    """
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            before = whole.get(name)
            whole[name] = before + value if isinstance(before, str) and isinstance(value, str) else value
    return whole
