"""State what must be true of every row, and part the rows that break it from those that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.clock import aware
from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.data.frames import to_arrow

BROKEN_RULES = "broken_rules"
"""The column of quarantined rows that names the rules they broke, with commas between."""

_ROW = "__row__"
_PLACE = "__place__"


class Rule(msgspec.Struct, frozen=True):
    """One condition on every row. As in an SQL CHECK, a row for which it is unknown (null) does not break it.

    Args:
        name: What reports call it; unique among the rules of a check, without commas.
        columns: The columns it reads; empty for a free expression.
        predicate: The condition as a DuckDB expression.
    """

    name: str
    columns: tuple[str, ...]
    predicate: str

    def broken_rows(self, frame: Any) -> pa.Table:
        """Return the rows of a table of any library that break it, each with its place in a first column `row`.

        So a rule can stand in an annotation of a step: `Annotated[pa.Table, not_null("id")]`.
        """
        table = to_arrow(frame)
        bad = check(table.append_column(_PLACE, pa.array(np.arange(table.num_rows))), [self]).bad
        return bad.select([_PLACE, *table.column_names]).rename_columns(["row", *table.column_names])


@dataclass(frozen=True)
class Checked:
    """A table parted by its rules.

    Args:
        good: The rows that break no rule, in order.
        bad: The others, in order, with the further column `broken_rules`.
        violations: For each rule that was broken, how many rows broke it.
    """

    good: pa.Table
    bad: pa.Table
    violations: dict[str, int]


def not_null(column: str, *, name: str = "") -> Rule:
    """Require a value."""
    return _rule(name or f"{column} not null", (column,), f"{_quoted(column)} IS NOT NULL")


def in_range(column: str, low: Any = None, high: Any = None, *, name: str = "") -> Rule:
    """Require `low <= value <= high`; None leaves an end open."""
    if low is None and high is None:
        raise InvalidInput(f"the range of '{column}' has no end", fix=f'in_range("{column}", 0, 100)')
    parts = [f"{_quoted(column)} >= {_literal(low)}"] if low is not None else []
    parts += [f"{_quoted(column)} <= {_literal(high)}"] if high is not None else []
    return _rule(name or f"{column} in range", (column,), " AND ".join(parts))


def one_of(column: str, values: Sequence[Any], *, name: str = "") -> Rule:
    """Require one of the values."""
    if isinstance(values, str) or not values:
        raise InvalidInput(f"'{column}' has no values to choose from", fix=f'one_of("{column}", ["a", "b"])')
    # IN and = would cast the column to the values' type and fail on some row; >= refuses other types at once
    own = _quoted(column)
    choices = " OR ".join(f"({own} >= {value} AND {own} <= {value})" for value in map(_literal, values))
    return _rule(name or f"{column} one of", (column,), choices)


def matches(column: str, pattern: str, *, name: str = "") -> Rule:
    """Require that the whole value matches a regular expression (RE2 syntax)."""
    return _rule(name or f"{column} matches", (column,), f"regexp_full_match({_quoted(column)}, {_literal(pattern)})")


def unique(*columns: str, name: str = "") -> Rule:
    """Require that no two rows agree in all the columns; every one of such rows breaks it, rows with a null none."""
    if not columns:
        raise InvalidInput("a unique rule names no column", fix='unique("flight_id")')
    keys = ", ".join(map(_quoted, columns))
    null = " OR ".join(f"{_quoted(column)} IS NULL" for column in columns)
    return _rule(name or f"{'+'.join(columns)} unique", columns, f"{null} OR count(*) OVER (PARTITION BY {keys}) = 1")


def expression(sql: str, *, name: str) -> Rule:
    """Require a DuckDB expression over the row's columns, as in `expression("seats > 0", name="has seats")`.

    Raises:
        InvalidInput: It is not exactly one expression.
    """
    try:
        predicate = str(duckdb.SQLExpression(sql))
    except duckdb.Error as error:
        raise InvalidInput(
            f"the rule '{name}' is not one SQL expression", why=_first_line(error), fix="seats > 0 AND year < 2014"
        ) from error
    return _rule(name, (), predicate)


def check(table: pa.Table, rules: Sequence[Rule]) -> Checked:
    """Part a table by rules, in one pass of DuckDB over the columns that they read.

    Args:
        table: A table as `to_arrow` gives it.
        rules: The rules; each row is held against all of them.

    Raises:
        SchemaMismatch: A rule names a column that is not there, or does not fit a column's type; before any work.
        InvalidInput: Two rules have one name, or a rule fails on a value.
    """
    if not rules:
        return Checked(table, _marked(table.slice(0, 0), []), {})
    _check_names(table, rules)
    with duckdb.connect(config={"enable_external_access": "false", "lock_configuration": "true"}) as connection:
        _check_binding(connection, table, rules)
        connection.register("rows", table.append_column(_ROW, pa.array(np.arange(table.num_rows))))
        kept = ", ".join(f"coalesce(({rule.predicate}), true) AS r{k}" for k, rule in enumerate(rules))
        every = " AND ".join(f"r{k}" for k in range(len(rules)))
        try:
            broken = connection.sql(
                f"SELECT * FROM (SELECT {_ROW}, {kept} FROM rows) WHERE NOT ({every}) ORDER BY {_ROW}"
            ).to_arrow_table()
        except duckdb.Error as error:
            raise InvalidInput("a rule fails on a value of the table", why=_first_line(error)) from error
    if broken.num_rows == 0:
        return Checked(table, _marked(table.slice(0, 0), []), {})
    flags = [broken.column(f"r{k}").to_pylist() for k in range(len(rules))]
    names = [[rule.name for rule, kept in zip(rules, row, strict=True) if not kept] for row in zip(*flags, strict=True)]
    counts = Counter(name for row in names for name in row)
    position = broken.column(_ROW)
    is_bad = pc.is_in(pa.array(np.arange(table.num_rows)), position)
    return Checked(
        good=table.filter(pc.invert(is_bad)),
        bad=_marked(table.take(position), [",".join(row) for row in names]),
        violations={rule.name: counts[rule.name] for rule in rules if counts[rule.name]},
    )


def _rule(name: str, columns: tuple[str, ...], predicate: str) -> Rule:
    if not name.strip() or "," in name:
        raise InvalidInput(f"'{name}' cannot name a rule", why="a rule's name is not empty and holds no comma")
    return Rule(name, columns, predicate)


def _check_names(table: pa.Table, rules: Sequence[Rule]) -> None:
    repeated = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if repeated:
        raise InvalidInput(
            f"two rules are called '{repeated[0]}'", why="reports go by name", fix='not_null("x", name="…")'
        )
    if BROKEN_RULES in table.column_names:
        raise InvalidInput(
            f"the table has a column '{BROKEN_RULES}'",
            why="quarantined rows name their broken rules in a column of that name",
            fix=f"rename or drop '{BROKEN_RULES}'",
        )
    for rule in rules:
        for column in rule.columns:
            if column not in table.column_names:
                raise SchemaMismatch(
                    f"the rule '{rule.name}' reads the column '{column}', which the table lacks",
                    why=did_you_mean(column, table.column_names),
                )


def _check_binding(connection: duckdb.DuckDBPyConnection, table: pa.Table, rules: Sequence[Rule]) -> None:
    connection.register("sample", table.slice(0, 0))
    for rule in rules:
        try:
            kind = connection.sql(f"SELECT ({rule.predicate}) FROM sample").types[0]
        except duckdb.Error as error:
            raise SchemaMismatch(
                f"the rule '{rule.name}' does not fit the table's columns",
                why=_first_line(error),
                fix="columns: " + ", ".join(f"{field.name} {field.type}" for field in table.schema),
            ) from error
        if kind != "BOOLEAN":
            raise SchemaMismatch(f"the rule '{rule.name}' is not a condition", why=f"expected a BOOLEAN, got {kind}")
    connection.unregister("sample")


def _marked(rows: pa.Table, broken: list[str]) -> pa.Table:
    return rows.append_column(BROKEN_RULES, pa.array(broken, pa.string()))


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    """Write a value as a DuckDB literal that means exactly that value and nothing else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{int(value)}::BIGINT"
    if isinstance(value, float) and value == value:
        return f"'{float(value)!r}'::DOUBLE"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{aware(value).isoformat()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'::VARCHAR"
    raise InvalidInput(
        f"a rule cannot compare with {value!r}", why="expected a number, a string, a boolean or a time with a zone"
    )


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0]
