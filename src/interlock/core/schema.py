"""Describe columns and signatures: the types that data, features, models and requests share."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnType = Literal["boolean", "long", "double", "string", "datetime", "binary"]
"""The logical types, as in MLflow signatures (`long` = int64, `double` = float64)."""


class Column(msgspec.Struct, frozen=True):
    """One named column, or one named tensor.

    Args:
        name: Its name, unique in its table.
        type: Its logical type.
        nullable: Whether a value may be missing.
        unit: The physical unit, where there is one (`min`, `mph`).
        shape: Of a tensor, its shape with the rows as first dimension; -1 is any length. A first dimension that is
            fixed means that a request is one row. None where each row has one plain value.
        datatype: Of a tensor, its exact Open Inference datatype (`FP32`, `UINT8`, `BYTES`).
    """

    name: str
    type: ColumnType
    nullable: bool = True
    unit: str | None = None
    shape: tuple[int, ...] | None = None
    datatype: str = ""


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and gives, column by column.

    Example:
        >>> Signature((Column("x", "double"),), (Column("p", "double"),)).input_names
        ('x',)
    """

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the input columns, in order."""
        return tuple(column.name for column in self.inputs)

    @property
    def is_tensor(self) -> bool:
        """Whether the inputs are tensors."""
        return any(column.shape is not None for column in self.inputs)
