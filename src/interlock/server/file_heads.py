"""Read the beginning of a stored file in the form in which it can be shown, whatever is in it."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.units import human_bytes
from interlock.ports.artifact_store import ArtifactStore, SupportsLocalPath
from interlock.ports.run_store import ArtifactEntry
from interlock.server.views import FileHead

MOST_ROWS = 1000
TEXT_BYTES = 512 * 1024
"""What is shown of a text; HTML and JSON are of no use in parts, so of them more."""
PAGE_BYTES = 8 * 1024 * 1024
IN_MEMORY_BYTES = 64 * 1024 * 1024
"""How large a table may be of which the store has no file to look into."""
GROUP_BYTES = 512 * 1024 * 1024
MOST_COLUMNS = 100
LONGEST_CELL = 400

_MEDIA = frozenset(
    "png jpg jpeg gif webp avif bmp svg wav mp3 ogg oga flac m4a mp4 webm mov ply".split()  # noqa: SIM905
)
_DELIMITED = {"csv": ",", "tsv": "\t"}
_HTML = frozenset({"html", "htm"})
_PARQUET = b"PAR1"


def head_of(file: ArtifactEntry, artifacts: ArtifactStore, *, start: int = 0, rows: int = 100) -> FileHead:
    """Return the beginning of a file; of a table, `rows` rows from `start` on.

    What a file is follows from its bytes, and from the end of its name only where that can do no harm.

    Cost: reads no more than is shown; of Parquet, the row groups before it are skipped.
    """
    ending = file.path.rpartition(".")[2].lower()
    if ending in _MEDIA:
        return FileHead(file, "media")
    data = _beginning(artifacts, file, PAGE_BYTES if ending in {"json", *_HTML} else TEXT_BYTES)
    if data.startswith(_PARQUET):
        return _parquet(file, artifacts, start=start, rows=rows)
    text = _text(data, is_whole=len(data) == file.size_bytes)
    if text is None:
        return FileHead(file, "binary", is_whole=False, why="it is no text")
    is_whole = len(data) == file.size_bytes
    if ending in _DELIMITED:
        return _delimited(file, text, _DELIMITED[ending], is_whole=is_whole, start=start, rows=rows)
    if ending in _HTML:
        return FileHead(file, "html", text=text, is_whole=is_whole)
    if ending == "json" and is_whole:
        return _json(file, text, start=start, rows=rows)
    return FileHead(file, "text", text=text[:TEXT_BYTES], is_whole=is_whole and len(text) <= TEXT_BYTES)


def _beginning(artifacts: ArtifactStore, file: ArtifactEntry, most: int) -> bytes:
    found = bytearray()
    with contextlib.closing(_closable(artifacts.stream(file.digest))) as chunks:
        for chunk in chunks:
            found += chunk
            if len(found) > most:
                break
    return bytes(found[:most])


def _closable(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield from chunks


def _text(data: bytes, *, is_whole: bool) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # the last character may be cut in two; anything else in the middle is no text
        cut = not is_whole and error.start >= len(data) - 3
        return data[: error.start].decode() if cut else None


def _delimited(file: ArtifactEntry, text: str, delimiter: str, *, is_whole: bool, start: int, rows: int) -> FileHead:
    lines = text if is_whole else text.rpartition("\n")[0]
    try:
        table = list(csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter))
    except csv.Error:
        return FileHead(file, "text", text=text, is_whole=is_whole)
    head, body = (table[0], table[1:]) if table else ([], [])
    return FileHead(
        file,
        "table",
        columns=tuple(name[:LONGEST_CELL] for name in head[:MOST_COLUMNS]),
        rows=tuple(cells_of(row[:MOST_COLUMNS]) for row in body[start : start + rows]),
        total_rows=len(body) if is_whole else None,
        is_whole=is_whole and len(body) <= rows and len(head) <= MOST_COLUMNS,
    )


def _json(file: ArtifactEntry, text: str, *, start: int, rows: int) -> FileHead:
    """Return JSON as it is; a table that MLflow's `log_table` wrote, as a table."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return FileHead(file, "text", text=text[:TEXT_BYTES], is_whole=len(text) <= TEXT_BYTES)
    if isinstance(value, dict) and set(value) in ({"columns", "data"}, {"columns", "data", "index"}):
        columns, data = value["columns"], value["data"]
        if isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
            return FileHead(
                file,
                "table",
                columns=tuple(str(name)[:LONGEST_CELL] for name in columns[:MOST_COLUMNS]),
                rows=tuple(cells_of(row[:MOST_COLUMNS]) for row in data[start : start + rows]),
                total_rows=len(data),
                is_whole=len(data) <= rows and len(columns) <= MOST_COLUMNS,
            )
    return FileHead(file, "json", text=text[:TEXT_BYTES], is_whole=len(text) <= TEXT_BYTES)


def _parquet(file: ArtifactEntry, artifacts: ArtifactStore, *, start: int, rows: int) -> FileHead:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = artifacts.local_path(file.digest) if isinstance(artifacts, SupportsLocalPath) else None
    if path is None and file.size_bytes > IN_MEMORY_BYTES:
        why = f"it has {human_bytes(file.size_bytes)}, and the store has no file to look into"
        return FileHead(file, "binary", is_whole=False, why=why)
    source: Path | pa.BufferReader = path or pa.BufferReader(artifacts.get(file.digest))
    try:
        with pq.ParquetFile(source, memory_map=path is not None) as table:
            columns = tuple(str(name) for name in table.schema_arrow.names[:MOST_COLUMNS])
            total = table.metadata.num_rows
            found = tuple(_rows_of(table, columns, start=start, rows=rows))
            is_whole = total <= rows and len(table.schema_arrow.names) <= MOST_COLUMNS
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        return FileHead(file, "binary", is_whole=False, why=f"it cannot be read as Parquet: {str(error)[:200]}")
    names = tuple(name[:LONGEST_CELL] for name in columns)
    return FileHead(file, "table", columns=names, rows=found, total_rows=total, is_whole=is_whole)


def _rows_of(table: Any, columns: tuple[str, ...], *, start: int, rows: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows of a Parquet file; groups too large to be decoded in passing are refused."""
    skipped, left = start, rows
    for number in range(table.metadata.num_row_groups):
        group = table.metadata.row_group(number)
        if skipped >= group.num_rows:
            skipped -= group.num_rows
            continue
        if group.total_byte_size > GROUP_BYTES:
            raise ValueError(f"a row group has {human_bytes(group.total_byte_size)}")
        for batch in table.iter_batches(batch_size=MOST_ROWS, row_groups=[number], columns=list(columns)):
            if skipped >= batch.num_rows:
                skipped -= batch.num_rows
                continue
            part = batch.slice(skipped, left)
            skipped = 0
            left -= part.num_rows
            yield from (cells_of(row) for row in zip(*(one.to_pylist() for one in part.columns), strict=True))
            if left == 0:
                return


def cells_of(values: Any) -> tuple[Any, ...]:
    """Return the cells of a row as JSON has them and a table shows them."""
    return tuple(_cell(value) for value in values)


def _cell(value: Any) -> Any:
    """Return a value as JSON has it and a table shows it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
