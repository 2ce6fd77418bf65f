"""The layout of graphs: layers, order, places."""

from __future__ import annotations

from itertools import pairwise

import pytest

from interlock.server.layered_layout import COLUMN_WIDTH, LANE_HEIGHT, ROW_HEIGHT, lay_out


def test_nothing_takes_no_room() -> None:
    empty = lay_out({})
    assert (empty.places, empty.width, empty.height) == ({}, 0.0, 0.0)


def test_what_follows_is_to_the_right_and_a_chain_is_straight() -> None:
    layout = lay_out({0: (), 1: (0,), 2: (1,)})
    assert layout.places == {0: (0.0, 0.0), 1: (COLUMN_WIDTH, 0.0), 2: (2 * COLUMN_WIDTH, 0.0)}
    assert (layout.width, layout.height, layout.bends) == (2 * COLUMN_WIDTH, 0.0, {})


def test_nodes_of_a_layer_keep_their_distance() -> None:
    layout = lay_out({0: (), **dict.fromkeys(range(1, 31), (0,)), 31: tuple(range(1, 31))})
    heights = sorted(layout.places[node][1] for node in range(1, 31))
    assert all(below - above >= ROW_HEIGHT - 1e-6 for above, below in pairwise(heights))
    middle = layout.height / 2
    assert layout.places[0][1] == pytest.approx(middle) == layout.places[31][1]


def test_what_follows_nothing_stands_right_before_its_first_use() -> None:
    layout = lay_out({0: (), 1: (0,), 2: (1,), 3: (), 4: (2, 3)})
    assert layout.places[3][0] == layout.places[2][0]


def test_a_long_edge_passes_beside_the_nodes_between() -> None:
    layout = lay_out({0: (), 1: (0,), 2: (1,), 3: (2, 0)})
    (bends,) = layout.bends.values()
    for x, y in zip(bends[::2], bends[1::2], strict=True):
        beside = [place for place in layout.places.values() if place[0] == x]
        assert all(abs(y - place[1]) >= (ROW_HEIGHT + LANE_HEIGHT) / 2 - 1e-6 for place in beside)


def test_a_very_long_edge_takes_no_room() -> None:
    chain = {node: (node - 1,) if node else () for node in range(40)}
    layout = lay_out({**chain, 39: (38, 0)})
    assert layout.bends == {}
    assert layout.height == 0.0


def test_crossings_that_need_not_be_are_not() -> None:
    # drawn in the order of their numbers, every one of these edges would cross another
    layout = lay_out({0: (), 1: (), 2: (), 3: (2,), 4: (1,), 5: (0,)})
    for source, target in ((0, 5), (1, 4), (2, 3)):
        assert layout.places[source][1] == pytest.approx(layout.places[target][1])


def test_an_input_that_is_not_there_is_passed_over() -> None:
    assert lay_out({1: (0,), 2: (1,)}).places[2][0] > lay_out({1: (0,)}).places[1][0]
