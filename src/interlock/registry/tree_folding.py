"""Ask trees the columns as they arrive: what is done to each before is brought into their thresholds, to the last bit.

A tree asks whether `f(x) <= t`, where `f` fills, scales, and perhaps rounds to 32 bits. Each of these, as a computer
does it, never falls where x grows; so there is one largest x of 64 bits with that answer, and `x <= it` decides the
same for every x. Values of real columns often lie on a threshold, where the last bit decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.registry.tree_reading import AT_MOST, LESS, Trees

_HIGHEST = 0x7FF0000000000000
"""The bits of infinity; those of finite numbers are fewer."""


class Feature(msgspec.Struct, frozen=True):
    """What a tree asks as one number.

    Args:
        place: The column of the table it is made of.
        chain: What is done to that, one after the other: `Fill`, `Sub`, `Div`, `Mul` or `Add` and a number.
    """

    place: int
    chain: tuple[tuple[str, float], ...] = ()


def folded(trees: Trees, features: Sequence[Feature]) -> Trees:
    """Return trees of 64 bits that ask a table's columns and answer as the given ones do on features made of them.

    Cost: 65 passes over the questions.

    Raises:
        ValueError: They ask more features, compare otherwise, or a column is multiplied by nothing or less.
    """
    import numpy as np

    if trees.features > len(features):
        raise ValueError(f"its trees ask {trees.features} columns of {len(features)}")
    nodes = {**trees.nodes, "default_left": trees.nodes["default_left"].astype(bool)}
    inner = nodes["cleft"] >= 0
    if odd := sorted({int(code) for code in np.unique(nodes["cmp"][inner])} - {LESS, AT_MOST}):
        raise ValueError(f"it compares by {odd}")
    nodes["threshold"] = nodes["threshold"].astype(np.float64)
    nodes["cmp"] = np.where(inner, AT_MOST, 0)
    asked = np.where(inner, nodes["split_index"], 0)
    for kinds in dict.fromkeys(tuple(kind for kind, _ in feature.chain) for feature in features):
        same = [tuple(kind for kind, _ in feature.chain) == kinds for feature in features]
        at = np.flatnonzero(inner & np.array(same)[asked])
        if not len(at):
            continue
        by = np.ones((len(features), len(kinds)))
        by[same] = [[value for _, value in feature.chain] for feature, of in zip(features, same, strict=True) if of]
        by = by[asked[at]]
        question = _Question(kinds, by.T, trees.nodes["threshold"][at], trees.nodes["cmp"][at], trees.rounds_inputs)
        nodes["threshold"][at] = question.largest()
        nodes["default_left"][at] = question.gaps(nodes["default_left"][at])
    nodes["split_index"] = np.array([feature.place for feature in features])[asked]
    return msgspec.structs.replace(trees, nodes=nodes, is_double=True, rounds_inputs=False)


class _Question:
    """Whether each of some numbers, after what is done to it, is below its threshold."""

    def __init__(self, kinds: Sequence[str], by: Any, threshold: Any, cmp: Any, rounds: bool) -> None:
        import numpy as np

        self._steps = list(zip(kinds, by, strict=True))
        if any(kind in ("Mul", "Div") and not (values > 0).all() for kind, values in self._steps):
            raise ValueError("a column is not scaled by a positive number")
        self._threshold, self._is_less, self._rounds = threshold.astype(np.float64), cmp == LESS, rounds

    def largest(self) -> Any:
        """Return the largest number of 64 bits that is; not a number where none is."""
        import numpy as np

        low = np.full(len(self._threshold), -_HIGHEST, np.int64)
        high = -low
        never, always = ~self._asked(_numbers(low)), self._asked(_numbers(high))
        while (wide := high - 1 > low).any():
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            below = self._asked(_numbers(middle))
            low, high = np.where(wide & below, middle, low), np.where(wide & ~below, middle, high)
        return np.where(never, np.nan, np.where(always, np.inf, _numbers(low)))

    def gaps(self, default: Any) -> Any:
        """Return what a missing number is answered: the same as what fills it, or else the default."""
        import numpy as np

        filled = self._made(np.full(len(default), np.nan))
        return np.where(np.isnan(filled), default, self._compared(filled))

    def _asked(self, numbers: Any) -> Any:
        return self._compared(self._made(numbers))

    def _compared(self, made: Any) -> Any:
        import numpy as np

        return np.where(self._is_less, made < self._threshold, made <= self._threshold)

    def _made(self, numbers: Any) -> Any:
        """Do what the steps do, as NumPy does it in 64 bits."""
        import numpy as np

        with np.errstate(all="ignore"):
            for kind, by in self._steps:
                numbers = _OPERATIONS[kind](numbers, by)
            return numbers.astype(np.float32).astype(np.float64) if self._rounds else numbers


def _filled(numbers: Any, by: Any) -> Any:
    import numpy as np

    return np.where(np.isnan(numbers), by, numbers)


_OPERATIONS: dict[str, Any] = {
    "Fill": _filled,
    "Sub": lambda one, other: one - other,
    "Div": lambda one, other: one / other,
    "Mul": lambda one, other: one * other,
    "Add": lambda one, other: one + other,
}


def _numbers(keys: Any) -> Any:
    """Return the numbers of 64 bits that whole numbers stand for, in the same order."""
    import numpy as np

    return np.where(keys >= 0, keys, np.iinfo(np.int64).min - keys).view(np.float64)
