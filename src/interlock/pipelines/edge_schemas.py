"""Hold tables of any library against Arrow schemas, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interlock.core.errors import did_you_mean
from interlock.core.loaded import is_arrow

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLED_ROWS = 1000


def schema_problem(schema: pa.Schema, value: Any) -> str:
    """Say which column of a table is missing, of another type, or empty where it must not be; empty if none.

    Further columns, and the order of columns, do not count; neither does whether texts and lists are of the large kind.
    """
    found = table_schema(value)
    if found is None:
        return f"expected a table, got {type(value).__qualname__}"
    problem = _difference(schema, found)
    if problem:
        return problem
    for field in schema:
        if not field.nullable and (nulls := _nulls(value, field.name)):
            return f"column '{field.name}' must not be empty, and is in {nulls} rows"
    return ""


def schemas_clash(source: pa.Schema, target: pa.Schema) -> str:
    """Say which column that one step expects is not among those that another announces."""
    return _difference(target, source)


def table_schema(value: Any) -> pa.Schema | None:
    """Return the Arrow schema of a table of any library, or None for anything else.

    Columns of Python objects are judged by their first rows.
    """
    if is_arrow(value, "Table", "RecordBatch"):
        return value.schema
    import narwhals.stable.v2 as nw

    frame = nw.from_native(value, eager_only=True, pass_through=True)
    return frame.head(_SAMPLED_ROWS).to_arrow().schema if isinstance(frame, nw.DataFrame) else None


def _difference(expected: pa.Schema, found: pa.Schema) -> str:
    for field in expected:
        place = found.get_field_index(field.name)
        if place < 0:
            return f"column '{field.name}' ({field.type}) is missing: {did_you_mean(field.name, found.names)}"
        if not _same(field.type, found.field(place).type):
            return f"column '{field.name}': expected {field.type}, got {found.field(place).type}"
    return ""


def _same(expected: pa.DataType, found: pa.DataType) -> bool:
    import pyarrow as pa

    if expected.equals(found):
        return True
    if pa.types.is_dictionary(found):
        return _same(expected, found.value_type)
    for alike in (_is_text, _is_binary):
        if alike(expected):
            return alike(found)
    if _is_list(expected) and _is_list(found):
        return _same(expected.value_type, found.value_type)
    return False


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _nulls(value: Any, column: str) -> int:
    if is_arrow(value, "Table", "RecordBatch"):
        return int(value.column(column).null_count)
    import narwhals.stable.v2 as nw

    return int(nw.from_native(value, eager_only=True)[column].null_count())
