"""Thresholds of columns as they arrive, that decide as those of columns that were scaled and rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from interlock.registry.tree_folding import Feature, folded
from interlock.registry.tree_reading import AT_MOST, LESS, Trees

CHAIN = (("Sub", 3.7), ("Div", 0.3))


def stump(threshold: float, *, cmp: int = AT_MOST, rounds: bool = True, default: bool = False) -> Trees:
    """Return a tree of one question."""
    nodes: dict[str, Any] = {
        "cleft": np.array([1, -1, -1]),
        "cright": np.array([2, -1, -1]),
        "split_index": np.array([0, -2, -2]),
        "threshold": np.array([threshold, 0, 0]),
        "cmp": np.array([cmp, 0, 0]),
        "default_left": np.array([default, False, False]),
        "leaf_value": np.array([0.0, 1.0, 2.0]),
    }
    return Trees(1, 1, "identity", [], [0], [3], nodes, rounds_inputs=rounds)


def asked(trees: Trees, feature: Feature) -> tuple[float, bool]:
    nodes = folded(trees, [feature]).nodes
    return float(nodes["threshold"][0]), bool(nodes["default_left"][0])


@pytest.mark.parametrize("cmp", [LESS, AT_MOST])
@pytest.mark.parametrize("rounds", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_the_largest_number_below_is_found(cmp: int, rounds: bool, seed: int) -> None:
    dice = np.random.default_rng(seed)
    value = round(dice.normal(), 2) * 10.0 ** int(dice.integers(-3, 4))
    chain = (("Sub", float(dice.normal() * 10)), ("Div", float(dice.random() + 0.01)))

    def made(x: float) -> float:
        number = (x - chain[0][1]) / chain[1][1]
        return float(np.float32(number)) if rounds else number

    threshold = made(value)
    largest, _ = asked(stump(threshold, cmp=cmp, rounds=rounds), Feature(0, chain))
    beyond = float(np.nextafter(largest, np.inf))
    if cmp == LESS:
        assert made(largest) < threshold <= made(beyond)
    else:
        assert made(largest) <= threshold < made(beyond)
        assert value <= largest


def test_what_fills_a_gap_decides_where_it_goes() -> None:
    assert asked(stump(0.0, default=False), Feature(0, (("Fill", 1.0), *CHAIN)))[1] is True
    assert asked(stump(0.0, default=True), Feature(0, (("Fill", 9.0), *CHAIN)))[1] is False
    assert asked(stump(0.0, default=True), Feature(0, CHAIN))[1] is True


def test_what_is_always_or_never_so_stays_so() -> None:
    assert asked(stump(np.inf, rounds=False), Feature(0, CHAIN))[0] == np.inf
    assert np.isnan(asked(stump(-np.inf, cmp=LESS, rounds=False), Feature(0))[0])


def test_features_may_be_made_of_any_column_in_any_way() -> None:
    trees = folded(stump(0.25, rounds=False), [Feature(5), Feature(1, CHAIN)])
    assert trees.nodes["split_index"][0] == 5
    assert trees.nodes["threshold"][0] == 0.25
    assert trees.is_double


def test_what_cannot_be_folded_says_why() -> None:
    with pytest.raises(ValueError, match="ask 1 columns of 0"):
        folded(stump(0.0), [])
    with pytest.raises(ValueError, match="compares by"):
        folded(stump(0.0, cmp=4), [Feature(0)])
    with pytest.raises(ValueError, match="positive"):
        folded(stump(0.0), [Feature(0, (("Mul", -1.0),))])
