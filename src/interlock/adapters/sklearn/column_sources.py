"""Find out which input column every feature comes from that the steps before a model make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_ONE_TO_ONE = frozenset(
    {
        "Binarizer",
        "FunctionTransformer",
        "MaxAbsScaler",
        "MinMaxScaler",
        "OrdinalEncoder",
        "PowerTransformer",
        "QuantileTransformer",
        "RobustScaler",
        "StandardScaler",
        "TargetEncoder",
    }
)


def sources(step: Any, columns: int) -> list[int] | None:
    """Return for every feature that a fitted step makes the place of the one column it comes from.

    Args:
        step: A transformer, a Pipeline of such, or a ColumnTransformer.
        columns: How many columns it takes.

    Returns:
        A place for each feature; None where a feature comes from several columns, or nobody knows from which.
    """
    kind = type(step).__name__
    if step is None or step == "passthrough":
        return list(range(columns))
    if kind == "Pipeline":
        return _through([one for _, one in step.steps], columns)
    if kind == "ColumnTransformer":
        return _beside(step, columns)
    if kind == "OneHotEncoder":
        return [place for place, count in enumerate(step._n_features_outs) for _ in range(count)]
    if kind == "SimpleImputer":
        return _imputed(step, columns)
    if hasattr(step, "get_support"):
        return [int(place) for place in np.flatnonzero(step.get_support())]
    if kind in _ONE_TO_ONE and (kind != "FunctionTransformer" or step.func is None):
        # a target of several classes makes several features of a column
        made = len(step.get_feature_names_out()) if kind == "TargetEncoder" else columns
        return list(range(columns)) if made == columns else None
    return None


def _through(steps: Sequence[Any], columns: int) -> list[int] | None:
    """Follow features through steps that come one after the other."""
    found: list[int] = list(range(columns))
    for step in steps:
        made = sources(step, len(found))
        if made is None:
            return None
        found = [found[place] for place in made]
    return found


def _beside(step: Any, columns: int) -> list[int] | None:
    """Follow features through steps that each take some of the columns."""
    width = max((part.stop for part in step.output_indices_.values()), default=0)
    found = [-1] * width
    for name, transformer, wanted in step.transformers_:
        part = step.output_indices_.get(name, slice(0, 0))
        if transformer == "drop" or part.stop == part.start:
            continue
        taken = _places(step, wanted, columns)
        made = sources(transformer, len(taken))
        if made is None or len(made) != part.stop - part.start:
            return None
        found[part] = [taken[place] for place in made]
    return None if -1 in found else found


def _places(step: Any, wanted: Any, columns: int) -> list[int]:
    """Return where the columns are that a ColumnTransformer names in one of many ways."""
    if isinstance(wanted, str):
        wanted = [wanted]
    if isinstance(wanted, int):
        return [wanted]
    if not isinstance(wanted, slice) and len(wanted) and isinstance(wanted[0], str):
        names = list(step.feature_names_in_)
        return [names.index(name) for name in wanted]
    return [int(place) for place in np.arange(columns)[wanted]]


def _imputed(step: Any, columns: int) -> list[int]:
    """Return what an imputer keeps: not columns without a single value; and what it adds: a mark for each gap."""
    empty = [isinstance(value, float) and value != value for value in step.statistics_.tolist()]
    kept = [place for place in range(columns) if step.keep_empty_features or not empty[place]]
    marks = [] if step.indicator_ is None else [int(place) for place in step.indicator_.features_]
    return kept + marks
