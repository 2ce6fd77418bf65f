"""Answer with a picture of lineage, laid out layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from interlock.core.refs import Ref
from interlock.loop.tracing import Trace
from interlock.ports.journal import Edge
from interlock.server.view_routes import Source, View
from interlock.server.views import GraphEdge, GraphNode, LineageView

LAYER_WIDTH = 240.0
"""Pixels from one layer to the next, left to right."""
NODE_HEIGHT = 72.0
"""Pixels from one node to the next within a layer."""


class LineageQuery(msgspec.Struct, frozen=True):
    """Whose lineage, how many steps away, and how many edges each way."""

    ref: str
    depth: Annotated[int, msgspec.Meta(ge=1, le=32)] = 12
    limit: Annotated[int, msgspec.Meta(ge=1, le=300)] = 120


class TraceQuery(msgspec.Struct, frozen=True):
    """Whose ways are asked for."""

    ref: str


def get_trace(source: Source, query: TraceQuery) -> Trace:
    """Return the ways back and forward from a thing, each step described."""
    return source.trace(query.ref)


def get_lineage(source: Source, query: LineageQuery) -> LineageView:
    """Return what a thing was made from and what was made from it."""
    ref = str(Ref.parse(query.ref))
    walk = source.stores.journal.walk
    back = walk(ref, direction="back", depth=query.depth, limit=query.limit)
    forward = walk(ref, direction="forward", depth=query.depth, limit=query.limit)
    edges = sorted(set(back) | set(forward))
    places = place(ref, edges)
    left = min(x for x, _ in places.values())
    top = min(y for _, y in places.values())
    nodes = tuple(_node(name, x - left, y - top) for name, (x, y) in sorted(places.items()))
    return LineageView(
        ref=ref,
        nodes=nodes,
        edges=tuple(GraphEdge(edge.source, edge.target, edge.relation) for edge in edges),
        width=max(node.x for node in nodes),
        height=max(node.y for node in nodes),
    )


def place(ref: str, edges: Iterable[Edge]) -> Mapping[str, tuple[float, float]]:
    """Return where each node lies: earlier things to the left.

    Source: Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical system structures" (1981), as
    the library fast-sugiyama implements it.
    """
    pairs = _acyclic((edge.source, edge.target) for edge in edges)
    if not pairs:
        return {ref: (0.0, 0.0)}
    import fast_sugiyama

    layout = fast_sugiyama.from_edges(pairs, vertex_spacing=NODE_HEIGHT)
    # names that are numbers are the library's own: they keep room where long edges pass
    return {
        name: (-up / NODE_HEIGHT * LAYER_WIDTH, across)
        for positions, _, _, _ in layout
        for name, (across, up) in positions
        if isinstance(name, str)
    }


def _acyclic(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs without those that close a cycle: the layout library does not end on cycles."""
    below: dict[str, list[str]] = {}
    kept: list[tuple[str, str]] = []
    for source, target in sorted(set(pairs)):
        if not _reaches(below, target, source):
            below.setdefault(source, []).append(target)
            kept.append((source, target))
    return kept


def _reaches(below: Mapping[str, list[str]], start: str, goal: str) -> bool:
    waiting, seen = [start], {start}
    while waiting:
        node = waiting.pop()
        if node == goal:
            return True
        new = [one for one in below.get(node, ()) if one not in seen]
        seen.update(new)
        waiting += new
    return False


def _node(ref: str, x: float, y: float) -> GraphNode:
    kind, _, label = ref.partition(":")
    return GraphNode(ref=ref, kind=kind, label=label or ref, x=x, y=y)


VIEWS = (
    View(path="/lineage", read=get_lineage, query=LineageQuery),
    View(path="/trace", read=get_trace, query=TraceQuery),
)
