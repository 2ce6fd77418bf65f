"""Turn the data of Open Inference tensors into NumPy arrays and back: raw little-endian bytes, and JSON values.

Source: the Open Inference Protocol, datatypes and the extension `binary_tensor_data`. A BYTES element is its length
as a 32-bit number and its bytes; a BOOL is one byte; a BF16 is the upper half of a 32-bit float, and is held as FP32
in arrays, which have no type for it. Sizes are compared before anything is allocated.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, cast

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
else:
    Array = Any

Text = Literal["string", "binary"]
"""Whether the elements of BYTES are text (`str`, UTF-8) or `bytes`."""

DTYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "BF16": "<f4",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "O",
}
"""The NumPy type in which each datatype is held."""
MAX_DIMENSIONS = 16
_FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_length = struct.Struct("<I")
_FEW = 32
_PATTERNS = {
    "UINT8": "<B",
    "UINT16": "<H",
    "UINT32": "<I",
    "UINT64": "<Q",
    "INT8": "<b",
    "INT16": "<h",
    "INT32": "<i",
    "INT64": "<q",
    "FP16": "<e",
    "FP32": "<f",
    "FP64": "<d",
}


def text_of(column: Column) -> Text:
    """Return what the elements of a column of BYTES are: text, or bytes."""
    return "binary" if column.type == "binary" else "string"


def element_bytes(datatype: str) -> int:
    """Return how many bytes an element of a datatype of fixed size takes.

    Example:
        >>> element_bytes("BF16"), element_bytes("FP64"), element_bytes("BOOL")
        (2, 8, 1)
    """
    layout = DTYPES[datatype][-1]
    return 2 if datatype == "BF16" else int(layout) if layout.isdigit() else 1


def element_count(name: str, shape: Sequence[int]) -> int:
    """Return how many elements a shape takes, as an unbounded number: nothing overflows, nothing is allocated.

    Raises:
        InvalidInput: A dimension is negative, or there are too many of them.
    """
    if len(shape) > MAX_DIMENSIONS:
        raise InvalidInput(
            f"the input '{name[:100]}' has {len(shape)} dimensions", why=f"at most {MAX_DIMENSIONS} are taken"
        )
    count = 1
    for length in shape:
        if length < 0:
            raise InvalidInput(
                f"the input '{name[:100]}' has shape {list(shape)}", why="the dimensions of data are not negative"
            )
        count *= length
    return count


def read_array(name: str, datatype: str, data: Any, shape: Sequence[int], *, text: Text = "string") -> Array:
    """Return a tensor as an array of its shape; raw numbers are not copied where they lie aligned in memory.

    Args:
        name: What errors call it.
        datatype: Its Open Inference datatype.
        data: Raw bytes, or JSON values, flat or nested as the shape says; a null in floats becomes NaN.
        shape: Its dimensions.
        text: What the elements of BYTES become.

    Raises:
        InvalidInput: The datatype is not known, or the data does not fit the shape.
        SchemaMismatch: A value is not of the datatype.
    """
    name = name[:100]
    count = element_count(name, shape)
    if datatype not in DTYPES:
        raise InvalidInput(
            f"the input '{name}' has the unknown datatype '{datatype[:20]}'", why=f"there are {', '.join(DTYPES)}"
        )
    if isinstance(data, (bytes, memoryview)):
        flat = _from_raw(name, datatype, memoryview(data), count, text)
    else:
        flat = _from_values(name, datatype, _flattened(name, data, shape, count), text)
    return flat.reshape(shape)


def _from_raw(name: str, datatype: str, raw: memoryview, count: int, text: Text) -> Array:
    import numpy as np

    if datatype == "BYTES":
        return _objects(_strings(name, raw, count, text))
    dtype = np.dtype("<u2" if datatype == "BF16" else DTYPES[datatype])
    expected = count * dtype.itemsize
    if len(raw) != expected:
        raise InvalidInput(f"the input '{name}' has {len(raw)} bytes of data", why=f"its shape takes {expected}")
    if not count:
        return np.empty(0, DTYPES[datatype])
    if datatype == "BOOL":
        flags = np.frombuffer(raw, np.uint8)
        if flags.max() > 1:
            raise SchemaMismatch(f"the input '{name}' is not of BOOL", why="a byte of it is neither 0 nor 1")
        return cast("Array", flags.view(np.bool_))
    flat = np.frombuffer(raw, dtype)
    if datatype == "BF16":
        return cast("Array", (flat.astype(np.uint32) << 16).view(np.float32))
    return flat if flat.flags.aligned else flat.copy()


def _strings(name: str, raw: memoryview, count: int, text: Text) -> list[Any]:
    if count * _length.size > len(raw):
        raise InvalidInput(f"the input '{name}' has {len(raw)} bytes of data", why=f"its shape says {count} strings")
    values: list[Any] = []
    place = 0
    try:
        while place < len(raw):
            (length,) = _length.unpack_from(raw, place)
            place += _length.size
            if place + length > len(raw) or len(values) == count:
                raise InvalidInput(
                    f"the input '{name}' has data beyond its shape or its end", why=f"{count} strings expected"
                )
            one = raw[place : place + length]
            values.append(str(one, "utf-8") if text == "string" else bytes(one))
            place += length
    except (struct.error, UnicodeDecodeError) as error:
        raise InvalidInput(f"the input '{name}' cannot be read", why=f"element {len(values)}: {error}") from error
    if len(values) != count:
        raise InvalidInput(f"the input '{name}' has {len(values)} strings", why=f"its shape says {count}")
    return values


def _flattened(name: str, data: Any, shape: Sequence[int], count: int) -> list[Any]:
    """Return JSON values as one list, after they were held against the shape level by level."""
    if not isinstance(data, list):
        raise InvalidInput(f"the input '{name}' has no list of values", why=f"its shape is {list(shape)}")
    if not data or not isinstance(data[0], list):
        flat = data
    else:
        level: list[Any] = [data]
        for depth, length in enumerate(shape):
            if any(type(one) is not list or len(one) != length for one in level):
                raise InvalidInput(
                    f"the data of '{name}' is nested unevenly",
                    why=f"its shape is {list(shape)}; dimension {depth} of the data is another",
                )
            level = list(chain.from_iterable(level))
        flat = level
    if len(flat) != count:
        raise InvalidInput(f"the input '{name}' has {len(flat)} values", why=f"its shape {list(shape)} says {count}")
    return flat


def _from_values(name: str, datatype: str, values: list[Any], text: Text) -> Array:
    import numpy as np

    kinds = set(map(type, values))
    if datatype == "BYTES":
        return _objects(_texts(name, values, kinds, text))
    if datatype == "BOOL":
        allowed: set[type] = {bool}
    else:
        allowed = {int, float, type(None)} if datatype in _FLOATS else {int}
    if kinds - allowed:
        place = next(place for place, value in enumerate(values) if type(value) not in allowed)
        given = {type(None): "null", list: "a list", dict: "an object", str: "a string", bool: "a boolean"}
        raise SchemaMismatch(
            f"element {place} of the input '{name}': expected {datatype}, got "
            f"{given.get(type(values[place]), 'a number with a fraction')}"
        )
    try:
        if datatype not in _FLOATS:
            return np.array(values, DTYPES[datatype])
        wide = np.array(values, np.float64)
    except OverflowError as error:
        raise SchemaMismatch(f"the input '{name}' has a number that does not fit {datatype}") from error
    return _narrowed(name, datatype, wide)


def _narrowed(name: str, datatype: str, wide: Array) -> Array:
    """Return 64-bit floats as a narrower type; a number that would become infinite is refused."""
    import numpy as np

    if datatype == "FP64":
        return wide
    with np.errstate(over="ignore"):
        narrow = wide.astype(DTYPES[datatype])
    if datatype == "BF16":
        narrow = (_upper_halves(narrow).astype(np.uint32) << 16).view(np.float32)
    if (np.isinf(narrow) & np.isfinite(wide)).any():
        raise SchemaMismatch(f"the input '{name}' has a number that does not fit {datatype}")
    return narrow


def _texts(name: str, values: list[Any], kinds: set[type], text: Text) -> list[Any]:
    wanted = str if text == "string" else bytes
    if kinds <= {wanted}:
        return values
    try:
        return [
            one if type(one) is wanted else one.decode() if wanted is str else one.encode()  # both ways UTF-8
            for one in values
        ]
    except (AttributeError, UnicodeDecodeError) as error:
        place = next(place for place, value in enumerate(values) if not _is_text(value))
        raise SchemaMismatch(f"element {place} of the input '{name}': expected BYTES, UTF-8 text") from error


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) or (isinstance(value, bytes) and bool(value.decode() or True))
    except UnicodeDecodeError:
        return False


def _objects(values: Sequence[Any]) -> Array:
    import numpy as np

    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _upper_halves(values: Array) -> Array:
    """Return 32-bit floats as BF16, rounded to the nearest, ties to even."""
    import numpy as np

    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16
    return cast("Array", np.where(np.isnan(values), (bits >> 16) | np.uint32(0x40), rounded).astype("<u2"))


def write_raw(datatype: str, values: Any) -> bytes:
    """Return an array, or a list of plain values, as a raw tensor.

    Example:
        >>> write_raw("BYTES", ["ab"]).hex()
        '020000006162'
    """
    import numpy as np

    if datatype == "BYTES":
        flat = values.ravel() if isinstance(values, np.ndarray) else values
        encoded = [one if isinstance(one, bytes) else b"" if one is None else str(one).encode() for one in flat]
        return b"".join([part for one in encoded for part in (_length.pack(len(one)), one)])
    array = np.ascontiguousarray(values, DTYPES[datatype])
    return (_upper_halves(array.ravel()) if datatype == "BF16" else array).tobytes()


def write_values(name: str, array: Array) -> list[Any]:
    """Return an array as flat JSON values, in row-major order.

    Raises:
        InvalidInput: It holds bytes that are no text; they can only be sent raw.
    """
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind not in "OS":
        return values
    try:
        return [one.decode() if isinstance(one, bytes) else str(one) for one in values]
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"the output '{name}' holds bytes that are no UTF-8 text",
            why="JSON cannot carry them",
            fix="ask for it as raw data: 'parameters': {'binary_data': true}",
        ) from error


def read_list(name: str, datatype: str, data: Any, rows: int, *, text: Text = "string") -> list[Any]:
    """Return a tensor of one value per row as plain values.

    Raises:
        InvalidInput: The datatype is not known, or the data does not fit the rows.
    """
    pattern = _PATTERNS.get(datatype)
    # what few values take in an array is mostly the making of it
    if pattern is None or rows > _FEW or isinstance(data, list) or len(data) != rows * struct.calcsize(pattern):
        values: list[Any] = read_array(name, datatype, data, (rows,), text=text).tolist()
        return values
    return list(struct.unpack(f"<{rows}{pattern[1]}", data))
