"""Answer with a picture of lineage, laid out layer by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated

import msgspec

from interlock.core.refs import Ref
from interlock.loop.tracing import Trace
from interlock.ports.journal import Edge
from interlock.server.view_routes import Source, View
from interlock.server.views import GraphEdge, GraphNode, LineageView

LAYER_WIDTH = 136.0
"""Pixels from one layer to the next, left to right."""
NODE_HEIGHT = 68.0
"""Pixels from one node to the next within a layer."""
CROWD = 4
"""So many things of one kind, joined in one way to the same thing, are drawn as one."""
LOOP_CLOSERS = ("endpoint:", "alert:")
"""Where the loop closes: what an endpoint served becomes data, and an alert sets off a retrain."""


class LineageQuery(msgspec.Struct, frozen=True):
    """Whose lineage, how many steps away, and how many edges each way."""

    ref: str
    depth: Annotated[int, msgspec.Meta(ge=1, le=32)] = 12
    limit: Annotated[int, msgspec.Meta(ge=1, le=300)] = 300


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
    edges = fold(ref, {*back, *forward})
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


def fold(ref: str, edges: Iterable[Edge]) -> list[Edge]:
    """Draw crowds as one node each, named by the Refs of its members with spaces between.

    A crowd is `CROWD` or more things of one kind that are joined in one way to the same thing: the reports of a model,
    the deployments of an endpoint. Folding one can make the next (the models of those deployments), so it goes on
    until there is none. What is joined to `ref` itself is folded only with its like, so the surroundings stay exact.

    Cost: a pass over the edges for each crowd.
    """
    kept = sorted(set(edges))
    while crowd := _largest_crowd(ref, kept):
        name = " ".join(_members(crowd))
        kept = sorted(
            {
                Edge(
                    name if edge.source in crowd else edge.source,
                    name if edge.target in crowd else edge.target,
                    edge.relation,
                )
                for edge in kept
                if not {edge.source, edge.target} <= crowd
            }
        )
    return kept


def _largest_crowd(ref: str, edges: Iterable[Edge]) -> set[str]:
    """Return the names to be folded next; none when there is no crowd left."""
    near = {name for edge in edges if ref in (edge.source, edge.target) for name in (edge.source, edge.target)}
    alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for edge in edges:
        for hub, name, way in ((edge.source, edge.target, "forward"), (edge.target, edge.source, "back")):
            if name not in (hub, ref) and (hub == ref or name not in near):
                alike[hub, way, edge.relation, _kind(name)].add(name)
    crowds = [names for names in alike.values() if len(names) > 1 and len(_members(names)) >= CROWD]
    return max(crowds, key=lambda names: (len(_members(names)), sorted(names)), default=set())


def _members(names: Collection[str]) -> list[str]:
    return sorted({ref for name in names for ref in name.split()})


def _kind(name: str) -> str:
    return name.partition(":")[0]


def place(ref: str, edges: Iterable[Edge]) -> Mapping[str, tuple[float, float]]:
    """Return where each node lies: earlier things to the left.

    Source: Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical system structures" (1981), as
    the library fast-sugiyama implements it.
    """
    pairs = _acyclic((edge.source, edge.target) for edge in edges)
    if not pairs:
        return {ref: (0.0, 0.0)}
    import fast_sugiyama

    # the library orders names by their hash, which differs from one process to the next; numbers stay in order
    names = sorted({name for pair in pairs for name in pair})
    numbers = {name: number for number, name in enumerate(names)}
    layout = fast_sugiyama.from_edges(
        [(numbers[source], numbers[target]) for source, target in pairs], vertex_spacing=NODE_HEIGHT
    )
    # further numbers are the library's own: they keep room where long edges pass
    return {
        names[number]: (-up / NODE_HEIGHT * LAYER_WIDTH, across)
        for positions, _, _, _ in layout
        for number, (across, up) in positions
        if isinstance(number, int) and number < len(names)
    }


def _acyclic(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs without those that close a cycle, on which the layout library does not end.

    Of a cycle the edge that closes the loop is left out, so that the picture runs from data to endpoint.
    """
    below: dict[str, list[str]] = {}
    kept: list[tuple[str, str]] = []
    for source, target in sorted(set(pairs), key=lambda pair: (pair[0].startswith(LOOP_CLOSERS), pair)):
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


def _node(name: str, x: float, y: float) -> GraphNode:
    kind = _kind(name)
    members = name.split()
    label = name.removeprefix(f"{kind}:") if len(members) == 1 else f"{len(members)} {kind.removesuffix('s')}s"
    return GraphNode(ref=name, kind=kind, label=label, x=x, y=y)


VIEWS = (
    View(path="/lineage", read=get_lineage, query=LineageQuery),
    View(path="/trace", read=get_trace, query=TraceQuery),
)
