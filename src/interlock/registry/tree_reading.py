"""Read ensembles of trees, of scikit-learn itself or as Treelite reads them from other libraries, into flat arrays."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import msgspec

LESS, AT_MOST = 2, 3
"""Treelite's numbers of the comparisons `<` and `<=`."""

_SINGLE = frozenset({"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"})
_FORESTS = frozenset({"ExtraTreesClassifier", "ExtraTreesRegressor", "RandomForestClassifier", "RandomForestRegressor"})
_BOOSTED = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
_HISTOGRAMS = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})


class Trees(msgspec.Struct, frozen=True):
    """An ensemble of trees.

    Args:
        features: How many features it asks.
        outputs: How many sums it gives.
        post: What comes after the sums, as Treelite names it.
        base: What is added to the sums; none or one for each.
        class_of_tree: To which sum each tree adds.
        sizes: How many nodes each tree has.
        nodes: By name one array over the nodes of all trees: `cleft` and `cright` (within the tree; -1 of a leaf),
            `split_index`, `threshold`, `cmp`, `default_left`, `leaf_value`.
        alpha: What the sums are multiplied by before a sigmoid.
        divisor: What the sums are divided by, where they are averaged.
        is_double: Whether it reckons in 64 bits.
        rounds_inputs: Whether what is asked is rounded to 32 bits before it is compared.
    """

    features: int
    outputs: int
    post: str
    base: list[float]
    class_of_tree: list[int]
    sizes: list[int]
    nodes: dict[str, Any]
    alpha: float = 1.0
    divisor: int = 1
    is_double: bool = True
    rounds_inputs: bool = False


def reads_trees(final: Any) -> bool:
    """Whether an estimator is one of scikit-learn's that `sklearn_trees` reads."""
    kind = type(final)
    return kind.__module__.startswith("sklearn.") and kind.__name__ in _SINGLE | _FORESTS | _BOOSTED | _HISTOGRAMS


def sklearn_trees(final: Any) -> Trees:
    """Return the trees of an estimator of scikit-learn.

    Raises:
        ValueError: It has several targets, categories, or begins with another model's answers; says which.
    """
    import numpy as np

    kind = type(final).__name__
    if kind in _HISTOGRAMS:
        if importlib.util.find_spec("treelite") is None:
            raise ValueError("treelite is not installed")
        import treelite

        return treelite_trees(treelite.sklearn.import_model(final))
    if getattr(final, "n_outputs_", 1) != 1:
        raise ValueError("it has several targets")
    found = [final] if kind in _SINGLE else np.ravel(final.estimators_).tolist()
    trees = [_sklearn_tree(one.tree_) for one in found]
    if kind not in _BOOSTED:
        return _whole(trees, divisor=len(trees), features=final.n_features_in_)
    sums = np.atleast_2d(final.estimators_).shape[1]
    for tree in trees:
        tree["leaf_value"] = tree["leaf_value"] * final.learning_rate
    return msgspec.structs.replace(
        _whole(trees, features=final.n_features_in_, classes=list(range(sums)) * (len(trees) // sums)),
        outputs=sums,
        base=_beginning(final, sums),
        post="identity" if kind.endswith("Regressor") else "sigmoid" if sums == 1 else "softmax",
        alpha=2.0 if final.loss == "exponential" else 1.0,
    )


def _beginning(final: Any, sums: int) -> list[float]:
    import numpy as np

    if isinstance(final.init_, str):
        return [0.0] * sums
    if not type(final.init_).__name__.startswith("Dummy"):
        raise ValueError(f"it begins with the answers of a {type(final.init_).__name__}")
    begun: list[float] = final._raw_predict_init(np.zeros((1, final.n_features_in_))).ravel().astype(float).tolist()
    return begun


def _sklearn_tree(tree: Any) -> dict[str, Any]:
    import numpy as np

    return {
        "cleft": tree.children_left,
        "cright": tree.children_right,
        "split_index": tree.feature,
        "threshold": tree.threshold,
        "cmp": np.full(tree.node_count, AT_MOST),
        "default_left": tree.missing_go_to_left.astype(bool),
        "leaf_value": tree.value[:, 0, :],
    }


def treelite_trees(ensemble: Any) -> Trees:
    """Return the trees of a Treelite model.

    Source: Treelite's model specification 4.

    Raises:
        ValueError: It has several targets, or splits by categories.
    """
    import numpy as np

    field = ensemble.get_header_accessor().get_field
    several = field("leaf_vector_shape").tolist() != [1, 1]
    if int(field("num_target")[0]) != 1 or several:
        raise ValueError("its leaves hold several values")
    names = ("cleft", "cright", "split_index", "default_left", "leaf_value", "threshold", "cmp")
    trees = []
    for at in range(ensemble.num_tree):
        said = ensemble.get_tree_accessor(at).get_field
        if bool(said("has_categorical_split")[0]):
            raise ValueError("it splits by categories")
        trees.append({name: np.array(said(name)) for name in names})
    classes = np.maximum(field("class_id"), 0).tolist()
    averaged = bool(field("average_tree_output")[0])
    whole = _whole(trees, features=int(field("num_feature")[0]), classes=classes)
    return msgspec.structs.replace(
        whole,
        outputs=int(field("num_class")[0]),
        divisor=ensemble.num_tree if averaged else 1,
        is_double=ensemble.input_type == "float64",
        rounds_inputs=ensemble.input_type == "float32",
        post=field("postprocessor"),
        alpha=float(field("sigmoid_alpha")[0]),
        base=field("base_scores").astype(float).tolist(),
    )


def _whole(
    trees: Sequence[dict[str, Any]], *, features: int, divisor: int = 1, classes: list[int] | None = None
) -> Trees:
    """Return trees as one; where a leaf holds shares of several classes, with one copy of each tree for each.

    Of two classes only the second counts: the share of the first is what that leaves.
    """
    import numpy as np

    rooted = [_rooted(tree) for tree in trees]
    sizes = [len(tree["cleft"]) for tree in rooted]
    nodes = {name: np.concatenate([tree[name] for tree in rooted]) for name in rooted[0]}
    leaves = nodes["leaf_value"].reshape(sum(sizes), -1)
    copies = 1 if leaves.shape[1] <= 2 else leaves.shape[1]
    said = leaves[:, -1] if copies == 1 else leaves.T.ravel()
    nodes = {name: np.tile(values, copies) for name, values in nodes.items() if name != "leaf_value"}
    return Trees(
        features=features,
        outputs=copies,
        post="identity",
        base=[],
        class_of_tree=classes or np.repeat(np.arange(copies), len(trees)).tolist(),
        sizes=sizes * copies,
        nodes={**nodes, "leaf_value": said},
        divisor=divisor,
        rounds_inputs=True,
    )


def _rooted(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree that begins with a question; of a single leaf, one with the same answer to both sides."""
    import numpy as np

    if tree["cleft"][0] >= 0:
        return tree
    leaf = tree["leaf_value"][:1]
    return {
        **{name: np.zeros(3, values.dtype) for name, values in tree.items()},
        "cleft": np.array([1, -1, -1]),
        "cright": np.array([2, -1, -1]),
        "leaf_value": np.concatenate([leaf, leaf, leaf]),
        "cmp": np.array([AT_MOST, 0, 0]),
    }
