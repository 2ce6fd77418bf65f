"""Read rows in formats other than JSON objects: CSV, lines of JSON, NumPy arrays, Parquet.

Sizes are compared before anything is allocated, and nothing that is read can run code: object arrays are refused.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.core.schema import Column
from interlock.server.contracts.rows import read_loose, read_matrix, read_records, read_split
from interlock.serving.validation import MAX_ROWS, RowCheck, Table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MOST_BYTES = 64 * 1024 * 1024
"""How much a compressed table may come to."""
_LONGEST_HEAD = 10_000
_NPY = b"\x93NUMPY"

Reader = Callable[[bytes, RowCheck], Table]


def read_csv(body: bytes, check: RowCheck) -> Table:
    """Read CSV whose first line names the columns, or that has no such line and has the columns in order.

    Raises:
        InvalidInput: It is no CSV.
        SchemaMismatch: The rows do not fit the signature.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("the CSV cannot be read", why=str(error)) from error
    if not lines:
        raise InvalidInput("the CSV is empty", why="expected a line of column names and lines of values")
    if check.signature.is_tensor:
        return read_matrix([[_number(text) for text in line] for line in lines], check)
    if _has_no_head(lines[0], check.signature.inputs):
        names, data = list(check.signature.input_names), lines
    else:
        names, data = lines[0], lines[1:]
    columns = {column.name: column for column in check.signature.inputs}
    found = [columns.get(name) for name in names]
    readers = [str if column is None else _READERS[column.type] for column in found]
    rows = [
        [_read_cell(text, reader, column) for text, reader, column in zip(line, readers, found, strict=False)]
        + line[len(names) :]
        for line in data
    ]
    return read_split(names, rows, check)


def _has_no_head(line: list[str], columns: tuple[Column, ...]) -> bool:
    """Say whether a first line is one of values: none names a column, and all read as their columns' types."""
    if len(line) != len(columns) or any(column.name in line for column in columns):
        return False
    typed = [(text, column) for text, column in zip(line, columns, strict=True) if column.type != "string"]
    return bool(typed) and all(
        text == "" or not isinstance(_read_cell(text, _READERS[column.type], column), str) for text, column in typed
    )


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _read_boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_READERS: dict[str, Callable[[str], Any]] = {
    "double": float,
    "long": int,
    "boolean": _read_boolean,
    "string": str,
    "datetime": str,
    "binary": str,
}


def _read_cell(text: str, reader: Callable[[str], Any], column: Column | None) -> Any:
    """Return a cell as its column's type; an empty one is missing, one that does not fit stays text."""
    if column is None or text == "":
        return None
    try:
        return reader(text)
    except (ValueError, KeyError):
        return text


def read_json_lines(body: bytes, check: RowCheck) -> Table:
    """Read a row per line: an object, a list, or an object with the list as `features`.

    Raises:
        InvalidInput: A line is no JSON.
        SchemaMismatch: The rows do not fit the signature.
    """
    try:
        rows = msgspec.json.Decoder().decode_lines(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the lines of JSON cannot be read", why=str(error)) from error
    if rows and all(isinstance(row, dict) and row.keys() == {"features"} for row in rows):
        if "features" not in check.signature.input_names:
            rows = [row["features"] for row in rows]
        return read_loose(rows, check)
    return read_loose(rows, check)


def read_npy(body: bytes, check: RowCheck) -> Table:
    """Read an array as `numpy.save` writes it: a matrix of rows, a vector of one column, or records.

    Raises:
        InvalidInput: It is no such array, holds Python objects, or its head lies about its size.
        SchemaMismatch: The rows do not fit the signature.
    """
    array = _npy_array(body)
    if array.dtype.names:
        return read_records([dict(zip(array.dtype.names, row, strict=True)) for row in array.tolist()], check)
    if array.ndim == 1 and len(check.signature.inputs) > 1:
        array = array[None]
    return read_loose(array.tolist(), check)


def _npy_array(body: bytes) -> np.ndarray[Any, Any]:
    import numpy as np

    file = io.BytesIO(body)
    try:
        if not body.startswith(_NPY):
            raise ValueError("it does not begin as numpy.save writes it")
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file, max_header_size=_LONGEST_HEAD)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are never loaded")
        rest = len(body) - file.tell()
        if not shape or math.prod(shape) * dtype.itemsize != rest or not dtype.itemsize:
            raise ValueError(f"its head announces {shape} of {dtype}, and {rest} bytes follow")
        return np.frombuffer(body, dtype, offset=file.tell()).reshape(shape, order="F" if is_fortran else "C")
    except (ValueError, TypeError, SyntaxError, TokenError, OverflowError, EOFError) as error:
        raise InvalidInput("the array cannot be read", why=str(error)[:300]) from error


def read_parquet(body: bytes, check: RowCheck) -> Table:
    """Read a Parquet table; columns beyond the signature are not read.

    Raises:
        InvalidInput: It is no Parquet.
        LimitExceeded: It has too many rows, or comes to too many bytes.
        SchemaMismatch: The rows do not fit the signature.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = check.signature.input_names
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        about = file.metadata
        size = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
        if about.num_rows > MAX_ROWS:
            raise LimitExceeded(f"the table has {about.num_rows} rows", why=f"at most {MAX_ROWS} fit in one request")
        if size > MOST_BYTES:
            raise LimitExceeded(f"the table comes to {size} bytes", why=f"the limit is {MOST_BYTES}")
        known = [name for name in file.schema_arrow.names if name in names]
        # texts that repeat stay in their dictionary: a small file cannot grow to gigabytes
        texts = [name for name in known if pa.types.is_string(file.schema_arrow.field(name).type)]
        table = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts).read(columns=known)
        columns = {name: _plain(table.column(name)) for name in known}
    except (pa.ArrowException, OSError, ValueError, OverflowError, UnicodeDecodeError) as error:
        if isinstance(error, LimitExceeded):
            raise
        raise InvalidInput("the Parquet table cannot be read", why=str(error)[:300]) from error
    return read_loose(columns or {name: [] for name in names[:1]}, check)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            values += chunk.to_pylist()
            continue
        words = chunk.dictionary.to_pylist()
        values += [None if place is None else words[place] for place in chunk.indices.to_pylist()]
        if sum(len(value) for value in values if isinstance(value, str)) > MOST_BYTES:
            raise LimitExceeded("the table comes to too many bytes", why=f"the limit is {MOST_BYTES}")
    return values


READERS: dict[str, Reader] = {
    "text/csv": read_csv,
    "application/jsonlines": read_json_lines,
    "application/jsonl": read_json_lines,
    "application/x-jsonlines": read_json_lines,
    "application/x-ndjson": read_json_lines,
    "application/x-npy": read_npy,
    "application/vnd.apache.parquet": read_parquet,
    "application/x-parquet": read_parquet,
    "application/parquet": read_parquet,
}
"""How each content type other than JSON is read."""
