"""Find out what each feature contributed to the answer of an ensemble of trees, exactly.

Source: the path-dependent Shapley values of Lundberg et al. 2020 (Algorithm 2). A leaf's part in the answer is a
product over the features on its path: 1 or 0 where the feature is known and the row goes that way or not, the share of
training rows that went that way where it is not known. The Shapley values of a product are integrals of polynomials
over 0 to 1 (Owen 1972), which Gauss-Legendre quadrature gives exactly with half as many points as there are features on
a path. So nothing is enumerated, and all rows and trees are worked on at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_CHUNK_VALUES = 1_000_000
_MOST_TABLED = 8
"""Trees of at most so many splits are tabulated; boosted trees of scikit-learn have seven by default."""
_TABLED_ROWS = 256
_LEAST_SHARE = 1e-30
"""Stands for a share of nought, which training rows of no weight leave behind: it must not be divided by."""


class Tree:
    """One tree as arrays, a place for each node.

    Args:
        left: Where a node's left child is; -1 for leaves.
        right: Where its right child is.
        feature: Which feature it splits by.
        threshold: Up to which value rows go left.
        missing_left: Whether rows without the value go left.
        cover: How many training rows, by weight, came to it.
        value: What a leaf adds to the answer; shape (nodes, outputs).
    """

    def __init__(
        self, *, left: Any, right: Any, feature: Any, threshold: Any, missing_left: Any, cover: Any, value: Any
    ) -> None:
        self.left = np.asarray(left, np.int64)
        self.right = np.asarray(right, np.int64)
        self.feature = np.asarray(feature, np.int64)
        self.threshold = np.asarray(threshold, np.float64)
        self.missing_left = np.asarray(missing_left, bool)
        self.cover = np.asarray(cover, np.float64)
        self.value = np.asarray(value, np.float64).reshape(len(self.left), -1)


class Ensemble:
    """The sum of some trees.

    Args:
        trees: The trees.
        features: How many features rows have.

    Attributes:
        base: What the trees say where no feature is known; shape (outputs,).
    """

    def __init__(self, trees: Sequence[Tree], *, features: int) -> None:
        self._features = features
        order = [_by_depth(tree) for tree in trees]
        starts = np.cumsum([0, *(len(tree.left) for tree in trees)])
        deepest = max(int(depth.max()) for depth, _ in order)
        # all nodes of a depth lie together, over all trees, so that a depth is one slice
        depths = np.concatenate([depth for depth, _ in order])
        old = np.argsort(depths, kind="stable")
        new = np.empty_like(old)
        new[old] = np.arange(len(old))
        self._tree = np.repeat(np.arange(len(trees)), [len(tree.left) for tree in trees])[old]
        whole: dict[str, Any] = {
            name: np.concatenate([getattr(tree, name) for tree in trees])[old]
            for name in ("feature", "threshold", "missing_left", "cover", "value")
        }
        shifted = {
            name: np.concatenate(
                [
                    np.where(getattr(tree, name) < 0, -1, getattr(tree, name) + start)
                    for tree, start in zip(trees, starts[:-1], strict=True)
                ]
            )[old]
            for name in ("left", "right")
        }
        self._left, self._right = (np.where(side < 0, -1, new[side]) for side in shifted.values())
        self._splits = np.flatnonzero(self._left >= 0)
        self._split_feature = whole["feature"][self._splits]
        self._threshold = whole["threshold"][self._splits][:, None]
        self._missing_left = whole["missing_left"][self._splits][:, None]
        self._levels = [slice(*np.searchsorted(depths[old], [depth, depth + 1])) for depth in range(deepest + 1)]
        self._value = np.where((self._left < 0)[:, None], whole["value"], 0.0)
        self._join(whole["feature"], whole["cover"])
        self._tables = self._tabulate() if self._most_splits() <= _MOST_TABLED else None

    def _join(self, feature: Any, cover: Any) -> None:
        """Work out what is the same for every row."""
        nodes = len(self._left)
        self._parent = np.zeros(nodes, np.int64)
        self._is_left = np.zeros(nodes, bool)
        self._parent[self._left[self._splits]] = self._parent[self._right[self._splits]] = self._splits
        self._is_left[self._left[self._splits]] = True
        split_place = np.zeros(nodes, np.int64)
        split_place[self._splits] = np.arange(len(self._splits))
        self._parent_place = split_place[self._parent]
        roots = self._levels[0].stop
        edge = np.where(np.arange(nodes) < roots, -1, feature[self._parent])
        share = np.where(edge < 0, 1.0, cover / np.maximum(cover[self._parent], _LEAST_SHARE))
        self._above, distinct = _nearest_above(self._levels, self._parent, edge)
        # several splits by one feature on a path count as one
        merged = np.maximum(share, _LEAST_SHARE)
        reached = np.ones(nodes)
        for level in self._levels[1:]:
            above = self._above[level]
            merged[level] *= np.where(above < 0, 1.0, merged[above])
            reached[level] = share[level] * reached[self._parent[level]]
        self.base = reached @ self._value
        points, weights = np.polynomial.legendre.leggauss(max(1, (int(distinct.max()) + 1) // 2))
        at = ((points + 1) / 2)[None, :]
        self._weights = (weights / 2)[None, :, None]
        z = merged[:, None]
        # where the row goes this way, and where it does not
        self._factors = (at + (1 - at) * z)[:, :, None], ((1 - at) * z)[:, :, None]
        self._ratios = (
            ((1 - z) / (at + (1 - at) * z))[:, :, None],
            np.broadcast_to(-1 / (1 - at), (nodes, at.size))[:, :, None],
        )
        edges = np.arange(roots, nodes)
        self._edge = edge
        by_feature = edges[np.argsort(edge[edges], kind="stable")]
        self._by_feature = by_feature
        self._seen, self._starts = np.unique(edge[by_feature], return_index=True)
        self._roots = roots

    def contributions(self, table: Any) -> Any:
        """Return what each feature contributed to the answers of some rows.

        Cost: proportional to rows x nodes x half the most features on a path.

        Args:
            table: Shape (rows, features), as numbers that compare with the thresholds as training did.

        Returns:
            Shape (rows, outputs, features).
        """
        if self._tables is not None:
            return self._tables.contributions(self.decisions(np.asarray(table, np.float64)))
        rows = len(table)
        found = np.zeros((rows, self._value.shape[1], self._features))
        step = max(1, _CHUNK_VALUES // (len(self._left) * self._weights.shape[1]))
        if len(self._seen):
            for first in range(0, rows, step):
                found[first : first + step] = self._of_chunk(np.asarray(table[first : first + step], np.float64))
        return found

    def _of_chunk(self, table: Any) -> Any:
        parts = self._parts(self.decisions(table))
        found = np.zeros((len(table), self._value.shape[1], self._features))
        for output, part in enumerate(parts):
            found[:, output, self._seen] = np.add.reduceat(part[self._by_feature], self._starts, axis=0).T
        return found

    def _most_splits(self) -> int:
        return int(np.bincount(self._tree[self._splits], minlength=1).max()) if len(self._splits) else 0

    def _tabulate(self) -> _Tables | None:
        """Work out every tree's contributions for all that its splits may come to."""
        if not len(self._splits):
            return None
        tree = self._tree[self._splits]
        order = np.argsort(tree, kind="stable")
        bit = np.empty(len(tree), np.int64)
        first = np.searchsorted(tree[order], tree[order])
        bit[order] = np.arange(len(tree)) - first
        patterns = 1 << self._most_splits()
        goes_left = (np.arange(patterns)[None, :] >> bit[:, None] & 1).astype(bool)
        edges = np.arange(self._roots, len(self._left))
        slot = self._tree[edges] * self._features + self._edge[edges]
        by_slot = edges[np.argsort(slot, kind="stable")]
        slots, starts = np.unique(np.sort(slot), return_index=True)
        values = [np.add.reduceat(part[by_slot], starts, axis=0) for part in self._parts(goes_left)]
        return _Tables(
            order, tree[order], bit[order], slots // self._features, slots % self._features, values, self._features
        )

    def decisions(self, table: Any) -> Any:
        """Return whether rows go left at every split; shape (splits, rows)."""
        by_feature = table.T[self._split_feature]
        goes_left = by_feature <= self._threshold
        return np.where(np.isnan(by_feature), self._missing_left, goes_left) if np.isnan(table).any() else goes_left

    def _parts(self, goes_left: Any) -> list[Any]:
        """Return what every edge adds to its feature's contribution, by output; shape (nodes, rows)."""
        rows = goes_left.shape[1]
        follows = goes_left[self._parent_place] == self._is_left[:, None]
        follows[: self._roots] = True
        product = np.ones((len(self._left), self._weights.shape[1], rows))
        factor = np.empty_like(product)
        for level in self._levels[1:]:
            above = self._above[level]
            repeated = np.flatnonzero(above >= 0)
            place = repeated + level.start
            follows[place] &= follows[above[repeated]]
            own = np.where(follows[level][:, None, :], self._factors[0][level], self._factors[1][level])
            factor[level] = own
            product[level] = product[self._parent[level]] * own
            if len(repeated):
                product[place] /= factor[above[repeated]]
        gain = np.where(follows[:, None, :], *self._ratios)
        change = gain.copy()
        repeated = np.flatnonzero(self._above >= 0)
        change[repeated] -= gain[self._above[repeated]]
        change *= self._weights
        parts = []
        for output in range(self._value.shape[1]):
            below = product * self._value[:, output, None, None]
            for level in reversed(self._levels[:-1]):
                splits = np.flatnonzero(self._left[level] >= 0) + level.start
                below[splits] = below[self._left[splits]] + below[self._right[splits]]
            parts.append(np.einsum("nqr,nqr->nr", below, change))
        return parts


class _Tables:
    """What trees of few splits contribute, looked up by what their splits come to."""

    def __init__(
        self, order: Any, tree: Any, bit: Any, slot_tree: Any, slot_feature: Any, values: list[Any], features: int
    ) -> None:
        self._order = order
        self._bits = (1 << bit)[:, None]
        known, self._starts = np.unique(tree, return_index=True)
        self._features = features
        patterns = values[0].shape[1]
        width = int(np.bincount(slot_tree).max())
        within = np.arange(len(slot_tree)) - np.searchsorted(slot_tree, slot_tree)
        trees = np.searchsorted(known, slot_tree)
        table = np.zeros((len(known), width, len(values), patterns))
        for output, value in enumerate(values):
            table[trees, within, output] = value
        # one row of the table is all that a tree says for one pattern
        self._table = np.ascontiguousarray(
            table.transpose(0, 3, 2, 1).reshape(len(known) * patterns, len(values), width)
        )
        self._first = (np.arange(len(known)) * patterns)[:, None]
        places = np.full((len(known), width), features)
        places[trees, within] = slot_feature
        flat = places.ravel()
        self._by_feature = np.argsort(flat, kind="stable")[: len(slot_tree)]
        self._seen, self._feature_starts = np.unique(flat[self._by_feature], return_index=True)

    def contributions(self, goes_left: Any) -> Any:
        """Return what each feature contributed; shape (rows, outputs, features)."""
        rows = goes_left.shape[1]
        found = np.zeros((rows, self._table.shape[1], self._features))
        for first in range(0, rows, _TABLED_ROWS):
            chunk = goes_left[:, first : first + _TABLED_ROWS]
            pattern = np.add.reduceat(chunk[self._order] * self._bits, self._starts, axis=0)
            # (trees, rows, outputs, slots) to (rows, outputs, trees and slots)
            said = self._table[pattern + self._first].transpose(1, 2, 0, 3)
            said = said.reshape(*said.shape[:2], -1)[:, :, self._by_feature]
            found[first : first + _TABLED_ROWS][:, :, self._seen] = np.add.reduceat(said, self._feature_starts, axis=2)
        return found


def _by_depth(tree: Tree) -> tuple[Any, int]:
    """Return the depth of every node."""
    depth = np.zeros(len(tree.left), np.int64)
    present = np.array([0])
    deepest = 0
    while len(present := present[tree.left[present] >= 0]):
        deepest += 1
        present = np.concatenate([tree.left[present], tree.right[present]])
        depth[present] = deepest
    return depth, deepest


def _nearest_above(levels: Sequence[slice], parent: Any, edge: Any) -> tuple[Any, Any]:
    """Return the nearest edge above each that is by the same feature, and how many features there are on its path."""
    above = np.full(len(parent), -1, np.int64)
    distinct = np.zeros(len(parent), np.int64)
    for level in levels[1:]:
        nodes = np.arange(level.start, level.stop)
        climb = parent[nodes]
        open_ = np.ones(len(nodes), bool)
        while open_.any():
            open_ &= edge[climb] >= 0
            hit = open_ & (edge[climb] == edge[nodes])
            above[nodes[hit]] = climb[hit]
            open_ &= ~hit
            climb = np.where(open_, parent[climb], climb)
        distinct[nodes] = distinct[parent[nodes]] + (above[nodes] < 0)
    return above, distinct
