"""Take the tensors of a prediction apart into rows, put them together again, and say what of them is logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from interlock.core.errors import InterlockError
from interlock.core.hashing import digest_of
from interlock.core.schema import Column, Signature
from interlock.ports.prediction_log import Prediction
from interlock.serving.tensor_check import is_whole
from interlock.serving.tensor_data import DTYPES, Array, write_raw

MOST_LOGGED_VALUES = 1_024
"""A row's part of a tensor is logged as it is if it has no more elements; else as its shape and digest."""
MOST_LOGGED_BYTES = 16_384


def some_rows(columns: Sequence[Array], places: Sequence[int]) -> list[Array]:
    """Return some of the rows of tensors."""
    wanted = list(places)
    return [values[wanted] for values in columns]


def all_rows(parts: Sequence[Array]) -> Array:
    """Return the rows of several tensors as one.

    Raises:
        ValueError: They differ in another dimension than the rows: such requests cannot be answered together.
    """
    import numpy as np

    return np.concatenate(parts)


def rows_of(
    signature: Signature, inputs: Sequence[Array], outputs: Mapping[str, Any], *, rows: int
) -> tuple[Iterable[tuple[Any, ...]], Iterable[tuple[Any, ...]]]:
    """Return for each row its part of the inputs as it is logged, and of the outputs in the order of the signature.

    Raises:
        InterlockError: The model gave another number of rows.
    """
    given = [_given(column, outputs[column.name]) for column in signature.outputs]
    if is_whole(signature):
        return [tuple(map(plain, inputs))], [tuple(given)]
    for column, values in zip(signature.outputs, given, strict=True):
        if len(values) != rows:
            raise InterlockError(
                f"the model gave {len(values)} rows of '{column.name}'", why=f"it was asked for {rows}"
            )
    return zip(*map(_plain_rows, inputs), strict=True), zip(*given, strict=True)


def _given(column: Column, values: Any) -> Any:
    import numpy as np

    array = np.asarray(values)
    if column.shape is None:
        return array.tolist()
    wanted = DTYPES[column.datatype]
    return array if array.dtype == wanted else array.astype(wanted)


def output_array(column: Column, rows: Sequence[Any], *, whole: bool) -> Array:
    """Return what was answered row by row as one array of the datatype that the signature announces."""
    import numpy as np

    dtype = DTYPES[column.datatype]
    if whole:
        return np.asarray(rows[0], dtype)
    if column.datatype != "BYTES":
        return np.asarray(rows, dtype) if not isinstance(rows[0], np.ndarray) else np.stack(rows)
    first = np.asarray(rows[0], object)
    array = np.empty((len(rows), *first.shape), object)
    for place, row in enumerate(rows):
        array[place] = row
    return array


def logged(rows: Sequence[Prediction]) -> list[Prediction]:
    """Return predictions whose outputs are parts of tensors in the plain form in which they are kept."""
    return [
        msgspec.structs.replace(row, outputs={name: plain(value) for name, value in row.outputs.items()})
        for row in rows
    ]


def _plain_rows(values: Array) -> list[Any]:
    """Return the rows of a tensor as they are logged; of many small rows at once."""
    import numpy as np

    is_small = values.dtype.kind != "O" and values.size <= MOST_LOGGED_VALUES * len(values)
    if is_small and (values.dtype.kind != "f" or np.isfinite(values).all()):
        rows: list[Any] = values.tolist()
        return rows
    return [plain(row) for row in values]


def plain(value: Any) -> Any:
    """Return a row's part of a tensor as nested lists, or where it is large as its shape and digest.

    What JSON has no word for is not kept: NaN and infinities become None, bytes that are no text their digest.

    Example:
        >>> plain(np.array([[1.5, np.nan]]))
        [[1.5, None]]
    """
    import numpy as np

    if isinstance(value, bytes):
        return _texts(value)
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    if value.dtype.kind == "O":
        flat = cast("Array", value).ravel().tolist()
        if len(flat) > MOST_LOGGED_VALUES or sum(map(len, flat)) > MOST_LOGGED_BYTES:
            return _digest("BYTES", cast("Array", value))
        return _nested([_texts(one) for one in flat], value.shape)
    if value.size > MOST_LOGGED_VALUES:
        name = next(name for name, dtype in DTYPES.items() if dtype == value.dtype and name != "BF16")
        return _digest(name, cast("Array", value))
    if value.dtype.kind == "f" and not (finite := np.isfinite(value)).all():
        held = np.array(value, object)
        held[~finite] = None
        return held.tolist()
    return value.tolist()


def _nested(flat: list[Any], shape: Sequence[int]) -> Any:
    import numpy as np

    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(shape).tolist()


def _texts(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"bytes": len(value), "digest": digest_of(value)}


def _digest(datatype: str, value: Array) -> dict[str, Any]:
    return {"datatype": datatype, "shape": list(value.shape), "digest": digest_of(write_raw(datatype, value))}
