"""Read an example of tensors, and describe each as a column of a signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.errors import InvalidInput
from interlock.core.schema import Column, ColumnType

INPUT = "input"
"""Name of the only tensor where nobody names it."""

_KINDS: Mapping[str, ColumnType] = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
_LETTERS = {"i": "INT", "u": "UINT", "f": "FP"}


def datatype_of(values: Any) -> str:
    """Return the Open Inference datatype of an array.

    Raises:
        InvalidInput: It has none (complex numbers, dates).
    """
    kind = values.dtype.kind
    if kind == "b":
        return "BOOL"
    if kind in "OUST":
        return "BYTES"
    if kind in _LETTERS and values.dtype.itemsize <= 8:
        return f"{_LETTERS[kind]}{8 * values.dtype.itemsize}"
    raise InvalidInput(
        f"an array of {values.dtype} cannot be sent",
        why="the Open Inference Protocol has truth values, whole numbers, floats of 16 to 64 bits, and bytes",
        fix="convert it, as in array.astype('float32')",
    )


def tensor_column(name: str, values: Any, *, shape: Sequence[int] | None = None) -> Column:
    """Return the column of a tensor, whose first dimension is the rows.

    Args:
        name: Its name.
        values: An array of it.
        shape: Its shape where some dimensions may have other lengths (-1) than in the array.
    """
    full = tuple(shape) if shape is not None else (-1, *values.shape[1:])
    return Column(name, _KINDS.get(values.dtype.kind, "string"), False, shape=full, datatype=datatype_of(values))


def tensors_of(example: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return an example as NumPy arrays by name: an array or tensor, several of them, or a mapping.

    Args:
        example: NumPy arrays, or tensors of a library that can become such.
        names: What the model calls its inputs, in order.

    Raises:
        InvalidInput: There is no example, it is none of these, or the arrays have different numbers of rows.
    """
    if example is None:
        raise InvalidInput(
            "there is no example",
            why="the shapes and types are read from it",
            fix="example=batch, as the model takes it",
        )
    if isinstance(example, Mapping):
        arrays = {str(name): _array(values) for name, values in example.items()}
    else:
        several = example if isinstance(example, (tuple, list)) and hasattr(example[0], "shape") else [example]
        known = [*names, *(f"{INPUT}_{at}" if len(several) > 1 else INPUT for at in range(len(names), len(several)))]
        arrays = {name: _array(values) for name, values in zip(known, several, strict=False)}
    sizes = {name: len(values) if values.ndim else 0 for name, values in arrays.items()}
    if not sizes or len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise InvalidInput(
            "the tensors of the example do not have the same number of rows",
            why=", ".join(f"{name}: {size}" for name, size in sizes.items()) or "there are none",
            fix="the first dimension of each is the rows",
        )
    return arrays


def _array(values: Any) -> Any:
    """Return a tensor of any library as an array."""
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu()
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = np.asarray(values)
    datatype_of(array)
    return array
