"""What every journal must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

A, B, C, D = "dataset:a@1", "run:b", "model:c@1", "endpoint:d"


class JournalContract(Contract):
    """Events and lineage."""

    def test_an_appended_event_is_returned_and_listed(self, stores: Stores) -> None:
        event = stores.journal.append("run.started", B, payload={"kind": "training", "n": 3}, actor="ada")
        assert event.seq >= 1
        assert event.time.tzinfo is not None
        assert (event.kind, event.subject, event.actor) == ("run.started", B, "ada")
        assert stores.journal.events() == [event]
        assert stores.journal.last_seq() == event.seq

    def test_an_empty_journal_has_seq_zero(self, stores: Stores) -> None:
        assert stores.journal.last_seq() == 0
        assert stores.journal.events() == []
        assert stores.journal.latest() == []

    def test_seq_grows_and_after_skips_what_was_seen(self, stores: Stores) -> None:
        seqs = [stores.journal.append("run.started", B).seq for _ in range(5)]
        assert seqs == sorted(set(seqs))
        assert [event.seq for event in stores.journal.events(after=seqs[1], limit=2)] == seqs[2:4]

    def test_newest_first(self, stores: Stores) -> None:
        seqs = [stores.journal.append("run.started", B).seq for _ in range(3)]
        assert [event.seq for event in stores.journal.events(newest_first=True, limit=2)] == seqs[:0:-1]

    def test_kinds_are_exact_or_prefixes(self, stores: Stores) -> None:
        for kind in ("run.started", "run.finished", "runner.born", "model.registered", "run"):
            stores.journal.append(kind, B)
        listed = [event.kind for event in stores.journal.events(kinds=["run.", "model.registered"])]
        assert listed == ["run.started", "run.finished", "model.registered"]

    def test_subject_filters(self, stores: Stores) -> None:
        stores.journal.append("x.y", A)
        stores.journal.append("x.y", B)
        assert [event.subject for event in stores.journal.events(subject=B)] == [B]

    def test_latest_has_the_newest_event_of_each_kind(self, stores: Stores) -> None:
        for kind in ("a.x", "b.x", "a.x"):
            stores.journal.append(kind, A)
        latest = stores.journal.latest()
        assert [event.kind for event in latest] == ["b.x", "a.x"]

    def test_counts_are_by_kind(self, stores: Stores) -> None:
        for kind in ("a.x", "b.x", "a.x"):
            stores.journal.append(kind, A)
        assert stores.journal.counts() == {"a.x": 2, "b.x": 1}

    def test_parallel_appends_get_distinct_seqs(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            seqs = list(pool.map(lambda _: stores.journal.append("x.y", A).seq, range(40)))
        assert len(set(seqs)) == 40
        assert [event.seq for event in stores.journal.events(limit=100)] == sorted(seqs)

    def test_an_event_brings_its_edges(self, stores: Stores) -> None:
        stores.journal.append("x.y", B, edges=[Edge(A, B, "read_by")])
        assert stores.journal.walk(B, direction="back") == [Edge(A, B, "read_by")]

    def test_linking_twice_changes_nothing(self, stores: Stores) -> None:
        edge = Edge(A, B, "read_by")
        assert stores.journal.link([edge, edge]) == 1
        assert stores.journal.link([edge]) == 0
        assert stores.journal.walk(A, direction="forward") == [edge]

    def test_walk_goes_nearest_first_both_ways(self, stores: Stores) -> None:
        edges = [Edge(A, B, "read_by"), Edge(B, C, "produced"), Edge(C, D, "deployed_as")]
        stores.journal.link(edges[::-1])
        assert stores.journal.walk(D, direction="back") == edges[::-1]
        assert stores.journal.walk(A, direction="forward") == edges
        assert stores.journal.walk(A, direction="forward", depth=2) == edges[:2]
        assert stores.journal.walk(A, direction="forward", limit=1) == edges[:1]
        assert stores.journal.walk("run:nowhere", direction="back") == []

    def test_walk_names_each_edge_once_where_paths_meet(self, stores: Stores) -> None:
        edges = [Edge(A, B, "x"), Edge(A, C, "x"), Edge(B, D, "x"), Edge(C, D, "x")]
        stores.journal.link(edges)
        assert sorted(stores.journal.walk(D, direction="back")) == sorted(edges)

    def test_walk_ends_on_cycles(self, stores: Stores) -> None:
        edges = [Edge(A, B, "x"), Edge(B, A, "x")]
        stores.journal.link(edges)
        assert sorted(stores.journal.walk(A, direction="forward")) == sorted(edges)

    def test_an_unknown_direction_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.journal.walk(A, direction="sideways")  # type: ignore[arg-type]

    def test_a_negative_limit_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.journal.events(limit=-1)
        with pytest.raises(InvalidInput):
            stores.journal.walk(A, direction="back", limit=-1)

    def test_a_payload_that_is_not_plain_writes_nothing(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.journal.append("x.y", A, payload={"model": object()}, edges=[Edge(A, B, "x")])
        assert stores.journal.events() == []
        assert stores.journal.walk(A, direction="forward") == []

    def test_depth_counts_edges(self, stores: Stores) -> None:
        edges = [Edge(A, B, "x"), Edge(B, C, "x"), Edge(C, D, "x")]
        stores.journal.link(edges)
        for depth in range(4):
            assert stores.journal.walk(A, direction="forward", depth=depth) == edges[:depth]


_refs = st.sampled_from([A, B, C, D])
_edges = st.builds(Edge, source=_refs, target=_refs, relation=st.sampled_from(["made", "read_by"]))

JOURNAL_PLAYS: Plays = {
    "append": st.fixed_dictionaries(
        {"kind": st.sampled_from(["run.started", "run.finished", "model.registered"]), "subject": _refs},
        optional={
            "payload": st.dictionaries(st.text(max_size=3), st.integers(-(2**63), 2**63) | st.text(), max_size=3),
            "actor": st.sampled_from(["ada", "loop"]),
            "edges": st.lists(_edges, max_size=2),
        },
    ),
    "events": st.fixed_dictionaries(
        {},
        optional={
            "after": st.integers(0, 6),
            "kinds": st.lists(st.sampled_from(["run.", "run.started", "model.registered", "x"]), max_size=2),
            "subject": _refs,
            "limit": st.integers(1, 5),
            "newest_first": st.booleans(),
        },
    ),
    "latest": st.just({}),
    "counts": st.just({}),
    "last_seq": st.just({}),
    "link": st.fixed_dictionaries({"edges": st.lists(_edges, max_size=3)}),
    "walk": st.fixed_dictionaries(
        {"ref": _refs, "direction": st.sampled_from(["back", "forward"])},
        optional={"depth": st.integers(0, 4), "limit": st.integers(1, 5)},
    ),
}
