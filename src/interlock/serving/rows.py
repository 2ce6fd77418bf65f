"""Read rows of any form into columns, and write answers in the form that the rows had."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from interlock.core.errors import InvalidInput
from interlock.core.loaded import is_array
from interlock.serving.wire import Outputs, WireColumn

if TYPE_CHECKING:
    import numpy as np

PREDICTION_ID = "prediction_id"
"""What stands beside the outputs of every answer: feedback names predictions by it."""

_SCALARS = (str, bytes, int, float, bool, type(None), datetime, date)


class Rows(NamedTuple):
    """Rows to ask about.

    Args:
        columns: Equally long sequences or arrays by name.
        length: How many rows there are.
        answer: Turns what was answered into the form that the rows had.
    """

    columns: dict[str, Any]
    length: int
    answer: Callable[[Outputs], Any]


def read_rows(rows: Any, wire: Sequence[WireColumn]) -> Rows:
    """Take rows in any form.

    A frame (of pandas, polars or another library that narwhals knows) or an Arrow table is answered with one of its
    kind; a list of records, or of plain rows in the order of the signature, with a list of records; columns by name
    with columns by name; one record with one; a matrix with arrays by name. Columns of a frame that the endpoint does
    not take are left out.

    Raises:
        InvalidInput: The rows have no form that is known.
    """
    if isinstance(rows, Mapping):
        return _of_mapping(rows, wire)
    if is_array(rows):
        return _of_array(rows, wire)
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
        return _of_list(rows, wire)
    return _of_frame(rows, wire)


def _is_one(value: Any) -> bool:
    """Say whether something is a single value, NumPy's kinds of them included."""
    return isinstance(value, _SCALARS) or getattr(value, "ndim", None) == 0


def _of_mapping(rows: Mapping[str, Any], wire: Sequence[WireColumn]) -> Rows:
    columns = {str(name): values for name, values in rows.items()}
    if columns and all(_is_one(value) for value in columns.values()):
        return Rows({name: [value] for name, value in columns.items()}, 1, lambda found: _records(found)[0])
    lengths = {name: len(values) for name, values in columns.items() if not _is_one(values)}
    if len(lengths) < len(columns) or len(set(lengths.values())) > 1:
        raise InvalidInput(
            "the columns are not equally long",
            why=", ".join(f"'{name}' has {lengths.get(name, 'one value')}" for name in list(columns)[:6]),
            fix="one value per row in every column, or a single value in all of them for one row",
        )
    return Rows(columns, next(iter(lengths.values()), 0), _columns)


def _of_list(rows: Sequence[Any], wire: Sequence[WireColumn]) -> Rows:
    if all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return Rows({name: [row.get(name) for row in rows] for name in names}, len(rows), _records)
    names = [column.name for column in wire]
    if any(_is_one(row) or isinstance(row, Mapping) or len(row) != len(names) for row in rows):
        raise InvalidInput(
            "the rows cannot be read",
            why=f"expected records, or rows of {len(names)} values in the order of the signature",
            fix=f"predict([{{'{names[0]}': …}}])" if names else "",
        )
    return Rows({name: [row[at] for row in rows] for at, name in enumerate(names)}, len(rows), _records)


def _of_array(rows: np.ndarray[Any, Any], wire: Sequence[WireColumn]) -> Rows:
    if len(wire) == 1 and wire[0].is_tensor:
        return Rows({wire[0].name: rows}, len(rows), _arrays)
    import numpy as np

    matrix = np.atleast_2d(rows) if rows.ndim < 2 and len(wire) != 1 else rows.reshape(len(rows), -1)
    if matrix.shape[1] != len(wire):
        raise InvalidInput(
            f"the matrix has {matrix.shape[1]} columns", why=f"the endpoint takes {len(wire)}, in their order"
        )
    return Rows({column.name: matrix[:, at] for at, column in enumerate(wire)}, len(matrix), _arrays)


def _of_frame(rows: Any, wire: Sequence[WireColumn]) -> Rows:
    # one row of a frame is a Series in pandas: a record
    if hasattr(rows, "to_dict") and not hasattr(rows, "columns"):
        return _of_mapping(rows.to_dict(), wire)
    import narwhals.stable.v2 as nw

    try:
        frame = nw.from_native(rows, eager_only=True)
    except TypeError as error:
        raise InvalidInput(
            f"rows of type {type(rows).__name__} cannot be read",
            why="expected a frame, an Arrow table, records, columns by name, or a matrix",
            fix="predict(frame), or predict([{'column': value}])",
        ) from error
    table = frame.to_arrow()
    names = {column.name for column in wire}
    columns = {name: _values(table.column(name)) for name in table.column_names if name in names}

    def answer(found: Outputs) -> Any:
        data = {name: list(values) for name, values in _columns(found).items()}
        made = nw.from_dict(data, backend=frame.implementation).to_native()
        pandas = sys.modules.get("pandas")
        if pandas is not None and isinstance(rows, pandas.DataFrame):
            made.index = rows.index
        return made

    return Rows(columns, table.num_rows, answer)


def _values(column: Any) -> Any:
    """Return an Arrow column as an array where that is cheap, else as plain values."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and column.null_count == 0):
        return column.to_numpy()
    return column.to_pylist()


def _columns(found: Outputs) -> dict[str, list[Any]]:
    return {**found.values, PREDICTION_ID: found.ids}


def _arrays(found: Outputs) -> dict[str, np.ndarray[Any, Any]]:
    import numpy as np

    return {name: np.asarray(values) for name, values in _columns(found).items()}


def _records(found: Outputs) -> list[dict[str, Any]]:
    columns = _columns(found)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
