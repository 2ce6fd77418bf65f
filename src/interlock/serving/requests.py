"""Say of each row of a request who it is, when it is about, and what its caller knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import InvalidInput
from interlock.core.ids import new_ids
from interlock.ports.prediction_log import is_prediction_id
from interlock.serving.validation import Table

IDS = "prediction_ids"
EVENT_TIME = "event_time"
CONTEXT = "context"
TRIAL = "trial"
"""Names of the request parameters that say these things."""

_no_context: dict[str, str] = {}


class Question(msgspec.Struct):
    """A checked request.

    Args:
        table: Its rows.
        ids: The prediction id of each row.
        event_times: The moment each row is about. Unit: microseconds since 1970 UTC.
        contexts: What the caller says of each row.
        asked_at: When it came. Unit: microseconds since 1970 UTC.
        is_trial: Whether it only tries the endpoint out: it is answered, but neither logged nor counted.
    """

    table: Table
    ids: Sequence[str]
    event_times: Sequence[int]
    contexts: Sequence[dict[str, str]]
    asked_at: int
    is_trial: bool = False


def question(table: Table, parameters: Mapping[str, Any], *, now_micros: int) -> Question:
    """Join rows with what the request's parameters say of them.

    `prediction_ids` is a list or a comma-separated string; `event_time` an RFC 3339 time, or a list of them (or,
    comma-separated, a string of them); `context` an object of strings (or its JSON text), or a list of them. What
    is not said is made up: a new id, the present, nothing. With `trial` true the rows are no traffic.

    Raises:
        InvalidInput: There are not as many as there are rows, one is malformed, or an id is repeated.
    """
    rows = table.rows
    if not parameters:
        return Question(table, new_ids(rows), (now_micros,) * rows, (_no_context,) * rows, now_micros)
    ids = parameters.get(IDS)
    times = parameters.get(EVENT_TIME)
    context = parameters.get(CONTEXT)
    return Question(
        table,
        new_ids(rows) if ids is None else _ids(ids, rows),
        (now_micros,) * rows if times is None else _times(times, rows),
        (_no_context,) * rows if context is None else _contexts(context, rows),
        now_micros,
        parameters.get(TRIAL) is True,
    )


def _ids(given: Any, rows: int) -> list[str]:
    ids = given.split(",") if isinstance(given, str) else given
    if not isinstance(ids, list) or len(ids) != rows:
        raise _miscounted(IDS, ids, rows)
    for row, one in enumerate(ids):
        if not isinstance(one, str) or not is_prediction_id(one):
            raise InvalidInput(
                f"row {row}: the prediction id is not usable", why="an id is a string of 1 to 200 printable characters"
            )
    if len(set(ids)) < rows:
        raise InvalidInput("a prediction id is given twice", why="each row has an id of its own")
    return ids


def _times(given: Any, rows: int) -> list[int]:
    times = given.split(",") if isinstance(given, str) else given
    if not isinstance(times, list) or len(times) not in (1, rows) or (isinstance(given, list) and len(times) != rows):
        raise _miscounted(EVENT_TIME, times, rows)
    micros = [_micros(time) for time in times]
    return micros if len(micros) == rows else micros * rows


def _micros(time: Any) -> int:
    try:
        return to_micros(msgspec.convert(time, datetime))
    except (msgspec.ValidationError, InvalidInput) as error:
        raise InvalidInput(
            "an event time cannot be read", why="expected RFC 3339 with a zone", fix="2013-01-01T05:15:00Z"
        ) from error


def _contexts(given: Any, rows: int) -> Sequence[dict[str, str]]:
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except msgspec.DecodeError as error:
            raise InvalidInput("the context cannot be read", why=f"expected JSON; {error}") from error
    try:
        contexts: dict[str, str] | list[dict[str, str]] = msgspec.convert(given, dict[str, str] | list[dict[str, str]])
    except msgspec.ValidationError as error:
        raise InvalidInput("the context cannot be read", why=f"expected an object of strings; {error}") from error
    if isinstance(contexts, dict):
        return (contexts,) * rows
    if len(contexts) != rows:
        raise _miscounted(CONTEXT, contexts, rows)
    return contexts


def _miscounted(name: str, given: Any, rows: int) -> InvalidInput:
    found = f"{len(given)}" if isinstance(given, list) else "none"
    return InvalidInput(f"'{name}' does not match the rows", why=f"there are {rows} rows and {found} of these")
