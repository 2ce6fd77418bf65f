"""Draw the graph of a pipeline's run as text: each call below those whose outputs it takes, equal ones together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.core.units import human_seconds
from interlock.ports.step_cache import GraphNode

_SIGNS = {"finished": "✓", "reused": "↺", "failed": "✗", "killed": "✗", "running": "▶", "skipped": "·", "waiting": "…"}


class Drawn(msgspec.Struct, frozen=True):
    """One line of a drawn graph.

    Args:
        depth: How many calls lie on the longest way to it.
        step: The step, with the pipelines inside this one that called it.
        count: How many calls the line stands for.
        status: How they stand; of several ways the worst.
        after: The steps whose outputs they take.
        duration_s: How long they took together.
    """

    depth: int
    step: str
    count: int
    status: str
    after: tuple[str, ...]
    duration_s: float

    @property
    def line(self) -> str:
        """The line as people read it."""
        many = f" × {self.count}" if self.count > 1 else ""
        after = f"  ← {', '.join(self.after)}" if self.after else ""
        took = f"  {human_seconds(self.duration_s)}" if self.duration_s else ""
        return f"{'  ' * self.depth}{_SIGNS.get(self.status, '?')} {self.step}{many}{took}{after}"


_WORST = ("failed", "killed", "running", "waiting", "skipped", "finished", "reused")


def drawn(nodes: Sequence[GraphNode]) -> list[Drawn]:
    """Return the lines of a graph, from the first calls to the last.

    Calls of one step at one depth that take the outputs of the same steps are one line, so that a fan-out over a
    thousand values is a line of a picture that can be read.
    """
    depths: dict[int, int] = {}
    names = {node.node: node.group + node.step for node in nodes}
    lines: dict[tuple[int, str, tuple[str, ...]], list[GraphNode]] = {}
    for node in nodes:
        depth = depths[node.node] = 1 + max((depths.get(source, 0) for source in node.inputs), default=-1)
        after = tuple(dict.fromkeys(names[source] for source in node.inputs if source in names))
        lines.setdefault((depth, names[node.node], after), []).append(node)
    return [
        Drawn(
            depth,
            step,
            len(calls),
            min((call.status for call in calls), key=lambda one: _WORST.index(one) if one in _WORST else 0),
            after,
            sum(call.duration_s for call in calls),
        )
        for (depth, step, after), calls in sorted(lines.items(), key=lambda one: (one[0][0], one[1][0].node))
    ]
