"""The requests: each a name, a body and a content type, for the model of columns or that of a matrix."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
ROW = {"wind": 3.5, "delay": -2.0, "n": 1, "city": "EWR"}
ROW2 = {"wind": -30.5, "delay": None, "n": 4, "city": "JFK"}
NAMES = list(ROW)
VALUES = list(ROW.values())
TABLE = b"wind,delay,n,city\n3.5,-2.0,1,EWR\n-30.5,,4,JFK\n"


class Case(NamedTuple):
    """One request; `why` says why we answer otherwise, where we mean to."""

    name: str
    body: Any
    media_type: str = JSON
    why: str = ""


def split(data: Any, columns: Any = None, **more: Any) -> dict[str, Any]:
    """Return a frame split into columns and data."""
    return {"dataframe_split": {"columns": columns or NAMES, "data": data, **more}}


def parquet() -> bytes:
    """Return the two rows as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([ROW, ROW2]), file)
    return file.getvalue()


_ORDER = "rows without names are in the order of the signature"
_STRICT = "nothing is parsed or rounded: the row and column are named instead"

COLUMNS = (
    Case("split", split([VALUES, list(ROW2.values())])),
    Case("split, with an index", split([VALUES], index=[7])),
    Case("split, reordered", split([["EWR", 1, -2.0, 3.5]], ["city", "n", "delay", "wind"])),
    Case("split, one column more", split([[*VALUES, 9]], [*NAMES, "extra"])),
    Case("split, no columns", {"dataframe_split": {"data": [VALUES]}}, why=_ORDER),
    Case("split, a required column missing", split([[3.5, -2.0, "EWR"]], ["wind", "delay", "city"])),
    Case("split, an optional column missing", split([[3.5, 1, "EWR"]], ["wind", "n", "city"])),
    Case("split, ragged", split([[3.5, 1]])),
    Case("split, an unknown key", {"dataframe_split": {"columns": NAMES, "data": [VALUES], "foo": 1}}),
    Case("split, a list", {"dataframe_split": [VALUES]}),
    Case("records", {"dataframe_records": [ROW, ROW2]}),
    Case("records, an object", {"dataframe_records": ROW}),
    Case("records, an optional value absent", {"dataframe_records": [ROW, {"wind": 1.0, "n": 2, "city": "JFK"}]}),
    Case("instances, objects", {"instances": [ROW, ROW2]}),
    Case("instances, lists", {"instances": [VALUES]}, why=_ORDER),
    Case("inputs, columns", {"inputs": {name: [ROW[name], ROW2[name]] for name in ROW}}),
    Case("inputs, one object", {"inputs": ROW}),
    Case("inputs, objects", {"inputs": [ROW, ROW2]}),
    Case("inputs, lists", {"inputs": [VALUES]}, why=_ORDER),
    Case("inputs and instances", {"inputs": [ROW], "instances": [ROW]}),
    Case("no form", {"foo": 1}),
    Case("an empty object", {}),
    Case("a list", [1, 2]),
    Case("a number", 3),
    Case("no JSON", b"{"),
    Case("an empty body", b""),
    Case("no UTF-8", b"\xff\xfe{}"),
    Case("an unknown key beside the rows", {**split([VALUES]), "foo": 1}),
    Case("params, without a schema", {**split([VALUES]), "params": {"k": 1}}),
    Case("params, null", {**split([VALUES]), "params": None}),
    Case("params, a list", {**split([VALUES]), "params": [1]}, why="params are an object"),
    Case("NaN", b'{"dataframe_split":{"columns":["wind","delay","n","city"],"data":[[1.5,NaN,1,"JFK"]]}}'),
    Case("long as 1.0", split([[3.5, -2.0, 1.0, "EWR"]])),
    Case("long as 1.5", split([[3.5, -2.0, 1.5, "EWR"]]), why="MLflow cuts it to 1; " + _STRICT),
    Case("double as a whole number", split([[3, -2, 1, "EWR"]])),
    Case("double as text", split([["3.5", -2, 1, "EWR"]]), why=_STRICT),
    Case("text as a number", split([[3.5, -2, 1, 5]]), why=_STRICT),
    Case("null where a value is required", split([[None, -2, 1, "EWR"]]), why="the signature says so"),
    Case("null where text is required", split([[3.5, -2, 1, None]]), why="the signature says so"),
    Case("an unseen category", split([[3.5, -2, 1, "LAX"]])),
    Case("no rows", split([])),
    Case("CSV", TABLE, CSV),
    Case("CSV, one column more", b"wind,delay,n,city,z\n3.5,-2,1,EWR,1\n", CSV),
    Case("CSV, no number", b"wind,delay,n,city\nabc,-2,1,EWR\n", CSV),
    Case("CSV, quoted", b'wind,delay,n,city\n3.5,-2,1,"EWR"\n', CSV),
    Case("CSV, no names", b"3.5,-2,1,EWR\n", CSV, why=f"as SageMaker's callers send it: {_ORDER}"),
    Case("CSV, empty", b"", CSV),
    Case("CSV, no UTF-8", b"\xff\xff", CSV),
    Case("CSV, charset UTF-8", TABLE, f"{CSV}; charset=utf-8"),
    Case("CSV, charset Latin-1", TABLE, f"{CSV}; charset=latin-1"),
    Case("JSON, charset UTF-8", split([VALUES]), f"{JSON}; charset=UTF-8"),
    Case("JSON, a parameter of MLflow 1", split([VALUES]), f"{JSON}; format=pandas-split"),
    Case("Parquet", parquet(), PARQUET),
    Case("Parquet, damaged", parquet()[:-9], PARQUET),
    Case("XML", b"<a/>", "text/xml"),
    Case("a chat", {"messages": [{"role": "user", "content": "hi"}]}),
)
MATRIX = (
    Case("inputs", {"inputs": [[1, 2, 3, 4], [0.5, 0, 0, 0]]}),
    Case("instances", {"instances": [[1.0, 2, 3, 4]]}),
    Case("split", split([[1.0, 2, 3, 4]], ["a", "b", "c", "d"])),
    Case("split, no columns", {"dataframe_split": {"data": [[1.0, 2, 3, 4]]}}),
    Case("too narrow", {"inputs": [[1, 2, 3]]}),
    Case("text", {"inputs": [["a", 2, 3, 4]]}),
    Case("ragged", {"inputs": [[1, 2, 3, 4], [1]]}),
    Case("one dimension", {"inputs": [1, 2, 3, 4]}),
    Case("empty", {"inputs": []}),
)
