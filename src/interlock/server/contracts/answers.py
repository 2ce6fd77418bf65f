"""Write answers in the format that a caller accepts: JSON by default, CSV, lines of JSON, a NumPy array, Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

from interlock.server.calls import encode_json
from interlock.server.contracts.predictions import plain, predictions

Writer = Callable[[Mapping[str, Any]], bytes]


def accepted(accept: str | None) -> str | None:
    """Return the first format other than JSON that an `Accept` header names before JSON or anything; else None.

    Example:
        >>> accepted("text/csv"), accepted("application/json, text/csv"), accepted("*/*"), accepted(None)
        ('text/csv', None, None, None)
    """
    for choice in (accept or "").split(","):
        name = choice.partition(";")[0].strip().lower()
        if name in WRITERS:
            return name
        if name in ("*/*", "application/*", "application/json"):
            return None
    return None


def write_csv(outputs: Mapping[str, Any]) -> bytes:
    """Return a line per row, without a line of names: the prediction, or every output where they make one."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    for prediction in predictions(outputs):
        lines.writerow(prediction.values() if isinstance(prediction, dict) else _cells(prediction))
    return text.getvalue().encode()


def _cells(prediction: Any) -> list[Any]:
    return prediction if isinstance(prediction, list) else [prediction]


def write_json_lines(outputs: Mapping[str, Any]) -> bytes:
    """Return a line of JSON per row."""
    return b"".join(encode_json(prediction) + b"\n" for prediction in predictions(outputs))


def write_npy(outputs: Mapping[str, Any]) -> bytes:
    """Return the predictions as one array; texts and objects as texts."""
    import numpy as np

    rows = predictions(outputs)
    if rows and isinstance(rows[0], dict):
        rows = [list(row.values()) for row in rows]
    array = np.array(rows)
    if array.dtype.hasobject:
        array = np.array([encode_json(row).decode() for row in rows])
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def write_parquet(outputs: Mapping[str, Any]) -> bytes:
    """Return every output as a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: plain(values) for name, values in outputs.items()}), sink)
    return bytes(sink.getvalue().to_pybytes())


WRITERS: dict[str, Writer] = {
    "text/csv": write_csv,
    "application/jsonlines": write_json_lines,
    "application/jsonl": write_json_lines,
    "application/x-ndjson": write_json_lines,
    "application/x-npy": write_npy,
    "application/vnd.apache.parquet": write_parquet,
    "application/x-parquet": write_parquet,
}
"""How each content type other than JSON is written."""
