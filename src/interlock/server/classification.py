"""Name the classes with the highest scores, as the Open Inference extension `classification` does.

Source: the extension as NVIDIA's client expects it: an element is `score:index`.
"""

from __future__ import annotations

from typing import Any

from interlock.serving.tensor_data import Array

CLASSIFICATION = "classification"


def top_classes(values: Array | list[Any], count: int, *, whole: bool) -> Array:
    """Return for each row the best classes, the highest score first; equal scores in their order.

    Args:
        values: The scores, whose first dimension is the rows.
        count: How many classes are wanted; fewer are given where there are fewer.
        whole: Whether all the scores are of one row, without a dimension for it.

    Example:
        >>> top_classes(np.array([[0.25, 0.5]]), 1, whole=False).tolist()
        [['0.500000:1']]
    """
    import numpy as np

    scores = np.asarray(values)
    rows = scores.reshape(1, -1) if whole else scores.reshape(len(scores), -1)
    # sorted backwards by a stable sort of the reversed row, so that equal scores keep their order
    best = rows.shape[1] - 1 - np.argsort(rows[:, ::-1], axis=1, kind="stable")[:, ::-1][:, :count]
    named = np.empty(best.shape, object)
    pattern = "{:f}:{}" if rows.dtype.kind == "f" else "{}:{}"
    for row, places in enumerate(best):
        named[row] = [pattern.format(rows[row, place], place) for place in places]
    return named[0] if whole else named
