"""Print answers in the one way there is: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO, TypeVar

import msgspec

from interlock.core.errors import InterlockError

Record = TypeVar("Record")
Columns = Mapping[str, Callable[[Record], Any]]
"""Column title to what it shows of a record, in order."""


@dataclass(frozen=True)
class Table:
    """Rows under titles."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Args:
        data: All of it, for `--json`; anything that msgspec can write.
        blocks: The same for people: paragraphs and tables, in order.
        exit_code: What the process returns.
    """

    data: Any
    blocks: tuple[str | Table, ...] = ()
    exit_code: int = 0


@dataclass(frozen=True)
class Stream:
    """An answer that comes bit by bit: for each bit its data and its line."""

    items: Iterable[tuple[Any, str]]


def listing(records: Sequence[Record], columns: Columns[Record], *, empty: str) -> Answer:
    """Answer with one row per record, or with what to do when there is none."""
    return Answer(list(records), (table(records, columns),) if records else (empty,))


def table(records: Iterable[Record], columns: Columns[Record], *, caption: str = "") -> Table:
    """Lay records out as a table."""
    rows = tuple(tuple(cell(show(record)) for show in columns.values()) for record in records)
    return Table(tuple(columns), rows, caption)


def fields(pairs: Mapping[str, Any]) -> Table:
    """Lay the parts of one thing out, one per line; parts without a value are left out."""
    return Table((), tuple((name, cell(value)) for name, value in pairs.items() if value not in (None, "", (), {})))


def cell(value: Any) -> str:
    """Write a value the way people read it.

    Example:
        >>> cell(0.73456), cell(True), cell(None), cell(("a", "b"))
        ('0.7346', 'yes', '–', 'a, b')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    return str(value)


def show(answer: Answer | Stream | None, *, as_json: bool, out: TextIO) -> int:
    """Print an answer; return its exit code."""
    if isinstance(answer, Stream):
        for data, line in answer.items:
            out.write((_json(data) if as_json else line) + "\n")
            out.flush()
        return 0
    if answer is None:
        return 0
    if as_json:
        out.write(_json(answer.data, indent=2 if out.isatty() else 0) + "\n")
    else:
        for number, block in enumerate(answer.blocks):
            out.write("\n" if number else "")
            if isinstance(block, str):
                out.write(block + "\n")
            elif out.isatty():
                _show_rich(block, out)
            else:
                out.write(plain(block))
    out.flush()
    return answer.exit_code


def announce(data: Any, line: str, *, as_json: bool) -> None:
    """Print one thing that a command has to say before it ends, at once."""
    show(Stream([(data, line)]), as_json=as_json, out=sys.stdout)


def complain(error: InterlockError, *, as_json: bool, err: TextIO) -> int:
    """Print what, because and try; return the error's exit code."""
    if as_json:
        problem = {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}
        err.write(_json({"error": problem}) + "\n")
    else:
        err.write(f"{error}\n")
    return error.exit_code


def plain(block: Table) -> str:
    """Write a table as aligned text, nothing cut off."""
    rows = [block.titles, *block.rows] if block.titles else list(block.rows)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(([block.caption] if block.caption else []) + lines) + "\n"


@contextmanager
def status(message: str) -> Iterator[None]:
    """Show that work is going on, on a terminal; elsewhere stay silent."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(message):
        yield


def _json(data: Any, *, indent: int = 0) -> str:
    encoded = msgspec.json.encode(data, enc_hook=str)
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()


def _show_rich(block: Table, out: TextIO) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    drawn = RichTable(
        *block.titles,
        box=None,
        show_header=bool(block.titles),
        title=escape(block.caption) or None,
        title_justify="left",
    )
    if not block.titles:
        drawn.add_column(style="dim", no_wrap=True)
        drawn.add_column(overflow="fold")
    for row in block.rows:
        drawn.add_row(*map(escape, row))
    Console(file=out, highlight=False).print(drawn)
