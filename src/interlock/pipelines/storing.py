"""Write step outputs as bytes and read them back exactly.

Arrow tables are stored as Arrow IPC, arrays as `.npy`, plain values as msgpack. Anything else is pickled, and
since reading a pickle runs code, it is sealed with a keyed BLAKE3 that only this workspace can make, which is
checked before a byte of it is read.
"""

from __future__ import annotations

import hmac
import io
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from blake3 import blake3

from interlock.core.errors import Corrupt, InvalidInput
from interlock.core.hashing import digest_of_value
from interlock.core.loaded import loaded
from interlock.core.origins import origin_of
from interlock.pipelines.code_keys import code_key
from interlock.ports.artifact_store import Blob

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["arrow", "npy", "msgpack", "pickle", "parts"]

_SEAL_CONTEXT = "interlock 2026-01-01 sealed step outputs"
_SEAL_BYTES = 32
_LARGEST_INT = 2**63 - 1
_DEEPEST = 8
_MOST_PARTS = 1000
_UNPICKLABLE = (TypeError, AttributeError, pickle.PicklingError, ValueError, RecursionError)


class Stored(msgspec.Struct, frozen=True):
    """An output as bytes, before it is sealed.

    Args:
        form: How it is written.
        payload: The bytes.
    """

    form: Form
    payload: bytes


class Kept(Stored, frozen=True):
    """An output that is in the store already, its bytes not at hand.

    Args:
        form: How it is written.
        payload: Nothing.
        blob: Where it is.
    """

    blob: Blob


def keep(stored: Stored, put: Callable[[bytes], Blob], secret: bytes) -> Blob:
    """Store an output, sealed, unless it is stored already; return where it is."""
    return stored.blob if isinstance(stored, Kept) else put(seal(stored, secret))


def encode(value: Any) -> Stored:
    """Write a value in the plainest form that gives it back exactly.

    Raises:
        InvalidInput: It cannot be written, not even as a pickle.
    """
    pa, np = loaded("pyarrow"), loaded("numpy")
    if pa is not None and type(value) is pa.Table:
        return Stored("arrow", _table_bytes(value))
    if np is not None and type(value) is np.ndarray and not value.dtype.hasobject:
        sink = io.BytesIO()
        np.save(sink, value, allow_pickle=False)
        return Stored("npy", sink.getvalue())
    if _is_plain(value, 0):
        try:
            return Stored("msgpack", msgspec.msgpack.encode(value))
        except UnicodeEncodeError:  # half a surrogate pair, which only a pickle keeps
            pass
    return Stored("pickle", _pickled(value))


def decode(stored: Stored) -> Any:
    """Read a value back; each call makes a new one, so that no step sees what another did to it."""
    if stored.form == "arrow":
        import pyarrow as pa

        return pa.ipc.open_stream(pa.py_buffer(stored.payload)).read_all()
    if stored.form == "npy":
        import numpy as np

        return np.load(io.BytesIO(stored.payload), allow_pickle=False)
    if stored.form == "msgpack":
        return msgspec.msgpack.decode(stored.payload)
    size = int.from_bytes(stored.payload[:4], "big")
    return pickle.loads(memoryview(stored.payload)[4 + size :])


def seal(stored: Stored, secret: bytes) -> bytes:
    """Return the bytes to keep; a pickle is signed with the workspace's secret."""
    if stored.form != "pickle":
        return stored.payload
    return _signature(stored.payload, secret) + stored.payload


def unseal(form: str, data: bytes, secret: bytes) -> Stored:
    """Check kept bytes and return what was stored.

    Raises:
        Corrupt: A pickle that this workspace did not sign.
    """
    if form in ("arrow", "npy", "msgpack", "parts"):
        return Stored(form, data)  # type: ignore[arg-type]  # narrowed by the line above
    signature, payload = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
    if form != "pickle" or not hmac.compare_digest(signature, _signature(payload, secret)):
        raise Corrupt(
            "a stored step output cannot be trusted",
            why=f"it is a {form}, and its signature is not one that this workspace makes",
            fix="run the pipeline again after deleting the step's record; do not load the file by hand",
        )
    return Stored("pickle", payload)


def _signature(payload: bytes, secret: bytes) -> bytes:
    key = blake3(secret, derive_key_context=_SEAL_CONTEXT).digest()
    return bytes(blake3(payload, key=key).digest())


def _table_bytes(table: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.unify_dictionaries().combine_chunks())
    return bytes(sink.getvalue().to_pybytes())


def _is_plain(value: Any, depth: int) -> bool:
    """Say whether msgpack gives a value back with the same types and the same order."""
    kind = type(value)
    if kind is int:
        return bool(-_LARGEST_INT <= value <= _LARGEST_INT)
    if kind in (str, float, bool, bytes, type(None)):
        return True
    if depth > 50:
        return False
    if kind is list:
        return all(_is_plain(item, depth + 1) for item in value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
    return False


class _Pickler(pickle.Pickler):
    """Notes the project's classes and functions on the way, since a pickle holds their names but not their code."""

    def __init__(self, sink: io.BytesIO) -> None:
        super().__init__(sink, protocol=5)
        self.code: dict[str, Any] = {}

    def reducer_override(self, value: Any) -> Any:
        named = value if isinstance(value, type) or hasattr(value, "__qualname__") else type(value)
        module = getattr(named, "__module__", None)
        if isinstance(module, str) and origin_of(module) == "project":
            self.code.setdefault(f"{module}.{named.__qualname__}", named)
        return NotImplemented


def _pickled(value: Any) -> bytes:
    """Return a header that changes with the code of the classes inside, then the pickle."""
    sink = io.BytesIO()
    pickler = _Pickler(sink)
    try:
        pickler.dump(value)
    except _UNPICKLABLE as error:
        where, culprit = _culprit(value)
        raise InvalidInput(
            f"a {_named(value)} cannot be stored" + (f": {where} is a {_named(culprit)}" if where else ""),
            why=f"it is neither a table, an array nor plain values, and pickling it says: {error}",
            fix=f"return it without {where}, or what it was made from" if where else "return data from the step",
        ) from error
    header = msgspec.msgpack.encode(
        {name: digest_of_value(code_key(piece).symbols) for name, piece in sorted(pickler.code.items())}
    )
    return len(header).to_bytes(4, "big") + header + sink.getvalue()


def _culprit(value: Any, depth: int = 0) -> tuple[str, Any]:
    """Return where in a value lies the innermost thing that cannot be pickled, as in `["model"].lock`, and it."""
    if depth < _DEEPEST:
        for where, part in _parts_of(value):
            if not _can_be_pickled(part):
                further, culprit = _culprit(part, depth + 1)
                return where + further, culprit
    return "", value


def _parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in islice(value.items(), _MOST_PARTS))
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{place}]", part) for place, part in enumerate(value[:_MOST_PARTS]))
    yield from ((f".{name}", part) for name, part in list(getattr(value, "__dict__", {}).items())[:_MOST_PARTS])


def _can_be_pickled(value: Any) -> bool:
    try:
        pickle.dumps(value, protocol=5)
    except _UNPICKLABLE:
        return False
    return True


def _named(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
