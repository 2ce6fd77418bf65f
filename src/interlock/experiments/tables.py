"""Turn tables of any library, and arrays into histograms, into what is kept of them."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

_FINEST = 512


def to_arrow(table: Any) -> pa.Table:
    """Return a table as Arrow: of Arrow, pandas, polars, DuckDB, columns by name, rows by name, or a matrix.

    Cells that Arrow has no type for become text.

    Raises:
        InvalidInput: It is no table.
    """
    import numpy as np
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if isinstance(table, np.ndarray):
        matrix = np.atleast_2d(table)
        return pa.table({f"x{at}": matrix[:, at] for at in range(matrix.shape[1])})
    if isinstance(table, Mapping):
        return pa.table({str(name): _column(values) for name, values in table.items()})
    if isinstance(table, Sequence) and table and isinstance(table[0], Mapping):
        names = dict.fromkeys(name for row in table for name in row)
        return pa.table({str(name): _column([row.get(name) for row in table]) for name in names})
    import narwhals.stable.v2 as nw

    try:
        frame = nw.from_native(table, eager_only=True)
    except TypeError as error:
        if hasattr(table, "to_arrow_table"):
            return table.to_arrow_table()
        raise InvalidInput(
            f"a {type(table).__name__} is no table",
            why="expected Arrow, pandas, polars, columns by name, rows by name, or a matrix",
            fix='log_table("errors", {"text": [...], "score": [...]})',
        ) from error
    try:
        return frame.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.table({name: _column(frame[name].to_list()) for name in frame.columns})


def _column(values: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])


def parquet(table: pa.Table) -> bytes:
    """Write a table as Parquet."""
    import pyarrow.parquet as pq

    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd")
    return data.getvalue()


def histogram(values: Any, *, bins: int | Sequence[float] = 64) -> dict[str, Any]:
    """Return how often values fall between edges, with what is lost by that: extremes, mean, gaps.

    Takes the values, or what `numpy.histogram` returned (counts, edges).

    Raises:
        InvalidInput: There are more bins than anybody can see.
    """
    import numpy as np

    if isinstance(values, tuple) and len(values) == 2 and len(values[1]) == len(values[0]) + 1:
        counts, edges = np.asarray(values[0]), np.asarray(values[1], dtype=np.float64)
        return {"edges": edges.tolist(), "counts": counts.tolist()}
    if isinstance(bins, int) and not 1 <= bins <= _FINEST:
        raise InvalidInput(f"bins={bins}", why=f"expected 1 to {_FINEST}", fix="bins=64")
    flat = np.asarray(values, dtype=np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    # of equal values and of none NumPy makes a range of one, around them or at zero
    counts, edges = np.histogram(finite, bins=bins)
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "count": len(flat),
        "not_finite": len(flat) - len(finite),
        "min": float(finite.min()) if len(finite) else math.nan,
        "max": float(finite.max()) if len(finite) else math.nan,
        "mean": float(finite.mean()) if len(finite) else math.nan,
        "std": float(finite.std()) if len(finite) else math.nan,
    }
