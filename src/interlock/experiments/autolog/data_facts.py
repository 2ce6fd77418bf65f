"""Describe the data that a model is trained on: its columns, a digest of all of it, and some rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.hashing import Hasher
from interlock.experiments.pictures import as_array
from interlock.experiments.tables import to_arrow
from interlock.ports.run_store import DatasetUse

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLE_ROWS = 5
_LARGEST_DIGESTED_BYTES = 1 << 30
_CHUNK_ROWS = 65_536


class Field(msgspec.Struct, frozen=True):
    """One column: its name, and its type in MLflow's words."""

    name: str
    type: str
    required: bool = True


class DataFacts(msgspec.Struct, frozen=True):
    """What is known of training data.

    Args:
        rows: How many there are.
        columns: Its columns, where they have names.
        shape: Shape of one row and type of a value, where they have none.
        target: How many values each row is to be answered with; 0 where there is none.
        digest: Of all values of rows and target; empty where there are too many, or it was not asked for.
        example: The first rows, as plain values.
    """

    rows: int
    columns: tuple[Field, ...] = ()
    shape: tuple[tuple[int, ...], str] | None = None
    target: int = 0
    digest: str = ""
    example: tuple[Any, ...] = ()

    def use(self, name: str, *, context: str) -> DatasetUse:
        """Return it as a dataset that a run read."""
        schema: Any = {"columns": self.columns} if self.columns else {"shape": self.shape}
        profile = {"rows": self.rows, "targets": self.target}
        return DatasetUse(
            name=name,
            digest=self.digest[3:35] if self.digest else f"rows-{self.rows}",
            context=context,
            source_type="memory",
            source="{}",
            schema=msgspec.json.encode(schema).decode(),
            profile=msgspec.json.encode(profile).decode(),
        )

    def signature_inputs(self) -> str:
        """Return what a model takes, in the form of an MLmodel file."""
        if self.columns:
            return msgspec.json.encode(
                [{"type": one.type, "name": one.name, "required": one.required} for one in self.columns]
            ).decode()
        shape, kind = self.shape or ((), "float64")
        return msgspec.json.encode([tensor(kind, (-1, *shape))]).decode()

    def example_json(self) -> tuple[bytes, str]:
        """Return the first rows as JSON, and in which form they are."""
        if self.columns:
            split = {"columns": [one.name for one in self.columns], "data": self.example}
            return msgspec.json.encode(split, enc_hook=str), "dataframe"
        return msgspec.json.encode({"inputs": self.example}, enc_hook=str), "ndarray"


def tensor(kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return an array's description as an MLmodel file has it."""
    return {"type": "tensor", "tensor-spec": {"dtype": kind, "shape": list(shape)}}


def facts_of(rows: Any, target: Any = None, *, digest: bool = True) -> DataFacts | None:
    """Describe rows and what they are to be answered with; None for what is neither an array nor a table.

    Cost: reads everything once if a digest is wanted, at about 1 GB/s; more than 1 GiB gets no digest.
    """
    import numpy as np

    if hasattr(rows, "indptr") and hasattr(rows, "indices"):
        parts = [rows.data, rows.indices, rows.indptr, np.asarray(rows.shape)]
        found = DataFacts(rows=rows.shape[0], shape=((int(rows.shape[1]),), str(rows.dtype)))
        head = rows[:EXAMPLE_ROWS].toarray()
        chunks = [part for array in parts for part in _array_chunks(np.asarray(array))]
        found = msgspec.structs.replace(found, example=tuple(_plain_rows(head)))
        size = sum(int(np.asarray(part).nbytes) for part in parts)
        return _with_digest(found, iter(chunks), size, target, digest=digest)
    array = None if hasattr(rows, "columns") else as_array(rows)
    if array is None and isinstance(rows, list) and rows and not isinstance(rows[0], dict):
        array = np.asarray(rows)
    if array is not None:
        if array.ndim == 0 or not len(array):
            return None
        found = DataFacts(
            rows=len(array),
            shape=(tuple(int(side) for side in array.shape[1:]), _type_of(array)),
            example=tuple(_plain_rows(array[:EXAMPLE_ROWS])),
        )
        return _with_digest(found, _array_chunks(array), int(array.nbytes), target, digest=digest)
    if not (hasattr(rows, "columns") or hasattr(rows, "column_names") or (isinstance(rows, (dict, list)) and rows)):
        return None
    table = to_arrow(rows)
    if not table.num_rows:
        return None
    example = table.slice(0, EXAMPLE_ROWS).to_pylist()
    found = DataFacts(
        rows=table.num_rows,
        columns=tuple(_fields(table)),
        example=tuple([_plain(value) for value in row.values()] for row in example),
    )
    return _with_digest(found, _table_chunks(table), table.nbytes, target, digest=digest)


def _with_digest(found: DataFacts, chunks: Iterator[bytes], size: int, target: Any, *, digest: bool) -> DataFacts:
    import numpy as np

    answers = None if target is None else np.asarray(target)
    wide = 0 if answers is None else int(answers[0].size) if answers.ndim and len(answers) else 1
    found = msgspec.structs.replace(found, target=wide)
    if not digest or size > _LARGEST_DIGESTED_BYTES:
        return found

    hasher = Hasher()
    for chunk in itertools.chain(chunks, () if answers is None else _array_chunks(answers)):
        hasher.update(chunk)
    return msgspec.structs.replace(found, digest=hasher.digest())


def _array_chunks(array: Any) -> Iterator[bytes]:
    """Yield type, shape and values; equal arrays yield equal bytes, however they lie in memory."""
    import numpy as np

    yield f"{_type_of(array)}{tuple(array.shape)}".encode()
    for start in range(0, len(array) if array.ndim else 0, _CHUNK_ROWS):
        part = array[start : start + _CHUNK_ROWS]
        if part.dtype == object:
            yield repr(part.tolist()).encode("utf-8", "surrogatepass")
        else:
            yield np.ascontiguousarray(part).tobytes()


def _table_chunks(table: pa.Table) -> Iterator[bytes]:
    """Yield the schema, and the columns as an Arrow stream, cut at the same rows whatever chunks they came in."""
    import pyarrow as pa

    plain = table.replace_schema_metadata(None).combine_chunks()
    for batch in plain.to_batches(max_chunksize=_CHUNK_ROWS):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield sink.getvalue().to_pybytes()


def _type_of(array: Any) -> str:
    return "str" if array.dtype.kind in "USO" else str(array.dtype)


def _fields(table: pa.Table) -> Iterator[Field]:
    import pyarrow as pa

    is_ = pa.types
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if is_.is_dictionary(column.type) else column.type
        if is_.is_boolean(kind):
            words = "boolean"
        elif is_.is_integer(kind):
            words = "long"
        elif is_.is_floating(kind) or is_.is_decimal(kind):
            words = "double"
        elif is_.is_temporal(kind):
            words = "datetime"
        elif is_.is_binary(kind) or is_.is_large_binary(kind):
            words = "binary"
        else:
            words = "string"
        yield Field(str(name), words, required=column.null_count == 0)


def _plain_rows(array: Any) -> list[Any]:
    return [_plain(row) for row in array.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
