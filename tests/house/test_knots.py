"""No modules import each other in a circle, imports inside functions counted."""

from __future__ import annotations

from collections.abc import Mapping

from tests.house.source import imports, modules


def knots(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the sets of two or more nodes that reach each other.

    Source: Tarjan, Depth-first search and linear graph algorithms (1972), written without recursion.
    """
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    found: list[set[str]] = []
    for root in graph:
        work = [(root, iter(sorted(graph[root])))] if root not in order else []
        while work:
            node, children = work[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                open_.append(node)
            child = next(children, None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    knot = set(open_[open_.index(node) :])
                    del open_[open_.index(node) :]
                    found += [knot] if len(knot) > 1 else []
            elif child not in order:
                work.append((child, iter(sorted(graph.get(child, ())))))
            elif child in open_:
                low[node] = min(low[node], order[child])
    return found


def test_the_search_finds_planted_circles() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}, "g": {"g"}}
    assert sorted(map(sorted, knots(graph))) == [["a", "b", "c"], ["d", "e"]]
    assert knots({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_the_largest_knot_is_nothing() -> None:
    graph = {m.name: {found.target for found in imports(m)} - {m.name, "interlock"} for m in modules()}
    assert knots(graph) == []
