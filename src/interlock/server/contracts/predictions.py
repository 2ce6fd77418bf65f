"""Say what the one prediction of each row is, where a protocol has room for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.registry.signatures import LABEL, PREDICTION, PROBABILITY, SCORE
from interlock.serving.engine import Answer

_SHARES = (PROBABILITY, SCORE)


def predictions(outputs: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Return a prediction per row, as a scikit-learn or MLflow user expects of `predict`.

    A classifier's is its label, without the probabilities or scores that led to it; several targets are a list; of
    one output it is the value; of several others it is an object.

    Example:
        >>> predictions({"probability": [0.9], "label": ["late"]})
        ['late']
        >>> predictions({"prediction_0": [1.0], "prediction_1": [2.0]})
        [[1.0, 2.0]]
        >>> predictions({"low": [1.0], "high": [2.0]})
        [{'low': 1.0, 'high': 2.0}]
    """
    names = list(outputs)
    said = said_of(names)
    if said is not None and len(said) == 1:
        return plain(outputs[said[0]])
    rows = zip(*(plain(outputs[name]) for name in said or names), strict=True)
    return [list(row) for row in rows] if said is not None else [dict(zip(names, row, strict=True)) for row in rows]


def said_of(names: Sequence[str]) -> list[str] | None:
    """Return which outputs `predict` itself would give; None where each row is an object of them all.

    Example:
        >>> said_of(["probability_a", "probability_b", "label"]), said_of(["low", "high"])
        (['label'], None)
    """
    if len(names) == 1:
        return list(names)
    said = [name for name in names if not any(name == share or name.startswith(f"{share}_") for share in _SHARES)]
    for kind in (LABEL, PREDICTION):
        if said == [kind] or (said and said == [f"{kind}_{at}" for at in range(len(said))]):
            return said
    return None


def beside(answer: Answer) -> dict[str, Any]:
    """Return what replies hold beside the predictions: ids, who made them, and all outputs where there are several."""
    fields: dict[str, Any] = {"prediction_ids": answer.ids, "model": model_of(answer)}
    if len(answer.outputs) > 1:
        fields["outputs"] = {name: plain(values) for name, values in answer.outputs.items()}
    return fields


def model_of(answer: Answer) -> Any:
    """Return the Ref of the version that answered, or one per row where several did."""
    return answer.models[0] if len(answer.models) == 1 else answer.models


def plain(values: Sequence[Any]) -> list[Any]:
    """Return values as JSON can hold them: the arrays among them as lists."""
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]
