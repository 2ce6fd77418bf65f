"""Speak MLflow's scoring protocol: one POST with rows in any of its forms.

Source: MLflow's scoring server, `/invocations`: exactly one of `dataframe_split`, `dataframe_records`, `instances` and
`inputs`, with `params` beside it; or CSV with a header line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, SchemaMismatch, Unavailable
from interlock.core.schema import Column
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, StatusError, encode_json
from interlock.server.data_routes import DataRoute
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.validation import RowCheck, Table

JSON_TYPES = frozenset({"", "application/json"})
CSV_TYPE = "text/csv"
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of the scoring protocol."""
    host = answering.host

    async def invoke(call: Call, engine: EndpointEngine) -> Reply:
        media_type = call.media_type
        if media_type not in JSON_TYPES and media_type != CSV_TYPE:
            raise StatusError(
                415, InvalidInput("the content type is not taken", why="expected application/json or text/csv")
            )
        body = await call.body()
        answer, _ = await answering.predict(
            engine, lambda check: read_rows(body, media_type, check), size_bytes=len(body)
        )
        return Reply(encode_json(write_reply(answer)))

    async def only(call: Call, params: dict[str, str]) -> Reply:
        return await invoke(call, host.only())

    async def named(call: Call, params: dict[str, str]) -> Reply:
        return await invoke(call, host.engine(params["name"]))

    async def ping(call: Call, params: dict[str, str]) -> Reply:
        if not host.is_ready:
            raise Unavailable("not every endpoint is ready", why="a model is not loaded yet")
        return Reply(b"\n", headers=(_TEXT,))

    async def version(call: Call, params: dict[str, str]) -> Reply:
        return Reply(answering.version.encode(), headers=(_TEXT,))

    return [
        DataRoute(method="POST", path="/invocations", handler=only, shape=error_body),
        DataRoute(method="POST", path="/endpoints/{name}/invocations", handler=named, shape=error_body),
        DataRoute(method="GET", path="/ping", handler=ping, shape=error_body, access="open"),
        DataRoute(method="GET", path="/health", handler=ping, shape=error_body, access="open"),
        DataRoute(method="GET", path="/version", handler=version, shape=error_body),
    ]


class Split(msgspec.Struct):
    """A frame as pandas writes it with `orient="split"`."""

    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


class Invocation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a scoring request; exactly one of the first four is given."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | dict[str, list[Any]] | None = None
    inputs: list[Any] | dict[str, list[Any]] | None = None
    params: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(Invocation).decode
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_rows(body: bytes, media_type: str, check: RowCheck) -> tuple[Table, dict[str, Any]]:
    """Return the checked rows of a scoring request, and its parameters.

    Raises:
        InvalidInput: It cannot be read, or gives rows in no form or in several.
        SchemaMismatch: The rows do not fit the signature.
    """
    if media_type == CSV_TYPE:
        return _read_csv(body, check), {}
    try:
        call = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the request cannot be read", why=str(error)) from error
    given = [form for form in _FORMS if getattr(call, form) is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"the request has rows in {len(given)} forms", why=f"expected exactly one of {', '.join(_FORMS)}"
        )
    params = call.params or {}
    if call.dataframe_split is not None:
        return check.split(call.dataframe_split.columns, call.dataframe_split.data), params
    if call.dataframe_records is not None:
        return check.records(call.dataframe_records), params
    return _read_loose(call.instances if call.instances is not None else call.inputs, check), params


def _read_loose(rows: Any, check: RowCheck) -> Table:
    """Read columns by name, a list of objects, or a list of rows in the order of the signature."""
    if isinstance(rows, dict):
        return check.columns(rows)
    if rows and isinstance(rows[0], dict):
        return check.records(rows)
    if rows and not isinstance(rows[0], list) and len(check.signature.inputs) == 1:
        return check.matrix([[value] for value in rows])
    return check.matrix(rows)


def _read_csv(body: bytes, check: RowCheck) -> Table:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("the CSV cannot be read", why=str(error)) from error
    if not lines:
        raise InvalidInput("the CSV is empty", why="expected a line of column names and lines of values")
    names, *data = lines
    columns = {column.name: column for column in check.signature.inputs}
    readers = [_readers[columns[name].type] if name in columns else str for name in names]
    return check.split(
        names,
        [
            [
                _read_cell(text, reader, columns.get(name))
                for text, reader, name in zip(line, readers, names, strict=False)
            ]
            + line[len(names) :]
            for line in data
        ],
    )


def _read_boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_readers: dict[str, Callable[[str], Any]] = {
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


def write_reply(answer: Answer) -> dict[str, Any]:
    """Return the reply: `predictions` as MLflow gives them, and beside them what feedback needs."""
    names = list(answer.outputs)
    predictions: list[Any] = answer.outputs[names[0]]
    if len(names) > 1:
        rows = zip(*answer.outputs.values(), strict=True)
        predictions = [dict(zip(names, row, strict=True)) for row in rows]
    return {
        "predictions": predictions,
        "prediction_ids": answer.ids,
        "model": answer.models[0] if len(answer.models) == 1 else answer.models,
    }


def error_body(error: InterlockError) -> tuple[int, dict[str, str]]:
    """Return the status and body of an error in MLflow's shape."""
    status = 400 if isinstance(error, SchemaMismatch) else error.http_status
    codes = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED"}
    codes |= {413: "INVALID_PARAMETER_VALUE", 415: "INVALID_PARAMETER_VALUE", 503: "TEMPORARILY_UNAVAILABLE"}
    message = error.what + (f"; {error.why}" if error.why else "")
    return status, {"error_code": codes.get(status, "INTERNAL_ERROR"), "message": message}
