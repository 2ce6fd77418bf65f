"""Hold values against the rules that their annotations carry: `Annotated[pa.Table, not_null("id")]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args, get_origin, runtime_checkable

from interlock.core.loaded import is_arrow

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_SHOWN = 3


@runtime_checkable
class RowRule(Protocol):
    """A rule on every row of a table, such as those of the data room.

    Args:
        name: What reports call it.
        columns: The columns it reads.
    """

    name: str
    columns: tuple[str, ...]

    def broken_rows(self, frame: Any) -> pa.Table:
        """Return the rows that break it, each with its place in a first column `row`."""
        ...


def rules_of(hint: Any) -> tuple[Any, ...]:
    """Return the rules that an annotation carries; texts and other notes among them are none."""
    if get_origin(hint) is not Annotated:
        return ()
    return tuple(_rules_in(get_args(hint)[1:]))


def rule_problem(rules: tuple[Any, ...], value: Any) -> str:
    """Say which rule a value breaks, in which column and in which rows first; empty if none.

    A rule is a row rule, or a function that returns True or None if all is well, False or a text that says what is
    not, or one True or False for each row.
    """
    for rule in rules:
        problem = _broken_rows(rule, value) if isinstance(rule, RowRule) else _says(rule, value)
        if problem:
            return problem
    return ""


def _rules_in(notes: Any) -> Iterator[Any]:
    for note in notes:
        if isinstance(note, (list, tuple)):
            yield from _rules_in(note)
        elif isinstance(note, RowRule) or (
            callable(note) and not isinstance(note, type) and not is_arrow(note, "Schema")
        ):
            yield note


def _broken_rows(rule: RowRule, value: Any) -> str:
    broken = rule.broken_rows(value)
    if broken.num_rows == 0:
        return ""
    places = broken.column(0).to_pylist()
    return _wording(f"'{rule.name}'", places, broken.drop_columns([broken.column_names[0]]), rule.columns)


def _says(rule: Callable[[Any], Any], value: Any) -> str:
    name = getattr(rule, "__name__", type(rule).__name__)
    verdict = rule(value)
    if verdict is None or verdict is True:
        return ""
    if isinstance(verdict, str):
        return f"rule '{name}': {verdict}" if verdict else ""
    import numpy as np
    import pyarrow as pa

    held = np.asarray(verdict)
    if held.ndim == 0:
        return "" if bool(held) else f"rule '{name}' does not hold"
    places = np.flatnonzero(~held.astype(bool)).tolist()
    if not places:
        return ""
    first = places[:_ROWS_SHOWN]
    if hasattr(value, "iloc"):
        rows = pa.Table.from_pandas(value.iloc[first], preserve_index=False) if hasattr(value, "columns") else None
    else:
        rows = value.take(first) if isinstance(value, pa.Table) else None
    return _wording(f"'{name}'", places, rows, ())


def _wording(rule: str, places: list[int], rows: pa.Table | None, columns: tuple[str, ...]) -> str:
    where = f" in column {', '.join(repr(one) for one in columns)}" if columns else ""
    text = f"rule {rule} is broken{where} by {len(places)} rows, first {', '.join(map(str, places[:_ROWS_SHOWN]))}"
    if rows is None:
        return text
    shown = "; ".join(str(row) for row in rows.slice(0, _ROWS_SHOWN).to_pylist())
    return f"{text}: {shown if len(shown) <= 500 else shown[:499] + '…'}"
