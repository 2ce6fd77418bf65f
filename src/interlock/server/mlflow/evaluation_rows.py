"""Keep the rows of evaluation datasets: one for each inputs, into which later writes are merged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.clock import to_micros
from interlock.ports.checks import check_text
from interlock.ports.record_store import Record
from interlock.server.mlflow.kept_records import Body, again_until_alone
from interlock.server.mlflow.model_search import checked_limit
from interlock.server.mlflow.wire import Ground, invalid, required

ROWS = "mlflow.evaluation_row"
MOST_LISTED = 10_000
MOST_DELETED = 10_000
_DEFAULT_LISTED = 1000
_AT_ONCE = 1000
_USER_TAG = "mlflow.user"
_SOURCES = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "float"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


class WriteRows(msgspec.Struct):
    """Rows to write, as a JSON list in text."""

    dataset_id: str = ""
    records: str = ""


class ListRows(msgspec.Struct):
    """Which rows to list."""

    dataset_id: str = ""
    max_results: int | None = None
    page_token: str = ""


class DeleteRows(msgspec.Struct):
    """Which rows to delete."""

    dataset_id: str = ""
    dataset_record_ids: list[str] = []


class WrittenAnswer(msgspec.Struct, frozen=True):
    """How many rows were new, and how many were there."""

    inserted_count: int
    updated_count: int


class Row(msgspec.Struct):
    """One row as a client gives it."""

    inputs: dict[str, Any] = {}
    expectations: dict[str, Any] | None = None
    tags: dict[str, Any] = {}
    source: dict[str, Any] | None = None
    outputs: Any = msgspec.UNSET


def write_rows(ground: Ground, asked: WriteRows) -> tuple[list[Row], WrittenAnswer]:
    """Add rows, and merge those whose inputs are there already into what is there."""
    if not asked.records:
        raise required("records")
    rows = [_row(one, at) for at, one in enumerate(_read(asked.records))]
    inserted = 0
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        inserted += again_until_alone(lambda part=part: _write(ground, asked.dataset_id, part))  # type: ignore[misc]
    return rows, WrittenAnswer(inserted, len(rows) - inserted)


def list_rows(ground: Ground, asked: ListRows) -> dict[str, Any]:
    """Return a page of rows, as JSON in text."""
    limit = checked_limit(asked.max_results or _DEFAULT_LISTED, most=MOST_LISTED)
    after = asked.page_token or "0"
    if not (after.isascii() and after.isdecimal() and len(after) <= 18):
        raise invalid("Invalid page token.")
    found = ground.stores.records.records(ROWS, parents=[asked.dataset_id], after=int(after), limit=limit + 1)
    page = found[:limit]
    answer: dict[str, Any] = {"records": json.dumps([_shown(one) for one in page])}
    if len(found) > limit:
        answer["next_page_token"] = str(page[-1].seq)
    return answer


def delete_rows(ground: Ground, asked: DeleteRows) -> dict[str, int]:
    """Delete rows of a dataset; those of another are left alone."""
    if len(asked.dataset_record_ids) > MOST_DELETED:
        raise invalid(f"At most {MOST_DELETED} records can be deleted at once.")
    found = ground.stores.records.find(ROWS, list(dict.fromkeys(asked.dataset_record_ids)))
    ours = [one.id for one in found if one.parent == asked.dataset_id]
    return {"deleted_count": ground.stores.records.delete(ROWS, record_ids=ours)}


def schema_with(schema: str | None, rows: Sequence[Row]) -> str | None:
    """Return the schema of a dataset once rows came to it: of each field the type that it first had."""
    if not rows:
        return schema
    empty: dict[str, Any] = {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}
    known: dict[str, Any] = json.loads(schema) if schema else empty
    for row in rows:
        for part, fields in (("inputs", row.inputs), ("outputs", row.outputs), ("expectations", row.expectations)):
            if isinstance(fields, dict) and isinstance(known[part], dict):
                for name, value in fields.items():
                    known[part].setdefault(name, _type_of(value))
            elif fields not in (None, msgspec.UNSET) and not known[part]:
                known[part] = _type_of(fields)
    return json.dumps(known)


def _type_of(value: Any) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


def _read(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid value for parameter 'records': it is no JSON: {error}") from error
    if not isinstance(found, list):
        raise invalid("Invalid value for parameter 'records': expected a JSON list.")
    return found


def _row(given: Any, at: int) -> Row:
    try:
        row = msgspec.convert({k: v for k, v in given.items() if v is not None or k == "outputs"}, Row)
    except (msgspec.ValidationError, AttributeError) as error:
        raise invalid(f"Invalid value for parameter 'records[{at}]': {error}") from error
    if isinstance(row.tags.get(_USER_TAG), str):
        check_text(row.tags[_USER_TAG], of="user")
    if row.source is not None:
        word = str(row.source.get("source_type", "")).upper()
        if word not in _SOURCES:
            raise invalid(f"Invalid dataset record source type: {word[:80]}. Valid source types: {list(_SOURCES)}")
    return row


def _write(ground: Ground, dataset_id: str, rows: Sequence[Row]) -> int:
    """Write some rows; return how many were new."""
    now_ms = to_micros(ground.clock.now()) // 1000
    ids = [_id_of(dataset_id, row) for row in rows]
    kept = {one.id: one for one in ground.stores.records.find(ROWS, list(dict.fromkeys(ids)))}
    new: dict[str, Record] = {}
    for row_id, row in zip(ids, rows, strict=True):
        before = new.get(row_id) or kept.get(row_id)
        if before is None:
            new[row_id] = Record(ROWS, row_id, _new_body(row, now_ms), dataset_id)
        else:
            new[row_id] = msgspec.structs.replace(before, body=_merged(before.body, row, now_ms))
    ground.stores.records.put(list(new.values()))
    return sum(one not in kept for one in new)


def _id_of(dataset_id: str, row: Row) -> str:
    """Return the id of a row, which its inputs decide, so that two writers of one row meet."""
    said = json.dumps([dataset_id, row.inputs], sort_keys=True)
    return f"dr-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _new_body(row: Row, now_ms: int) -> Body:
    # what people put into rows is kept as JSON, for it may hold numbers and texts that no database does
    user = row.tags.get(_USER_TAG)
    return {
        "inputs": json.dumps(row.inputs),
        "outputs": json.dumps({} if row.outputs is msgspec.UNSET else row.outputs),
        "expectations": None if row.expectations is None else json.dumps(row.expectations),
        "tags": json.dumps(row.tags),
        "source": None if row.source is None else json.dumps(_source(row.source)),
        "created_by": user if isinstance(user, str) else None,
        "last_updated_by": user if isinstance(user, str) else None,
        "written_ms": now_ms,
    }


def _source(given: dict[str, Any]) -> dict[str, Any]:
    return {"source_type": str(given["source_type"]).upper(), "source_data": given.get("source_data") or {}}


def _merged(body: Body, row: Row, now_ms: int) -> Body:
    after = {**body, "written_ms": now_ms}
    if row.outputs is not msgspec.UNSET:
        after["outputs"] = json.dumps(row.outputs)
    if row.expectations:
        after["expectations"] = json.dumps({**json.loads(body["expectations"] or "{}"), **row.expectations})
    if row.tags:
        after["tags"] = json.dumps({**json.loads(body["tags"]), **row.tags})
    if isinstance(row.tags.get(_USER_TAG), str):
        after["last_updated_by"] = row.tags[_USER_TAG]
    return after


def _shown(record: Record) -> dict[str, Any]:
    body = record.body
    shown: dict[str, Any] = {
        "dataset_record_id": record.id,
        "dataset_id": record.parent,
        "created_time": to_micros(record.created_at) // 1000,
        "last_update_time": body["written_ms"],
        **{
            name: json.loads(body[name])
            for name in ("inputs", "outputs", "expectations", "tags", "source")
            if body[name] not in (None, "null")
        },
        **{name: body[name] for name in ("created_by", "last_updated_by") if body[name] is not None},
    }
    if "source" in shown:
        source = shown["source"]
        shown["source_type"] = source["source_type"]
        data = source["source_data"]
        wanted = "trace_id" if source["source_type"] == "TRACE" else "source_id"
        if isinstance(data, dict) and data.get(wanted) is not None:
            shown["source_id"] = data[wanted]
    return shown
