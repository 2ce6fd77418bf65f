"""Tell what the demo does: one plain line per station, and a progress bar where a person watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from interlock.core.units import human_seconds

WIDTH = 10


class Narrator:
    """Prints the story of a demo.

    Args:
        console: Where to; by default standard error, so that `--json` keeps standard output to itself.
        quiet: Say nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True, quiet=quiet, highlight=False)
        self._number = 0

    @contextmanager
    def station(self, name: str) -> Iterator[list[str]]:
        """Open a station; the lines that are put into the list are printed, the first beside its name."""
        self._number += 1
        said: list[str] = []
        begun = time.perf_counter()
        with self._console.status(f"{name} …"):
            yield said
        took = human_seconds(time.perf_counter() - begun)
        head = Text.assemble((f"{self._number:>2} ", "dim"), (f"{name:<{WIDTH}}", "bold"), said[0] if said else "")
        self._console.print(head.append(f"  ({took})", "dim"), soft_wrap=True)
        for line in said[1:]:
            self.note(line)

    def note(self, line: str, *, style: str = "") -> None:
        """Print one line under the present station."""
        self._console.print(Text(" " * (WIDTH + 3) + line, style), soft_wrap=True)

    def say(self, line: str = "") -> None:
        """Print a line of its own."""
        self._console.print(Text(line), soft_wrap=True)

    def table(self, table: Table) -> None:
        """Print a table."""
        self._console.print(table)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[_Bar]:
        """Show a bar in a terminal, and nothing elsewhere."""
        columns = (
            TextColumn(" " * WIDTH + "  {task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
        )
        with Progress(
            *columns, TimeElapsedColumn(), console=self._console, transient=True, disable=not self._console.is_terminal
        ) as bar:
            yield _Bar(bar, bar.add_task(title, total=total))


class _Bar:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress = progress
        self._task = task

    def advance(self, title: str) -> None:
        """Move the bar by one, under a new title."""
        self._progress.update(self._task, advance=1, description=title)  # type: ignore[arg-type]
