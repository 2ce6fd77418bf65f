"""Describe columns and signatures: the types that data, features, models and requests share."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnType = Literal["boolean", "long", "double", "string", "datetime", "binary"]
"""The logical types, as in MLflow signatures (`long` = int64, `double` = float64)."""


class Column(msgspec.Struct, frozen=True):
    """One named column.

    Args:
        name: Its name, unique in its table.
        type: Its logical type.
        nullable: Whether a value may be missing.
        unit: The physical unit, where there is one (`min`, `mph`).
    """

    name: str
    type: ColumnType
    nullable: bool = True
    unit: str | None = None


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
