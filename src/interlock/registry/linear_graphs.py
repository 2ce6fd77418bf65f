"""Write linear models of numbers, with the scalers before them, as ONNX graphs of a few nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.schema import Signature
from interlock.registry.number_graphs import answer_nodes, numbers_graph
from interlock.registry.onnx_graphs import NUMBERS
from interlock.registry.onnx_writing import node, tensor
from interlock.registry.signatures import PROBABILITY

if TYPE_CHECKING:
    import numpy as np

_FINALS = frozenset(
    {
        *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "BayesianRidge"),
        *("LinearSVR", "SGDRegressor", "LogisticRegression", "LogisticRegressionCV", "RidgeClassifier", "LinearSVC"),
    }
)
SCALERS = frozenset({"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"})


def is_linear(steps: Sequence[Any]) -> bool:
    """Whether these steps of a pipeline are scalers and a linear model of scikit-learn's own."""
    names = [type(step).__name__ for step in steps]
    ours = all(type(step).__module__.startswith("sklearn.") for step in steps)
    return ours and names[-1] in _FINALS and set(names[:-1]) <= SCALERS


def linear_graph(steps: Sequence[Any], signature: Signature) -> bytes:
    """Return scalers and a linear model as an ONNX graph in 64 bits that takes all columns in one input.

    Raises:
        ValueError: It gives another number of shares than the signature has; says which.
    """
    nodes, constants, outputs = linear_nodes(steps, signature, NUMBERS)
    return numbers_graph(nodes, constants, signature, outputs, is_double=True)


def linear_nodes(
    steps: Sequence[Any], signature: Signature, source: str
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the nodes of scalers and a linear model, their constants, and the outputs of the signature.

    The scalers are not folded into the weights: the graph rounds where the model does.

    Args:
        steps: The scalers, and the model as the last.
        signature: What the graph shall give.
        source: Name of the table of features; 64 bits.
    """
    import numpy as np

    nodes: list[bytes] = []
    constants: list[bytes] = []
    last = source

    def then(operator: str, *values: np.ndarray[Any, Any], **options: Any) -> None:
        nonlocal last
        place = len(nodes)
        names = [f"interlock_{operator.lower()}_{place}_{at}" for at in range(len(values))]
        constants.extend(tensor(name, np.asarray(value, np.float64)) for name, value in zip(names, values, strict=True))
        nodes.append(node(operator, [last, *names], [f"interlock_step_{place}"], **options))
        last = f"interlock_step_{place}"

    for step in steps[:-1]:
        for operator, value in scaling(step):
            then(operator, value)
    final = steps[-1]
    weights = np.atleast_2d(np.asarray(final.coef_, np.float64))
    width = len(weights)
    then("Gemm", weights.T, np.broadcast_to(np.asarray(final.intercept_, np.float64), (width,)))
    if signature.outputs[0].name.startswith(PROBABILITY):
        then("Sigmoid") if width == 1 else then("Softmax", axis=1)
    classes = final.classes_.tolist() if hasattr(final, "classes_") else None
    made, more, outputs = answer_nodes(last, width, signature, classes, is_double=True)
    return [*nodes, *made], [*constants, *more], outputs


def scaling(scaler: Any) -> list[tuple[str, Any]]:
    """Return what a scaler does to its input, operator by operator.

    Raises:
        ValueError: It clips.
    """
    kind = type(scaler).__name__
    if kind == "StandardScaler":
        steps = [("Sub", scaler.mean_ if scaler.with_mean else None), ("Div", scaler.scale_)]
    elif kind == "RobustScaler":
        steps = [("Sub", scaler.center_), ("Div", scaler.scale_)]
    elif kind == "MinMaxScaler":
        if scaler.clip:
            raise ValueError("it clips")
        steps = [("Mul", scaler.scale_), ("Add", scaler.min_)]
    else:
        steps = [("Div", scaler.scale_)]
    return [(operator, value) for operator, value in steps if value is not None]
