"""Write Pipelines that end in XGBoost or LightGBM as one ONNX graph: the converter's, and behind it the trees."""

from __future__ import annotations

import importlib.util
from typing import Any

from interlock.core.schema import Column, Signature
from interlock.registry.kinds import comes_from
from interlock.registry.onnx_graphs import NUMBERS
from interlock.registry.tree_graphs import tree_graph
from interlock.registry.tree_reading import Trees, treelite_trees

_FEATURES = "interlock_features"


def final_booster(model: Any) -> Any:
    """Return the last step of a Pipeline if it is an estimator of XGBoost or LightGBM, or None."""
    final = model.steps[-1][1] if hasattr(model, "steps") else None
    return final if final is not None and is_booster(final) else None


def is_booster(final: Any) -> bool:
    """Whether this is an estimator of XGBoost or LightGBM."""
    return comes_from(final, "xgboost") or comes_from(final, "lightgbm")


def joined(head: Any, final: Any, signature: Signature) -> Any:
    """Return the graph of the steps before a booster with the graph of its trees behind it.

    Args:
        head: The ONNX graph of the steps, which gives one table; it is changed.
        final: The estimator.
        signature: What the whole takes and gives.

    Raises:
        ValueError: The trees have something for which there is no operator, or the steps give several tables.
    """
    import onnx
    from onnx import helper

    if len(head.graph.output) != 1:
        raise ValueError("the steps before the trees give several tables")
    features = tuple(Column(f"f{at}", "double", False) for at in range(final.n_features_in_))
    classes = final.classes_.tolist() if hasattr(final, "classes_") else None
    trees = onnx.load_model_from_string(
        tree_graph(booster_trees(final), Signature(features, signature.outputs), classes)
    )
    taken, table = trees.graph.input[0].type.tensor_type.elem_type, head.graph.output[0].name
    for node in trees.graph.node:
        node.input[:] = [_FEATURES if name == NUMBERS else name for name in node.input]
    graph = head.graph
    graph.node.append(helper.make_node("Cast", [table], [_FEATURES], to=taken))
    graph.node.extend(trees.graph.node)
    graph.initializer.extend(trees.graph.initializer)
    del graph.output[:], head.opset_import[:]
    graph.output.extend(trees.graph.output)
    head.opset_import.extend(trees.opset_import)
    return head


def booster_trees(final: Any) -> Trees:
    """Return the trees of an estimator of XGBoost or LightGBM.

    Raises:
        ValueError: They have something that cannot be written, or Treelite, which reads them, is not installed.
    """
    if importlib.util.find_spec("treelite") is None:
        raise ValueError("treelite is not installed")
    import treelite

    if comes_from(final, "lightgbm"):
        return treelite_trees(treelite.frontend.from_lightgbm(final.booster_))
    if final.missing is not None and final.missing == final.missing:
        raise ValueError(f"{final.missing:g} stands for a missing value")
    best = getattr(final, "best_iteration", None) if final.early_stopping_rounds else None
    booster = final.get_booster()
    return treelite_trees(treelite.frontend.from_xgboost(booster if best is None else booster[: best + 1]))
