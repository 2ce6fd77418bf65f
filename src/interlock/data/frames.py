"""Take in tables of any library and bring them to one form: Arrow, with one physical type per logical type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column, ColumnType

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "boolean": pa.bool_(),
    "long": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
}
"""The one Arrow type in which each logical type is kept."""


def to_arrow(frame: Any) -> pa.Table:
    """Return a table as Arrow in the kept types, with NaN as null and no metadata.

    Narrower numbers are widened, dates become midnight UTC, categories become strings; nothing is rounded. The
    index of a pandas frame is no column.

    Args:
        frame: A pyarrow table or record batch, a pandas or polars frame, or a mapping of columns.

    Raises:
        InvalidInput: It is no table, has no columns, has two columns of one name, or columns of different length.
        SchemaMismatch: A column has a type that is not kept, or holds times without a zone.
    """
    table = _as_table(frame)
    if table.num_columns == 0:
        raise InvalidInput("the table has no columns", why="a dataset has at least one column")
    names = table.column_names
    for name in names:
        if not name or names.count(name) > 1:
            raise InvalidInput(
                f"the column name '{name}' is " + ("there twice" if name else "empty"),
                why="every column of a dataset has a name of its own",
                fix="rename the columns first",
            )
    columns = [_kept(name, table.column(name)) for name in names]
    return pa.table(
        columns, schema=pa.schema([(name, column.type) for name, column in zip(names, columns, strict=True)])
    )


def columns_of(table: pa.Table) -> tuple[Column, ...]:
    """Return the logical schema of a table as `to_arrow` gives it."""
    return tuple(Column(field.name, column_type(field.name, field.type)) for field in table.schema)


def empty_table(columns: tuple[Column, ...]) -> pa.Table:
    """Return a table of that schema with no rows."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns]).empty_table()


def column_type(name: str, kind: pa.DataType) -> ColumnType:
    """Return the logical type in which an Arrow column is kept.

    Raises:
        SchemaMismatch: There is none, or the column holds times without a zone.
    """
    is_ = pa.types
    if is_.is_dictionary(kind):
        return column_type(name, kind.value_type)
    if is_.is_timestamp(kind) and kind.tz is None:
        raise SchemaMismatch(
            f"the column '{name}' holds times without a time zone",
            why=f"expected times in UTC, got {kind}",
            fix=f'frame["{name}"] = frame["{name}"].dt.tz_localize("UTC")',
        )
    kinds: tuple[tuple[ColumnType, bool], ...] = (
        ("boolean", is_.is_boolean(kind)),
        ("long", is_.is_integer(kind)),
        ("double", is_.is_floating(kind)),
        ("string", is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind)),
        ("datetime", is_.is_timestamp(kind) or is_.is_date(kind)),
        ("binary", is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind)),
    )
    for logical, holds in kinds:
        if holds:
            return logical
    raise SchemaMismatch(
        f"the column '{name}' has the type {kind}",
        why="expected one of " + ", ".join(ARROW_TYPES) + (": it holds no value at all" if is_.is_null(kind) else ""),
        fix=f"cast '{name}' to one of these first, or leave it out",
    )


def _as_table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    try:
        if isinstance(frame, Mapping):
            return pa.table({str(name): pa.chunked_array([_array(name, values)]) for name, values in frame.items()})
        if nw.dependencies.is_pandas_dataframe(frame):
            return pa.Table.from_pandas(frame, preserve_index=False)
        return nw.from_native(frame, eager_only=True).to_arrow()
    except TypeError as error:
        raise InvalidInput(
            f"a {type(frame).__name__} is not a table",
            why="expected a pyarrow table, a pandas or polars frame, or a dict of lists",
            fix='{"column": [1, 2, 3]}',
        ) from error
    except pa.ArrowInvalid as error:
        raise InvalidInput("the table cannot be read", why=str(error)) from error


def _array(name: Any, values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaMismatch(f"the column '{name}' mixes types", why=str(error), fix="give it one type") from error


def _kept(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    wanted = ARROW_TYPES[column_type(name, column.type)]
    try:
        kept = column if column.type == wanted else column.cast(wanted)
    except pa.ArrowInvalid as error:
        raise InvalidInput(
            f"the column '{name}' does not fit into {wanted}", why=str(error), fix=f"round or cast '{name}' first"
        ) from error
    if wanted == pa.float64():
        missing = pc.is_nan(kept)
        if pc.any(missing).as_py():
            kept = pc.if_else(missing, pa.scalar(None, pa.float64()), kept)
    return kept
