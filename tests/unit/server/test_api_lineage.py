"""Lineage is walked both ways and laid out: earlier things to the left, cycles and all."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.server.api_lineage import CROWD, LAYER_WIDTH, fold, place
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


def reports(count: int, of: str = MODEL) -> list[Edge]:
    return [Edge(of, f"report:{number:02}", "watched_in") for number in range(count)]


class TestFold:
    def test_a_crowd_is_one_node_that_names_its_members(self, stores: Stores, get: Get) -> None:
        stores.journal.link([Edge(RUN, MODEL, "produced"), *reports(12)])
        found = view(get, f"ref={MODEL}")
        nodes = {node.label: node for node in found.nodes}
        assert set(nodes) == {"01A", "delay@1", "12 reports"}
        crowd = nodes["12 reports"]
        assert crowd.kind == "report"
        assert crowd.ref.split() == [f"report:{number:02}" for number in range(12)]
        assert {(edge.source, edge.target) for edge in found.edges} == {(RUN, MODEL), (MODEL, crowd.ref)}

    def test_fewer_stay_as_they_are(self) -> None:
        few = reports(CROWD - 1)
        assert fold(MODEL, few) == few
        assert len(fold(MODEL, reports(CROWD))) == 1

    def test_things_of_other_kinds_or_relations_make_no_crowd(self) -> None:
        mixed = [*reports(3), Edge(MODEL, "verdict:1", "watched_in"), Edge(MODEL, "report:9", "judged_in")]
        assert fold(MODEL, mixed) == sorted(mixed)

    def test_labels_are_not_counted_as_labelss(self, stores: Stores, get: Get) -> None:
        stores.journal.link([Edge(f"labels:late@{number}", DATA, "derived_from") for number in range(5)])
        assert "5 labels" in {node.label for node in view(get, f"ref={DATA}").nodes}

    def test_one_crowd_makes_the_next(self) -> None:
        """Each deployment has a model of its own: only together the models are many of one kind."""
        routed = [Edge(f"deployment:d/{number}", ENDPOINT, "serves") for number in range(5)]
        deployed = [Edge(f"model:m@{number}", f"deployment:d/{number}", "deployed_as") for number in range(5)]
        models, deployments = (" ".join(edge.source for edge in edges) for edges in (deployed, routed))
        assert fold(ENDPOINT, [*routed, *deployed]) == [
            Edge(deployments, ENDPOINT, "serves"),
            Edge(models, deployments, "deployed_as"),
        ]

    def test_what_is_next_to_the_thing_is_not_swallowed_by_a_crowd_elsewhere(self) -> None:
        routed = [Edge(f"deployment:d/{number}", ENDPOINT, "serves") for number in range(6)]
        own = Edge(MODEL, "deployment:d/0", "deployed_as")
        kept = fold(MODEL, [own, *routed])
        assert own in kept
        assert Edge("deployment:d/0", ENDPOINT, "serves") in kept
        assert {name for edge in kept for name in edge.source.split()} == {MODEL, *(edge.source for edge in routed)}

    def test_the_thing_itself_is_never_folded(self) -> None:
        kept = fold("report:03", reports(8))
        assert {(edge.source, edge.target) for edge in kept if "report:03" in (edge.source, edge.target)} == {
            (MODEL, "report:03")
        }
        assert len(kept) == 2


def test_of_a_cycle_the_edge_that_closes_the_loop_runs_back() -> None:
    loop = [Edge(DATA, MODEL, "trained_on"), Edge(MODEL, ENDPOINT, "serves"), Edge(ENDPOINT, DATA, "derived_from")]
    places = place(MODEL, loop)
    assert [places[name][0] / LAYER_WIDTH for name in (DATA, MODEL, ENDPOINT)] == pytest.approx([-2, -1, 0])


def test_every_process_draws_the_same_picture() -> None:
    """The names' hashes differ from one process to the next."""
    program = (
        "from interlock.ports.journal import Edge; from interlock.server.api_lineage import place;"
        "print(sorted(place('run:0', [Edge(f'run:{n // 3}', f'run:{n}', 'x') for n in range(1, 40)]).items()))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(drawn) == 1


_things = st.sampled_from([f"{kind}:{number}" for kind in ("run", "model", "report") for number in range(9)])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.builds(Edge, source=_things, target=_things, relation=st.sampled_from(["x", "y"])), min_size=1, max_size=60
    )
)
def test_folding_loses_nothing_and_joins_nothing_that_was_not(edges: list[Edge]) -> None:
    ref = edges[0].source
    kept = fold(ref, edges)
    drawn = {name for edge in kept for name in (edge.source, edge.target)}
    members = [member for name in drawn for member in name.split()]
    assert len(members) == len(set(members)), "a thing is drawn once"
    assert {name for edge in edges for name in (edge.source, edge.target)} == set(members)
    where = {member: name for name in drawn for member in name.split()}
    joined = {Edge(where[edge.source], where[edge.target], edge.relation) for edge in edges}
    assert set(kept) <= joined
    assert all(edge.source == edge.target for edge in joined - set(kept)), "only edges within a crowd go"
    assert where[ref] == ref
    near = {edge.target for edge in edges if edge.source == ref} | {edge.source for edge in edges if edge.target == ref}
    for name in drawn:
        inside = set(name.split())
        assert len({member.partition(":")[0] for member in inside}) == 1
        assert not inside & near or inside <= near
    assert fold(ref, kept) == kept, "there is no crowd left"


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
