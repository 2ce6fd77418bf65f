"""Write ensembles of trees as ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interlock.core.schema import Signature
from interlock.registry.number_graphs import answer_nodes, numbers_graph
from interlock.registry.onnx_graphs import NUMBERS
from interlock.registry.onnx_writing import node, tensor
from interlock.registry.tree_reading import Trees

MOST_NODES = 2_000_000
"""An ensemble with more nodes is not written: its graph would take longer to load than it saves."""

_SUM = 1
_MODES = {2: 1, 3: 0, 4: 3, 5: 2}
"""The numbers of Treelite's comparisons (<, <=, >, >=), as ONNX numbers them."""

_POST = {
    "identity": (),
    "identity_multiclass": (),
    "sigmoid": ("Sigmoid",),
    "multiclass_ova": ("Sigmoid",),
    "softmax": ("Softmax",),
    "exponential": ("Exp",),
}
"""What comes after the sum of the trees, in ONNX operators."""

_AXES: dict[str, dict[str, Any]] = {"Softmax": {"axis": 1}}

Nodes = tuple[list[bytes], list[bytes], list[bytes]]
"""Nodes, their constants, and the outputs of a graph."""


def tree_graph(trees: Trees, signature: Signature, classes: list[Any] | None) -> bytes:
    """Return an ensemble as an ONNX graph that takes all columns in one input and gives the signature's outputs.

    Thresholds and leaves keep the precision that they have in the ensemble (32 bits of XGBoost, 64 of LightGBM).

    Args:
        trees: The ensemble.
        signature: What the graph shall give; the outputs of a classifier are its shares and the label.
        classes: A classifier's labels in their order.

    Raises:
        ValueError: It has something for which there is no operator; says what.
    """
    if trees.features > len(signature.inputs):
        raise ValueError(f"its trees ask {trees.features} columns of {len(signature.inputs)}")
    nodes, constants, outputs = tree_nodes(trees, signature, classes, NUMBERS)
    return numbers_graph(nodes, constants, signature, outputs, is_double=trees.is_double)


def tree_nodes(trees: Trees, signature: Signature, classes: list[Any] | None, source: str) -> Nodes:
    """Return the nodes of an ensemble, their constants, and the outputs of the signature.

    Source: ONNX operator TreeEnsemble 5.
    Cost: one pass over the nodes.

    Args:
        trees: The ensemble.
        signature: What the graph shall give.
        classes: A classifier's labels in their order.
        source: Name of the table that the trees ask, in the ensemble's precision.

    Raises:
        ValueError: It has something for which there is no operator; says what.
    """
    import numpy as np

    if trees.post not in _POST:
        raise ValueError(f"its answers are made by '{trees.post}', which has no operator")
    constants: list[bytes] = []
    nodes = [node("TreeEnsemble", [source], ["interlock_sum"], domain="ai.onnx.ml", **_attributes(trees))]
    last = "interlock_sum"

    def then(operator: str, values: list[float] | None, **options: Any) -> None:
        nonlocal last
        sources, made = [last], f"interlock_{operator.lower()}"
        if values is not None:
            constants.append(tensor(f"{made}_by", np.array(values, np.float64 if trees.is_double else np.float32)))
            sources.append(f"{made}_by")
        nodes.append(node(operator, sources, [made], **options))
        last = made

    _after(trees, then)
    made, more, outputs = answer_nodes(last, trees.outputs, signature, classes, is_double=trees.is_double)
    return [*nodes, *made], [*constants, *more], outputs


def _after(trees: Trees, then: Callable[..., None]) -> None:
    """Add what comes after the sums. They are divided as a whole: shares that are even stay so to the last bit."""
    if trees.divisor != 1:
        then("Div", [float(trees.divisor)])
    if any(trees.base):
        then("Add", trees.base)
    if "Sigmoid" in _POST[trees.post] and trees.alpha != 1.0:
        then("Mul", [trees.alpha])
    for operator in _POST[trees.post]:
        then(operator, None, **_AXES.get(operator, {}))


def _attributes(trees: Trees) -> dict[str, Any]:
    """Return the nodes of all trees, one array for each attribute."""
    import numpy as np

    whole, sizes = trees.nodes, trees.sizes
    if sum(sizes) > MOST_NODES:
        raise ValueError(f"it has {sum(sizes):,} nodes")
    begins = np.cumsum([0, *sizes[:-1]])
    leaf = whole["cleft"] < 0
    inner = ~leaf
    if odd := sorted({int(code) for code in np.unique(whole["cmp"][inner])} - _MODES.keys()):
        raise ValueError(f"it compares by {odd}")
    # inner nodes and leaves are numbered apart, each over all trees
    number = np.where(leaf, np.cumsum(leaf), np.cumsum(inner)) - 1
    first = np.repeat(begins, sizes)[inner]
    left, right = first + whole["cleft"][inner], first + whole["cright"][inner]
    modes = np.array([_MODES.get(code, 0) for code in range(6)], np.uint8)[whole["cmp"][inner]]
    kind = np.float64 if trees.is_double else np.float32
    return {
        "aggregate_function": _SUM,
        "post_transform": 0,
        "n_targets": trees.outputs,
        "tree_roots": number[begins].tolist(),
        "nodes_splits": whole["threshold"][inner].astype(kind),
        "nodes_modes": modes,
        "nodes_featureids": whole["split_index"][inner].tolist(),
        "nodes_truenodeids": number[left].tolist(),
        "nodes_trueleafs": leaf[left].astype(int).tolist(),
        "nodes_falsenodeids": number[right].tolist(),
        "nodes_falseleafs": leaf[right].astype(int).tolist(),
        "nodes_missing_value_tracks_true": whole["default_left"][inner].astype(int).tolist(),
        "leaf_targetids": np.repeat(trees.class_of_tree, sizes)[leaf].tolist(),
        "leaf_weights": whole["leaf_value"][leaf].astype(kind),
    }
