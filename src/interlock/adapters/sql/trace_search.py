"""Write searches for traces as conditions and orders in SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from interlock.adapters.sql.dialect import Dialect, is_found
from interlock.ports.trace_filters import ORDERINGS, patterns
from interlock.ports.trace_rules import read_number
from interlock.ports.trace_search import (
    AllTraces,
    AnySpan,
    AnyTraces,
    SpanCompare,
    TraceCompare,
    TraceFilter,
    TraceNot,
    TraceOrder,
)
from interlock.ports.trace_store import SESSION, SOURCE_RUN

Clause = tuple[str, list[Any]]

_COLUMNS = {
    "id": "t.id",
    "experiment": "t.experiment",
    "start_ms": "t.started",
    "duration_ms": "t.duration",
    "end_ms": "(t.started + COALESCE(t.duration, 0))",
    "status": "t.status",
    "client_request": "t.client_request",
}
_TABLES = {"tag": "trace_tags", "metadata": "trace_metadata"}
_NOTHING: Clause = ("1 = 0", [])
# an assessment is of its trace, or through its metadata of a whole session
_COVERS = f"""(a.trace = t.id OR (a.session IS NOT NULL
    AND EXISTS (SELECT 1 FROM trace_metadata m WHERE m.trace = t.id AND m.key = '{SESSION}' AND m.value = a.session)
    AND EXISTS (SELECT 1 FROM traces o WHERE o.id = a.trace AND o.experiment = t.experiment)))"""


def condition(dialect: Dialect, where: TraceFilter | None) -> Clause:
    """Return the condition on `traces t` that a filter means.

    Raises:
        InvalidInput: A regular expression in it is none.
    """
    for pattern in patterns(where):
        is_found(pattern, "")
    return ("1 = 1", []) if where is None else _clause(dialect, where)


class Key(NamedTuple):
    """One key of an order: its expression, the parameters in that, and whether it descends."""

    text: str
    params: list[Any]
    descending: bool


def ordering(order: Sequence[TraceOrder]) -> list[Key]:
    """Return what traces are ordered by: of each key whether there is no value, and the value; start and id at last."""
    keys: list[Key] = []
    for one in order:
        value, params = _COLUMNS.get(one.key, ""), []
        if one.part != "attribute":
            value = f"(SELECT x.value FROM {_TABLES[one.part]} x WHERE x.trace = t.id AND x.key = ?)"
            params = [one.key]
        keys.append(Key(f"CASE WHEN {value} IS NULL THEN 1 ELSE 0 END", params, descending=False))
        keys.append(Key(value, params, one.descending))
    return [*keys, Key("t.started", [], descending=True), Key("t.id", [], descending=False)]


def behind(keys: Sequence[Key], values: Sequence[Any]) -> Clause:
    """Return the condition for traces that come after one with these values.

    Args:
        keys: What `ordering` gave.
        values: What `read_place` gave.
    """
    flags_and_values = [part for value in values[:-2] for part in (int(value is None), value)]
    alternatives: list[Clause] = []
    equal: Clause = ("1 = 1", [])
    for key, value in zip(keys, [*flags_and_values, *values[-2:]], strict=True):
        if value is not None:
            text, params = equal
            beyond = "<" if key.descending else ">"
            alternatives.append((f"{text} AND {key.text} {beyond} ?", [*params, *key.params, value]))
            equal = (f"{text} AND {key.text} = ?", [*params, *key.params, value])
    condition = "(" + " OR ".join(f"({text})" for text, _ in alternatives) + ")"
    asked = [one for _, params in alternatives for one in params]
    if len(keys) > 2:
        return condition, asked
    # said again so that the index on the start is entered where the page begins
    return f"t.started <= ? AND {condition}", [values[0], *asked]


def _clause(dialect: Dialect, where: TraceFilter) -> Clause:
    if isinstance(where, TraceNot):
        text, params = _clause(dialect, where.clause)
        # what lacks a value compares as unknown, and the opposite of that has to be true
        return f"NOT COALESCE(({text}), 1 = 0)", params
    if isinstance(where, (AllTraces, AnyTraces)):
        joined = [_clause(dialect, one) for one in where.clauses]
        if not joined:
            return ("1 = 1", []) if isinstance(where, AllTraces) else _NOTHING
        word = " AND " if isinstance(where, AllTraces) else " OR "
        return "(" + word.join(text for text, _ in joined) + ")", [one for _, params in joined for one in params]
    if isinstance(where, AnySpan):
        matched = [_span(dialect, one) for one in where.compares]
        texts = " AND ".join(["s.trace = t.id", *(text for text, _ in matched)])
        return f"EXISTS (SELECT 1 FROM spans s WHERE {texts})", [one for _, params in matched for one in params]
    return _compare(dialect, where)


def _compare(dialect: Dialect, one: TraceCompare) -> Clause:
    if one.part == "link":
        linked = "EXISTS (SELECT 1 FROM trace_links l WHERE l.trace = t.id AND l.ref = ?)"
        made = (
            f"EXISTS (SELECT 1 FROM trace_metadata m WHERE m.trace = t.id AND m.key = '{SOURCE_RUN}' AND m.value = ?)"
        )
        run = str(one.value).removeprefix("run:")
        return (linked, [one.value]) if run == one.value else (f"({linked} OR {made})", [one.value, run])
    if one.part == "issue":
        known = "a.trace = t.id AND a.kind = 'issue' AND a.name = ?"
        return f"EXISTS (SELECT 1 FROM trace_assessments a WHERE {known})", [one.value]
    if one.part in ("feedback", "expectation"):
        text, params = _judged(dialect, one)
        known = f"a.kind = ? AND a.name = ? AND a.valid = 1 AND {_COVERS}{text}"
        word = "NOT EXISTS" if one.operator == "IS NULL" else "EXISTS"
        return f"{word} (SELECT 1 FROM trace_assessments a WHERE {known})", [one.part, one.key, *params]
    if one.part == "attribute":
        return _matched(dialect, _COLUMNS[one.key], one.operator, one.value)
    table = _TABLES[one.part]
    text, params = ("", [])
    if one.operator not in ("IS NULL", "IS NOT NULL"):
        text, params = _matched(dialect, "x.value", one.operator, one.value)
        text = f" AND {text}"
    word = "NOT EXISTS" if one.operator == "IS NULL" else "EXISTS"
    return f"{word} (SELECT 1 FROM {table} x WHERE x.trace = t.id AND x.key = ?{text})", [one.key, *params]


def _judged(dialect: Dialect, one: TraceCompare) -> Clause:
    if one.operator in ("IS NULL", "IS NOT NULL"):
        return "", []
    if one.operator in ORDERINGS:
        return f" AND a.number {one.operator} ?", [float(one.value)]  # type: ignore[arg-type]
    if one.operator not in ("=", "!="):
        text, params = _matched(dialect, "a.text", one.operator, one.value)
        return f" AND {text}", params
    alternatives, params = [], []
    if isinstance(one.value, str):
        alternatives.append("a.text = ?")
        params.append(one.value)
    number = read_number(one.value) if isinstance(one.value, str) else float(one.value)  # type: ignore[arg-type]
    if number is not None:
        alternatives.append("COALESCE(a.number = ?, 1 = 0)")
        params.append(number)
    word = "" if one.operator == "=" else "NOT "
    return f" AND {word}({' OR '.join(alternatives)})", params


def _span(dialect: Dialect, one: SpanCompare) -> Clause:
    if one.part in ("name", "kind", "status"):
        return _matched(dialect, f"s.{one.part}", one.operator, one.value)
    each = "json_each(s.texts)" if dialect.name == "sqlite" else "json_each_text(s.texts::json)"
    if one.part == "attribute":
        text, params = _matched(dialect, f"(e.value{dialect.byte_order})", one.operator, one.value)
        return f"EXISTS (SELECT 1 FROM {each} e WHERE e.key = ? AND {text})", [one.key, *params]
    name, params = _matched(dialect, "s.name", one.operator, one.value)
    line, _ = _matched(dialect, f"((e.key || ': ' || e.value){dialect.byte_order})", one.operator, one.value)
    return f"({name} OR EXISTS (SELECT 1 FROM {each} e WHERE {line}))", [*params, *params]


def _matched(dialect: Dialect, value: str, how: str, wanted: Any) -> Clause:
    """Return the condition that a value, of SQL, compares with what is wanted."""
    if how in ("IS NULL", "IS NOT NULL"):
        return f"{value} {how}", []
    if how in ("IN", "NOT IN"):
        return f"{value} {how} ({', '.join('?' * len(wanted))})", list(wanted)
    if how not in ("LIKE", "ILIKE", "RLIKE"):
        return f"{value} {how} ?", [wanted]
    if dialect.name == "sqlite":
        if how == "RLIKE":
            return f"rlike(?, {value})", [wanted]
        # SQLite's LIKE never tells the case of ASCII letters, its GLOB always does
        return (f"{value} GLOB ?", [_glob(wanted)]) if how == "LIKE" else (f"{value} LIKE ?", [wanted])
    if how == "RLIKE":
        return f"{value} ~ ?", [_boundaries(wanted)]
    return f"{value} {how} ? ESCAPE ''", [wanted]


def _glob(pattern: str) -> str:
    """Return a pattern of LIKE as one of GLOB.

    Example:
        >>> _glob("a%_*")
        'a*?[*]'
    """
    return "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(char, char) for char in pattern)


def _boundaries(pattern: str) -> str:
    r"""Return a regular expression as PostgreSQL writes it, where a word's boundary is \y."""
    return re.sub(r"\\(.)", lambda found: r"\y" if found[1] == "b" else found[0], pattern)
