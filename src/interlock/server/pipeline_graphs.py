"""Draw the graph of a pipeline's run: equal calls together, so that a fan-out over a thousand values can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from interlock.ports.step_cache import GraphNode
from interlock.server.layered_layout import Placed, lay_out
from interlock.server.pipeline_views import DrawnEdge, DrawnNode

WORST = ("failed", "killed", "cancelled", "running", "waiting", "skipped", "finished", "reused")
"""How calls stand, what is to be looked at first before the rest."""


class Bundle(msgspec.Struct, frozen=True):
    """Calls that are drawn as one, in the order they were made; the first names it."""

    calls: tuple[GraphNode, ...]
    inputs: tuple[int, ...]

    @property
    def id(self) -> int:
        """The first of its calls."""
        return self.calls[0].node


def worst(calls: Iterable[GraphNode]) -> GraphNode:
    """Return the call to look at first."""
    return min(calls, key=lambda call: WORST.index(call.status) if call.status in WORST else 0)


def bundled(nodes: Sequence[GraphNode], *, apart: bool = False) -> list[Bundle]:
    """Return what is drawn as one: calls of one step at one depth that take outputs of the same steps.

    Args:
        nodes: The calls, each after those it follows.
        apart: Whether each call is drawn by itself.
    """
    depths: dict[int, int] = {}
    names = {node.node: node.group + node.step for node in nodes}
    together: dict[tuple[object, ...], list[GraphNode]] = {}
    for node in nodes:
        depth = depths[node.node] = 1 + max((depths.get(source, 0) for source in node.inputs), default=-1)
        after = tuple(dict.fromkeys(names[source] for source in node.inputs if source in names))
        together.setdefault((node.node,) if apart else (depth, names[node.node], after), []).append(node)
    heads = {call.node: calls[0].node for calls in together.values() for call in calls}
    return [
        Bundle(
            calls=tuple(calls),
            inputs=tuple(dict.fromkeys(heads[source] for call in calls for source in call.inputs if source in heads)),
        )
        for calls in together.values()
    ]


def placed(bundles: Sequence[Bundle]) -> Placed:
    """Lay out bundles."""
    return lay_out({bundle.id: bundle.inputs for bundle in bundles})


def drawn_node(bundle: Bundle, place: tuple[float, float]) -> DrawnNode:
    """Return a bundle as it is drawn."""
    first = worst(bundle.calls)
    reasons = {call.reason for call in bundle.calls}
    return DrawnNode(
        id=bundle.id,
        node=first.node,
        step=first.step,
        group=first.group,
        calls=len(bundle.calls),
        status=first.status,
        statuses=dict(Counter(call.status for call in bundle.calls)),
        reason=first.reason if len(reasons) == 1 else "",
        started_at=min((call.started_at for call in bundle.calls if call.started_at), default=0.0),
        duration_s=sum(call.duration_s for call in bundle.calls),
        error=next((call.error for call in bundle.calls if call.error), None),
        x=place[0],
        y=place[1],
    )


def drawn_edges(bundles: Sequence[Bundle], layout: Placed) -> tuple[DrawnEdge, ...]:
    """Return the edges between bundles."""
    return tuple(
        DrawnEdge(source, bundle.id, layout.bends.get((source, bundle.id), ()))
        for bundle in bundles
        for source in bundle.inputs
    )
