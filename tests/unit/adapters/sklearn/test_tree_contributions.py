from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from interlock.adapters.sklearn import tree_contributions
from interlock.adapters.sklearn.tree_contributions import Ensemble, Tree


def random_tree(dice: np.random.Generator, *, features: int, depth: int, outputs: int = 1) -> Tree:
    """Return a tree of random shape, whose paths may split by a feature several times."""
    left, right, feature, threshold, missing, cover, value = [], [], [], [], [], [], []

    def grow(level: int, weight: float) -> int:
        place = len(left)
        for column in (left, right):
            column.append(-1)
        feature.append(0)
        threshold.append(0.0)
        missing.append(bool(dice.random() < 0.5))
        cover.append(weight)
        value.append(dice.normal(size=outputs))
        if level < depth and (level == 0 or dice.random() < 0.8):
            feature[place] = int(dice.integers(features))
            threshold[place] = float(dice.normal())
            share = float(dice.uniform(0.1, 0.9))
            left[place] = grow(level + 1, weight * share)
            right[place] = grow(level + 1, weight * (1 - share))
        return place

    grow(0, 100.0)
    return Tree(
        left=left, right=right, feature=feature, threshold=threshold, missing_left=missing, cover=cover, value=value
    )


def known_as(tree: Tree, row: Any, known: frozenset[int], node: int = 0) -> Any:
    """Return what a tree says where only some features are known, by its definition."""
    if tree.left[node] < 0:
        return tree.value[node]
    below = [tree.left[node], tree.right[node]]
    at = tree.feature[node]
    if at in known:
        goes_left = tree.missing_left[node] if np.isnan(row[at]) else row[at] <= tree.threshold[node]
        return known_as(tree, row, known, below[0 if goes_left else 1])
    said = [known_as(tree, row, known, child) * tree.cover[child] for child in below]
    return (said[0] + said[1]) / tree.cover[node]


def by_definition(trees: list[Tree], row: Any, features: int) -> Any:
    """Return the Shapley values of a row, by trying every set of features."""
    found = np.zeros((trees[0].value.shape[1], features))
    for feature, tree in itertools.product(range(features), trees):
        others = [one for one in range(features) if one != feature]
        for size in range(features):
            weight = math.factorial(size) * math.factorial(features - size - 1) / math.factorial(features)
            for known in itertools.combinations(others, size):
                without = frozenset(known)
                found[:, feature] += weight * (known_as(tree, row, without | {feature}) - known_as(tree, row, without))
    return found


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("tabled", [8, -1])
def test_they_are_the_shapley_values(depth: int, outputs: int, tabled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_contributions, "_MOST_TABLED", tabled)
    features = 4
    dice = np.random.default_rng(depth)
    trees = [random_tree(dice, features=features, depth=depth, outputs=outputs) for _ in range(3)]
    rows = dice.normal(size=(6, features))
    rows[1, 2] = rows[3, 0] = np.nan
    ensemble = Ensemble(trees, features=features)
    found = ensemble.contributions(rows)
    expected = np.array([by_definition(trees, row, features) for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    nothing = sum(known_as(tree, rows[0], frozenset()) for tree in trees)
    np.testing.assert_allclose(ensemble.base, nothing, atol=1e-12)
    everything = [sum(known_as(tree, row, frozenset(range(features))) for tree in trees) for row in rows]
    np.testing.assert_allclose(found.sum(axis=2) + ensemble.base, everything, atol=1e-12)


def test_both_ways_agree_on_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(1)
    trees = [random_tree(dice, features=5, depth=3) for _ in range(20)]
    rows = dice.normal(size=(600, 5))
    tabled = Ensemble(trees, features=5).contributions(rows)
    monkeypatch.setattr(tree_contributions, "_MOST_TABLED", -1)
    monkeypatch.setattr(tree_contributions, "_CHUNK_VALUES", 10_000)
    np.testing.assert_allclose(Ensemble(trees, features=5).contributions(rows), tabled, atol=1e-12)


def test_deep_trees_stay_exact() -> None:
    dice = np.random.default_rng(2)
    trees = [random_tree(dice, features=40, depth=12) for _ in range(3)]
    rows = dice.normal(size=(8, 40))
    ensemble = Ensemble(trees, features=40)
    everything = [sum(known_as(tree, row, frozenset(range(40))) for tree in trees) for row in rows]
    found = ensemble.contributions(rows)
    np.testing.assert_allclose(found.sum(axis=2) + ensemble.base, everything, rtol=1e-10)


@pytest.mark.parametrize("tabled", [8, -1])
def test_trees_without_a_split_say_the_same_of_every_row(tabled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_contributions, "_MOST_TABLED", tabled)
    leaf = Tree(left=[-1], right=[-1], feature=[0], threshold=[0], missing_left=[False], cover=[1], value=[[2.0]])
    ensemble = Ensemble([leaf, leaf], features=3)
    assert ensemble.base.tolist() == [4.0]
    assert not ensemble.contributions(np.ones((2, 3))).any()
    split = Tree(
        left=[1, -1, -1],
        right=[2, -1, -1],
        feature=[1, 0, 0],
        threshold=[0, 0, 0],
        missing_left=[False] * 3,
        cover=[4, 1, 3],
        value=[[0.0], [1.0], [5.0]],
    )
    both = Ensemble([leaf, split], features=3)
    assert both.contributions(np.array([[0, -1.0, 0]])).tolist() == [[[0.0, -3.0, 0.0]]]


def test_a_branch_that_no_training_row_took_does_no_harm() -> None:
    empty = Tree(
        left=[1, 3, -1, -1, -1],
        right=[2, 4, -1, -1, -1],
        feature=[0, 1, 0, 0, 0],
        threshold=[0, 0, 0, 0, 0],
        missing_left=[False] * 5,
        cover=[10, 0, 10, 0, 0],
        value=[[0.0], [0.0], [1.0], [7.0], [9.0]],
    )
    ensemble = Ensemble([empty], features=2)
    found = ensemble.contributions(np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=2)[:, 0] + ensemble.base[0], [7.0, 9.0, 1.0], atol=1e-9)
