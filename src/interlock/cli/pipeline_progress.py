"""Show how far a pipeline's run has come: a bar on a terminal, plain lines in a log, nothing when asked for nothing."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from interlock.core.errors import InterlockError
from interlock.ports.run_store import RunFilter
from interlock.ports.step_cache import GraphNode
from interlock.workspace import Workspace

_EVERY_S = 0.25
_LINE_EVERY = 20
"""Of the looks at a run, each how-manyeth becomes a line of a log."""
_DONE = ("finished", "reused", "failed", "skipped", "killed", "cancelled")


@contextmanager
def progress(workspace: Workspace, name: str, *, quiet: bool) -> Iterator[None]:
    """Show the progress of the pipeline that is run inside, on standard error.

    Args:
        workspace: Where it runs.
        name: The pipeline's name.
        quiet: Show nothing.
    """
    if quiet:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(workspace, name, over), name="interlock-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(workspace: Workspace, name: str, over: threading.Event) -> None:
    begun = workspace.clock.now()
    nodes: dict[int, GraphNode] = {}
    run_id, change, looks = "", 0, 0
    with _writer(name) as write:
        while not over.wait(_EVERY_S):
            try:
                if not run_id:
                    newest = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"), limit=5)
                    run_id = next((one.id for one in newest if one.name == name and one.started_at >= begun), "")
                changed = workspace.pipelines.graph(run_id, after=change) if run_id else []
            except InterlockError:
                continue  # the run itself says what is wrong with the workspace
            nodes |= {node.node: node for node in changed}
            change = max([change, *(node.change for node in changed)])
            looks += 1
            if nodes:
                write(
                    in_words(list(nodes.values())),
                    sum(one.status in _DONE for one in nodes.values()),
                    len(nodes),
                    looks,
                )


@contextmanager
def _writer(name: str) -> Iterator[Callable[[str, int, int, int], None]]:
    """Give what shows one look at a run."""
    if not sys.stderr.isatty():
        with nullcontext():
            yield lambda words, done, total, looks: _line(f"{name}: {words}") if looks % _LINE_EVERY == 0 else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(name), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None, words="")
        yield lambda words, done, total, looks: bar.update(task, completed=done, total=total, words=words)


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def in_words(nodes: list[GraphNode]) -> str:
    """Say how many steps of a run are done, and which run now.

    Example:
        >>> in_words([GraphNode(0, "load", "reused"), GraphNode(1, "train", "running")])
        '1 of 2 steps done (1 reused), running: train'
    """
    counts: Counter[str] = Counter(node.status for node in nodes)
    running = list(dict.fromkeys(node.step for node in nodes if node.status == "running"))
    told = ", ".join(f"{counts[one]} {one}" for one in ("reused", "failed", "skipped") if counts[one])
    words = f"{sum(counts[one] for one in _DONE)} of {len(nodes)} steps done" + (f" ({told})" if told else "")
    return words + (f", running: {', '.join(running[:3])}" if running else "")
