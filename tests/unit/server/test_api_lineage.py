"""Lineage is walked both ways and laid out: earlier things to the left, cycles and all."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.server.api_lineage import LAYER_WIDTH, place
from interlock.server.views import LineageView
from tests.unit.server.conftest import Get

DATA, RUN, MODEL, ENDPOINT = "dataset:flights@1", "run:01A", "model:delay@1", "endpoint:delay"


def view(get: Get, query: str) -> LineageView:
    found: LineageView = get(f"/api/v1/lineage?{query}").json(LineageView)
    return found


class TestView:
    @pytest.fixture(autouse=True)
    def _linked(self, stores: Stores) -> None:
        stores.journal.link([Edge(DATA, RUN, "read_by"), Edge(RUN, MODEL, "produced"), Edge(MODEL, ENDPOINT, "serves")])

    def test_both_directions_are_walked(self, get: Get) -> None:
        found = view(get, f"ref={MODEL}")
        assert [node.ref for node in found.nodes] == sorted([DATA, RUN, MODEL, ENDPOINT])
        assert {(edge.source, edge.target, edge.relation) for edge in found.edges} == {
            (DATA, RUN, "read_by"), (RUN, MODEL, "produced"), (MODEL, ENDPOINT, "serves")
        }  # fmt: skip

    def test_time_goes_to_the_right(self, get: Get) -> None:
        x = {node.ref: node.x for node in view(get, f"ref={RUN}").nodes}
        assert [x[ref] / LAYER_WIDTH for ref in (DATA, RUN, MODEL, ENDPOINT)] == [0, 1, 2, 3]

    def test_the_picture_begins_at_its_corner(self, get: Get) -> None:
        found = view(get, f"ref={DATA}")
        assert (min(node.x for node in found.nodes), min(node.y for node in found.nodes)) == (0, 0)
        assert (found.width, found.height) == (3 * LAYER_WIDTH, 0)

    def test_depth_and_limit_bound_the_walk(self, get: Get) -> None:
        assert len(view(get, f"ref={MODEL}&depth=1").nodes) == 3
        assert len(view(get, f"ref={DATA}&limit=1").edges) == 1

    def test_nodes_carry_kind_and_label(self, get: Get) -> None:
        node = view(get, f"ref={DATA}&depth=1").nodes[0]
        assert (node.kind, node.label) == ("dataset", "flights@1")

    def test_a_thing_without_edges_stands_alone(self, get: Get) -> None:
        found = view(get, "ref=run:alone")
        assert ([node.ref for node in found.nodes], found.edges) == (["run:alone"], ())

    @pytest.mark.parametrize(
        "query", ["", "ref=", "ref=nonsense", "ref=a:b", f"ref={RUN}&depth=0", f"ref={RUN}&limit=301"]
    )
    def test_wrong_queries_are_400(self, get: Get, query: str) -> None:
        assert get(f"/api/v1/lineage?{query}").problem.code == "IL400"


def test_a_thing_that_leads_to_itself_does_not_end_the_server(stores: Stores, get: Get) -> None:
    stores.journal.link(
        [Edge(RUN, RUN, "contains"), Edge(RUN, MODEL, "x"), Edge(MODEL, RUN, "y"), Edge(RUN, MODEL, "z")]
    )
    found = view(get, f"ref={RUN}")
    assert (len(found.nodes), len(found.edges)) == (2, 4)


_names = st.sampled_from([f"run:{letter}" for letter in "abcdefgh"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.builds(Edge, source=_names, target=_names, relation=st.just("x")), min_size=1, max_size=30))
def test_any_graph_is_laid_out_without_overlap(edges: list[Edge]) -> None:
    places = place(edges[0].source, edges)
    linked = {name for edge in edges if edge.source != edge.target for name in (edge.source, edge.target)}
    assert linked <= set(places) or not linked
    assert len(places) == len(linked) or (not linked and list(places) == [edges[0].source])


def test_nodes_do_not_lie_on_each_other() -> None:
    edges = [Edge(f"run:{a}", f"run:{b}", "x") for a, b in itertools.combinations("abcdef", 2)]
    places = place("run:a", edges)
    assert len(set(places.values())) == 6
