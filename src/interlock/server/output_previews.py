"""Show the beginning of what a step put out. Nothing is unpickled for that: a pickle can run code."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, NotFound
from interlock.core.refs import Ref
from interlock.core.units import human_bytes
from interlock.experiments.pictures import png
from interlock.pipelines.outputs import PARTS, Part, parts_in
from interlock.ports.artifact_store import ArtifactStore, SupportsLocalPath
from interlock.server.file_heads import IN_MEMORY_BYTES, MOST_COLUMNS, cells_of
from interlock.server.pipeline_views import OutputPreview

ROWS = 10
_TEXT = 4000
_PICTURE_BYTES = 2 * 1024 * 1024
_PICTURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_REFS = 20


def preview_of(form: str, digest: str, artifacts: ArtifactStore, *, within: bool = False) -> OutputPreview:
    """Return what can be shown of a stored output.

    Args:
        form: How it is stored.
        digest: Which it is.
        artifacts: Where it is stored.
        within: Whether it is a field of another.

    Cost: of tables and arrays reads the head where the store has a file of them, else all up to 64 MiB.
    """
    blob = artifacts.find(digest)
    size = blob.size_bytes if blob is not None else 0
    bare = OutputPreview(form, digest, size, "hidden")
    if blob is None:
        return _hidden(bare, "it is no longer stored")
    if form == "pickle":
        return _hidden(bare, "pickled, not shown: reading a pickle runs code")
    if form == PARTS and not within:
        fields = parts_in(artifacts.get(digest))
        parts = {name: _part(part, artifacts) for name, part in fields.items()}
        refs = tuple(dict.fromkeys(ref for part in parts.values() for ref in part.refs))
        return msgspec.structs.replace(bare, kind="fields", parts=parts, refs=refs)
    path = artifacts.local_path(digest) if isinstance(artifacts, SupportsLocalPath) else None
    if path is None and size > IN_MEMORY_BYTES:
        return _hidden(bare, f"it has {human_bytes(size)}, and the store has no file to look into")
    source: Any = str(path) if path is not None else artifacts.get(digest)
    try:
        if form == "arrow":
            return _table(bare, source)
        if form == "npy":
            return _array(bare, source)
        if form == "msgpack" and size <= IN_MEMORY_BYTES:
            return _value(bare, artifacts.get(digest))
    except (ValueError, OSError, NotFound, msgspec.DecodeError, RecursionError) as error:
        return _hidden(bare, f"it cannot be read: {str(error)[:200]}")
    return _hidden(bare, f"stored as {form}, which is not shown")


def refs_in(value: Any) -> Iterator[str]:
    """Yield the Refs in a plain value."""
    if isinstance(value, str) and ":" in value and len(value) < 300:
        try:
            ref = Ref.parse(value)
        except InvalidInput:
            return
        if ref.version is not None or ref.kind in ("run", "prediction"):
            yield value
    elif isinstance(value, (list, dict)):
        for inner in value if isinstance(value, list) else value.values():
            yield from refs_in(inner)


def _part(part: Part, artifacts: ArtifactStore) -> OutputPreview:
    return preview_of(part.form, part.digest, artifacts, within=True)


def _hidden(bare: OutputPreview, why: str) -> OutputPreview:
    return msgspec.structs.replace(bare, kind="hidden", why=why)


def _table(bare: OutputPreview, source: str | bytes) -> OutputPreview:
    import pyarrow as pa

    opened = pa.memory_map(source) if isinstance(source, str) else pa.BufferReader(source)
    with opened, pa.ipc.open_stream(opened) as reader:
        names = reader.schema.names
        rows: list[tuple[Any, ...]] = []
        total = 0
        for batch in reader:
            if len(rows) < ROWS:
                head = batch.slice(0, ROWS - len(rows))
                columns = [column.to_pylist() for column in head.columns[:MOST_COLUMNS]]
                rows += [cells_of(row) for row in zip(*columns, strict=True)]
            total += batch.num_rows
    left = len(names) - MOST_COLUMNS
    return msgspec.structs.replace(
        bare,
        kind="table",
        columns=tuple(name[:200] for name in names[:MOST_COLUMNS]),
        rows=tuple(rows),
        total_rows=total,
        why=f"{left} more columns" if left > 0 else "",
    )


def _array(bare: OutputPreview, source: str | bytes) -> OutputPreview:
    import numpy as np

    array = (
        np.load(source, mmap_mode="r", allow_pickle=False)
        if isinstance(source, str)
        else np.load(io.BytesIO(source), allow_pickle=False)
    )
    about = f"array {array.dtype} {'×'.join(map(str, array.shape)) or '()'}"
    if _is_picture(array):
        return msgspec.structs.replace(
            bare, kind="picture", text=about, picture=_address("image/png", png(np.asarray(array)))
        )
    head = np.array2string(np.asarray(array.reshape(-1)[:60]), threshold=60, max_line_width=72)
    more = " …" if array.size > 60 else ""
    return msgspec.structs.replace(bare, kind="text", text=f"{about}\n{head}{more}")


def _is_picture(array: Any) -> bool:
    if array.dtype.name != "uint8" or array.nbytes > _PICTURE_BYTES:
        return False
    is_flat = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    return is_flat and min(array.shape[:2]) >= 8


def _value(bare: OutputPreview, data: bytes) -> OutputPreview:
    value = msgspec.msgpack.decode(data)
    if isinstance(value, bytes):
        kind = next((kind for start, kind in _PICTURES.items() if value.startswith(start)), "")
        if kind and len(value) <= _PICTURE_BYTES:
            return msgspec.structs.replace(bare, kind="picture", picture=_address(kind, value))
        return _hidden(bare, f"{human_bytes(len(value))} of bytes")
    text = value if isinstance(value, str) else json.dumps(_brief(value), ensure_ascii=False, indent=1, default=_opaque)
    refs = tuple(dict.fromkeys(refs_in(value)))[:_REFS]
    cut = len(text) > _TEXT
    return msgspec.structs.replace(
        bare, kind="text", text=text[:_TEXT], refs=refs, why="the beginning of it" if cut else ""
    )


def _brief(value: Any, depth: int = 0) -> Any:
    """Return a value with no more of long lists than is shown."""
    if isinstance(value, list):
        head = [_brief(one, depth + 1) for one in value[:100]]
        return [*head, f"… {len(value) - 100} more"] if len(value) > 100 else head
    if isinstance(value, dict):
        return {name: _brief(one, depth + 1) for name, one in list(value.items())[:100]}
    return value


def _opaque(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
