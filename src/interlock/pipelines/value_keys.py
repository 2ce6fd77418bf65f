"""Give a value an id that depends on what it is and nothing else.

Two values share an id only if they have the same type, shape, names and content: `1`, `1.0`, `True` and `"1"`
differ, as do a list and a tuple, an int64 and a float64 array, or a table and the same table with a column renamed.
How a value happens to be laid out (chunks of a table, order of a dict, Fortran or C order) does not count.
"""

from __future__ import annotations

import copyreg
import dataclasses
import io
import struct
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from pickle import PickleError
from types import BuiltinFunctionType, FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from blake3 import blake3

from interlock.core.errors import InvalidInput
from interlock.core.loaded import is_array, is_arrow, loaded
from interlock.core.origins import is_wrapper

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_LITERAL_BYTES = 64
CODE_TYPES = (FunctionType, BuiltinFunctionType, type, ModuleType)
"""What has code rather than content."""
_TEXT_TYPES = (UUID, Decimal, Fraction, range, slice, PurePath)
_UNREADABLE = (TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError, PickleError)


class Known(NamedTuple):
    """Stands for a value whose id is known already, so that it need not be read."""

    id: str


class ValueReader:
    """Turns values into tokens; after reading, `weak` says whether any relied on how it pickles.

    Args:
        code: Names the code of a function, class or module.
    """

    def __init__(self, code: Callable[[Any], str]) -> None:
        self.weak = False
        self._code = code
        self._open: list[int] = []

    def digest(self, value: Any) -> str:
        """Return the id of a value: `b3:…`, or `weak:b3:…` where it relied on how an object pickles.

        Raises:
            InvalidInput: The value is, or holds, something without content, such as an open file or a generator.
        """
        self.weak = False
        try:
            token = self.token(value)
        except RecursionError as error:
            raise InvalidInput(
                f"a {type(value).__name__} is nested too deeply to be identified",
                why="its depth is beyond Python's recursion limit",
                fix="pass a flat value: a table, an array or a list",
            ) from error
        return ("weak:" if self.weak else "") + "b3:" + blake3(token).hexdigest()

    def token(self, value: Any) -> bytes:
        """Return bytes that stand for the value and say where they end."""
        kind = type(value)
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            return _pack(kind.__name__, scalar(value))
        if kind in (list, tuple):
            return _pack(kind.__name__, b"".join(self._each(value, value)))
        if kind is dict:
            return _pack("dict", b"".join(sorted(self._each(value, value.items()))))
        if kind in (set, frozenset):
            return _pack(kind.__name__, b"".join(sorted(self._each(value, value))))
        if kind is memoryview:
            return _pack("memoryview", self.token((value.format, value.shape)) + blake3(value.tobytes()).digest())
        if kind is MappingProxyType:
            return _pack("mappingproxy", self.token(dict(value)))
        if kind is Known:
            return _pack("known", value.id.encode())
        if isinstance(value, CODE_TYPES) or is_wrapper(value):
            return _pack("code", self._code(value).encode())
        return self._array(value) or self._frame(value) or self._record(value)

    def _each(self, owner: Any, items: Iterable[Any]) -> list[bytes]:
        if id(owner) in self._open:
            return [_pack("above", str(len(self._open) - self._open.index(id(owner))).encode())]
        self._open.append(id(owner))
        try:
            return [self.token(item) for item in items]
        finally:
            self._open.pop()

    def _array(self, value: Any) -> bytes | None:
        np = loaded("numpy")
        if np is None:
            return None
        if isinstance(value, np.generic):
            return _pack("scalar", self.token(_dtype(value.dtype)) + value.tobytes())
        if type(value) is not np.ndarray:
            return None
        head = self.token((_dtype(value.dtype), value.shape))
        if value.dtype.hasobject:
            return _pack("array", head + b"".join(self._each(value, value.ravel().tolist())))
        content = np.ascontiguousarray(value).reshape(-1).view(np.uint8) if value.size else np.empty(0, np.uint8)
        return _pack("array", head + blake3(content.data).digest())

    def _frame(self, value: Any) -> bytes | None:
        pa = loaded("pyarrow")
        if pa is not None and isinstance(value, pa.Table):
            return _pack("table", table_digest(value))
        if pa is not None and isinstance(value, pa.RecordBatch):
            return _pack("batch", table_digest(pa.Table.from_batches([value])))
        if pa is not None and isinstance(value, (pa.Array, pa.ChunkedArray)):
            return _pack("column", table_digest(pa.table({"": value})))
        pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
        if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
            return self._pandas(value)
        if polars is not None and isinstance(value, (polars.DataFrame, polars.Series)):
            frame = value if isinstance(value, polars.DataFrame) else value.to_frame()
            types = self.token([repr(dtype) for dtype in frame.dtypes])
            return _pack(f"polars.{type(value).__name__}", types + table_digest(frame.to_arrow()))
        if polars is not None and isinstance(value, polars.LazyFrame):
            raise InvalidInput(
                "a polars LazyFrame cannot be identified by its content",
                why="it is a query, and what it reads may change under it",
                fix="pass frame.collect(), or scan the file inside the step",
            )
        return None

    def _pandas(self, value: Any) -> bytes | None:
        import pyarrow as pa

        frame = value if value.ndim == 2 else value.to_frame()
        index = frame.index.to_frame(index=False)
        labels = (list(frame.columns), list(frame.columns.names), list(frame.index.names))
        types = [[str(dtype) for dtype in one.dtypes] for one in (frame, index)]
        head = self.token((labels, types, dict(value.attrs)))
        try:
            return _pack(f"pandas.{type(value).__name__}", head + self._columns(frame) + self._columns(index))
        except (pa.ArrowException, ValueError, TypeError):
            return None

    def _columns(self, frame: Any) -> bytes:
        """Read columns by Arrow, but columns of objects one by one: Arrow takes None and NaN, or 1 and 1.0, as one."""
        import pyarrow as pa

        places = [place for place, dtype in enumerate(frame.dtypes) if dtype.kind != "O" or dtype.name != "object"]
        plain = frame.iloc[:, places].set_axis([str(place) for place in places], axis=1)
        table = pa.Table.from_pandas(plain, preserve_index=False).replace_schema_metadata(None)
        others = [frame.iloc[:, place] for place in range(frame.shape[1]) if place not in places]
        return table_digest(table) + b"".join(self._objects(column) for column in others)

    def _objects(self, column: Any) -> bytes:
        import pyarrow as pa

        pandas = sys.modules["pandas"]
        values = column.to_numpy(dtype=object)
        missing = values[pandas.isna(column).to_numpy()]
        if pandas.api.types.infer_dtype(values, skipna=True) != "string":
            return _pack("objects", b"".join(self._each(column, values.tolist())))
        kinds = [type(one).__name__ for one in missing]
        texts = pa.array(values, pa.large_string(), from_pandas=True)
        return _pack(
            "texts", self.token(kinds[:1] if len(set(kinds)) == 1 else kinds) + table_digest(pa.table({"": texts}))
        )

    def _record(self, value: Any) -> bytes:
        kind = type(value)
        head = self.token(kind)
        if isinstance(value, Enum):
            return _pack("enum", head + self.token(value.name))
        if isinstance(value, _TEXT_TYPES):
            return _pack("text", head + repr(value).encode())
        if isinstance(value, msgspec.Struct):
            fields: Any = [(name, getattr(value, name)) for name in value.__struct_fields__]
            return _pack("struct", head + b"".join(self._each(value, fields)))
        if dataclasses.is_dataclass(value):
            names = {field.name for field in dataclasses.fields(value)} | set(getattr(value, "__dict__", ()))
            fields = [(name, getattr(value, name, None)) for name in sorted(names)]
            return _pack("dataclass", head + b"".join(self._each(value, fields)))
        if isinstance(value, tuple):
            return _pack("tuple", head + b"".join(self._each(value, value)))
        return _pack("object", head + b"".join(self._each(value, self._reduced(value))))

    def _reduced(self, value: Any) -> list[Any]:
        """Take an object apart the way pickle would: how to make it, then its state."""
        self.weak = True
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            parts = reduce(value) if reduce else value.__reduce_ex__(4)
            if isinstance(parts, str):
                return [parts]
            return [list(part) if place in (3, 4) and part is not None else part for place, part in enumerate(parts)]
        except _UNREADABLE as error:
            raise InvalidInput(
                f"a {type(value).__module__}.{type(value).__qualname__} cannot be identified by its content",
                why=str(error),
                fix="pass plain data, and open the resource inside the step",
            ) from error


def table_digest(table: pa.Table) -> bytes:
    """Return the BLAKE3 of a table's schema and rows, whatever its chunks.

    Cost: one copy of the table where it has more than one chunk, and of columns with missing values.
    """
    import pyarrow as pa

    sink = _HashingSink()
    whole = table.unify_dictionaries().combine_chunks()
    for place, column in enumerate(whole.columns):
        if column.null_count:
            # a slice keeps its parent's validity bits beyond its own end; concatenating writes them anew
            fresh = pa.concat_arrays([*column.chunks, column.chunk(0).slice(0, 0)])
            whole = whole.set_column(place, table.schema.field(place), fresh)
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        if table.num_rows:
            writer.write_table(whole)
    return sink.hash.digest()


class _HashingSink(io.RawIOBase):
    def __init__(self) -> None:
        self.hash = blake3()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return len(data)


def short(value: Any, *, limit: int = 60) -> str:
    """Write a value in a few characters, for people."""
    if is_arrow(value, "Table"):
        return f"table {value.num_rows} × {value.num_columns}"
    if is_array(value):
        return f"array {value.dtype} {'×'.join(map(str, value.shape))}"
    if isinstance(value, Known) or (isinstance(value, (list, tuple)) and any(isinstance(one, Known) for one in value)):
        return ""
    if not isinstance(value, (*_SCALARS, list, tuple, dict, set, frozenset, Enum, *_TEXT_TYPES)):
        return f"<{type(value).__name__}>"
    if isinstance(value, (list, tuple, dict, set, frozenset)) and len(value) > limit:
        return f"{type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _pack(tag: str, payload: bytes) -> bytes:
    if len(payload) > _LITERAL_BYTES:
        return tag.encode() + b"#" + blake3(payload).digest()
    return b"%s:%d:%s" % (tag.encode(), len(payload), payload)


def _dtype(dtype: np.dtype[Any]) -> str:
    import numpy as np

    return repr(np.lib.format.dtype_to_descr(dtype))


def _moment(value: datetime | time) -> bytes:
    return f"{value.isoformat()} {value.fold} {value.tzinfo!r}".encode()


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"",
    type(...): lambda _: b"",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: b"%x" % value if value >= 0 else b"-%x" % -value,
    float: lambda value: struct.pack(">d", value),
    complex: lambda value: struct.pack(">dd", value.real, value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: value,
    bytearray: bytes,
    datetime: _moment,
    time: _moment,
    date: lambda value: value.isoformat().encode(),
    timedelta: lambda value: b"%d %d %d" % (value.days, value.seconds, value.microseconds),
}
