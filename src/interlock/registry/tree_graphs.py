"""Write ensembles of trees, as Treelite reads them from other libraries, as ONNX graphs."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.core.schema import Signature
from interlock.registry.number_graphs import answer_nodes, numbers_graph
from interlock.registry.onnx_graphs import NUMBERS
from interlock.registry.onnx_writing import DOUBLE, FLOAT, node, tensor

MOST_NODES = 2_000_000
"""An ensemble with more nodes is not written: its graph would take longer to load than it saves."""

_LESS, _SUM = 2, 1
_MODES = {_LESS: 1, 3: 0, 4: 3, 5: 2}
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


class _Header(msgspec.Struct, frozen=True):
    """What holds for all trees of an ensemble."""

    features: int
    outputs: int
    is_double: bool
    post: str
    alpha: float
    base: list[float]
    class_of_tree: list[int]
    takes_second: bool
    divisor: int


def tree_graph(ensemble: Any, signature: Signature, classes: list[Any] | None, *, rounds_inputs: bool = False) -> Any:
    """Return an ensemble as an ONNX graph that takes all columns in one input and gives the signature's outputs.

    Thresholds and leaves keep the precision that they have in the ensemble (32 bits of XGBoost, 64 of LightGBM).
    Source: ONNX operator TreeEnsemble 5; Treelite's model specification 4.
    Cost: one pass over the nodes.

    Args:
        ensemble: A Treelite model.
        signature: What the graph shall give; the outputs of a classifier are its shares and the label.
        classes: A classifier's labels in their order.
        rounds_inputs: Whether the model rounds its inputs to 32 bits, and compares these with thresholds of 64.

    Raises:
        ValueError: It has something for which there is no operator; says what.
    """
    import numpy as np

    header = _header(ensemble)
    if header.features > len(signature.inputs):
        raise ValueError(f"its trees ask {header.features} columns of {len(signature.inputs)}")
    constants: list[bytes] = []
    nodes: list[bytes] = []
    last = NUMBERS
    if rounds_inputs:
        nodes.append(node("Cast", [last], ["interlock_rounded"], to=FLOAT))
        nodes.append(node("Cast", ["interlock_rounded"], ["interlock_asked"], to=DOUBLE))
        last = "interlock_asked"
    attributes = _tree_attributes(ensemble, header)
    nodes.append(node("TreeEnsemble", [last], ["interlock_sum"], domain="ai.onnx.ml", **attributes))
    last = "interlock_sum"

    def then(operator: str, values: list[float] | None, **options: Any) -> None:
        nonlocal last
        sources, made = [last], f"interlock_{operator.lower()}"
        if values is not None:
            constants.append(tensor(f"{made}_by", np.array(values, np.float64 if header.is_double else np.float32)))
            sources.append(f"{made}_by")
        nodes.append(node(operator, sources, [made], **options))
        last = made

    if any(header.base):
        then("Add", header.base)
    if "Sigmoid" in _POST[header.post] and header.alpha != 1.0:
        then("Mul", [header.alpha])
    for operator in _POST[header.post]:
        then(operator, None, **_AXES.get(operator, {}))
    made, more, outputs = answer_nodes(last, header.outputs, signature, classes, is_double=header.is_double)
    return numbers_graph([*nodes, *made], [*constants, *more], signature, outputs, is_double=header.is_double)


def _header(ensemble: Any) -> _Header:
    field = ensemble.get_header_accessor().get_field
    if (post := field("postprocessor")) not in _POST:
        raise ValueError(f"its answers are made by '{post}', which has no operator")
    several = field("leaf_vector_shape").tolist() != [1, 1]
    classes = int(field("num_class")[0])
    if int(field("num_target")[0]) != 1 or (several and classes != 2):
        raise ValueError("its leaves hold several values")
    averaged = bool(field("average_tree_output")[0])
    return _Header(
        features=int(field("num_feature")[0]),
        # the share of the first of two classes is what the second leaves
        outputs=1 if several else classes,
        takes_second=several,
        divisor=ensemble.num_tree if averaged else 1,
        is_double=ensemble.input_type == "float64",
        post=post,
        alpha=float(field("sigmoid_alpha")[0]),
        base=field("base_scores").astype(float).tolist()[-1 if several else 0 :],
        class_of_tree=field("class_id").tolist(),
    )


def _tree_attributes(ensemble: Any, header: _Header) -> dict[str, Any]:
    """Return the nodes of all trees, one array for each attribute."""
    import numpy as np

    trees = []
    for at in range(ensemble.num_tree):
        field = ensemble.get_tree_accessor(at).get_field
        if bool(field("has_categorical_split")[0]):
            raise ValueError("it splits by categories")
        names = ("cleft", "cright", "split_index", "default_left", "leaf_value", "threshold", "cmp")
        tree = {name: np.array(field(name)) for name in names}
        if header.takes_second:
            said, leaf = np.array(field("leaf_vector")), tree["cleft"] < 0
            tree["leaf_value"] = np.zeros(len(leaf), said.dtype)
            tree["leaf_value"][leaf] = said[np.array(field("leaf_vector_begin"))[leaf].astype(int) + 1]
        trees.append(_rooted(tree))
    sizes = [len(tree["cleft"]) for tree in trees]
    if sum(sizes) > MOST_NODES:
        raise ValueError(f"it has {sum(sizes):,} nodes")
    whole = {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
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
    classes = np.maximum(np.array(header.class_of_tree), 0)
    kind = np.float64 if header.is_double else np.float32
    return {
        "aggregate_function": _SUM,
        "post_transform": 0,
        "n_targets": header.outputs,
        "tree_roots": number[begins].tolist(),
        "nodes_splits": (whole["threshold"][inner].astype(kind)),
        "nodes_modes": (modes),
        "nodes_featureids": whole["split_index"][inner].tolist(),
        "nodes_truenodeids": number[left].tolist(),
        "nodes_trueleafs": leaf[left].astype(int).tolist(),
        "nodes_falsenodeids": number[right].tolist(),
        "nodes_falseleafs": leaf[right].astype(int).tolist(),
        "nodes_missing_value_tracks_true": whole["default_left"][inner].tolist(),
        "leaf_targetids": np.repeat(classes, sizes)[leaf].tolist(),
        "leaf_weights": ((whole["leaf_value"][leaf] / header.divisor).astype(kind)),
    }


def _rooted(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree that begins with a question; of a single leaf, one with the same answer to both sides."""
    import numpy as np

    if tree["cleft"][0] >= 0:
        return tree
    said = tree["leaf_value"][0]
    return {
        **{name: np.zeros(3, values.dtype) for name, values in tree.items()},
        "cleft": np.array([1, -1, -1]),
        "cright": np.array([2, -1, -1]),
        "leaf_value": np.array([0, said, said], tree["leaf_value"].dtype),
        "cmp": np.array([_LESS, 0, 0]),
    }
