"""Turn the shares that a classifier gives its classes into named outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LABEL = "label"


def class_answers(shares: Any, names: Sequence[str], classes: Any) -> dict[str, Any]:
    """Return the outputs of a classifier: the shares by name, and the likeliest class as `label`.

    Of equally likely classes the first is taken, as scikit-learn, XGBoost, LightGBM and CatBoost do.

    Args:
        shares: Array of the shares in 64 bits, of the second of two classes (rows) or of every class (rows, classes).
        names: Names of the outputs, the label's (last) among them.
        classes: Array of the classes.
    """
    if shares.ndim == 1:
        return {names[0]: shares, LABEL: classes[(shares > 0.5).astype(int)]}
    found = dict(zip(names[:-1], shares.T, strict=True))
    return {**found, LABEL: classes[shares.argmax(axis=1)]}
