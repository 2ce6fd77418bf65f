"""Write trees, with the steps of scikit-learn before them, as one ONNX graph that answers as they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.core.schema import Signature
from interlock.registry.column_graphs import ColumnWriter, Unwritten, filling
from interlock.registry.joined_graphs import booster_trees, is_booster
from interlock.registry.kinds import comes_from
from interlock.registry.linear_graphs import SCALERS, scaling
from interlock.registry.onnx_graphs import NUMBERS, STRINGS
from interlock.registry.onnx_writing import DOUBLE, STRING, model, node, port
from interlock.registry.tree_folding import Feature, folded
from interlock.registry.tree_graphs import tree_nodes
from interlock.registry.tree_reading import reads_trees, sklearn_trees


def ends_in_trees(steps: Sequence[Any]) -> bool:
    """Whether the last of these steps is an ensemble of trees that can be read."""
    return reads_trees(steps[-1]) or (len(steps) > 1 and is_booster(steps[-1]))


def piped_tree_graph(steps: Sequence[Any], signature: Signature) -> tuple[dict[str, bytes], str] | None:
    """Return trees with the steps before them as an ONNX graph.

    What is done to numbers goes into the thresholds, so that the trees ask the columns themselves; only strings
    have nodes of their own.

    Returns:
        The graph with one input per kind (numbers, strings), and where the columns differ in kind also with one per
        column; and the string under which it knows a missing string. None where a step does more than is written.

    Raises:
        ValueError: The trees, or a step, have something that cannot be written; says what.
    """
    final = steps[-1]
    table = _Table(signature)
    try:
        before = table.begin(steps[:-1])
        is_sparse = any(getattr(steps[0], name, False) for name in ("sparse_output_", "sparse_output"))
        if comes_from(final, "xgboost") and is_sparse:
            return None  # of a sparse table it takes what is zero for missing
        for step in before:
            table.features = applied(step, table.features)
    except (Unwritten, AttributeError):
        return None
    trees = folded(sklearn_trees(final) if reads_trees(final) else booster_trees(final), table.features)
    classes = final.classes_.tolist() if hasattr(final, "classes_") else None
    nodes, constants, outputs = tree_nodes(trees, signature, classes, table.joined())
    writer = table.writer
    nodes, constants = [*writer.nodes, *nodes], [*writer.constants, *constants]
    numbers = [column.name for column in signature.inputs if column.type != "string"]
    strings = [column.name for column in signature.inputs if column.type == "string"]
    kinds = [(NUMBERS, DOUBLE, numbers), (STRINGS, STRING, strings)]
    packed = [port(name, kind, len(names)) for name, kind, names in kinds if names]
    if not strings:
        return {"model.onnx": model(nodes, constants, packed, outputs)}, writer.null_string
    joining = [node("Concat", names, [name], axis=1) for name, _, names in kinds if names]
    single = [port(column.name, STRING if column.type == "string" else DOUBLE, 1) for column in signature.inputs]
    files = {
        "model.onnx": model([*joining, *nodes], constants, single, outputs),
        "packed.onnx": model(nodes, constants, packed, outputs),
    }
    return files, writer.null_string


class _Table:
    """The table that the trees ask: all numbers as they arrive, and beside them what strings became.

    Args:
        signature: What the graph takes.
    """

    def __init__(self, signature: Signature) -> None:
        self.writer = ColumnWriter(signature)
        self.features: list[Feature] = []
        self._is_string = [column.type == "string" for column in signature.inputs]
        self._numbers = [place for place, is_string in enumerate(self._is_string) if not is_string]
        self._tables: list[str] = [NUMBERS] if self._numbers else []
        self._width = len(self._numbers)

    def begin(self, steps: Sequence[Any]) -> Sequence[Any]:
        """Make the features that the first step gives, if that takes columns apart; return the steps after."""
        if not steps or type(steps[0]).__name__ != "ColumnTransformer":
            if any(self._is_string):
                self._part(steps[0] if steps else "", range(len(self._is_string)))
                return steps[1:]
            self.features = [Feature(place) for place in range(self._width)]
            return steps
        for _, step, columns in steps[0].transformers_:
            places = [] if isinstance(step, str) and step == "drop" else self.writer.places(columns)
            if places:
                self._part(step, places)
        return steps[1:]

    def joined(self) -> str:
        """Return the name of the table."""
        return self._tables[0] if len(self._tables) == 1 else self.writer.add("Concat", self._tables, axis=1)

    def _part(self, step: Any, places: Sequence[int]) -> None:
        """Add the features of one transformer over some columns."""
        if not any(self._is_string[place] for place in places):
            features = [Feature(self._numbers.index(place)) for place in places]
            for one in [one for _, one in step.steps] if hasattr(step, "steps") else [step]:
                features = applied(one, features)
            self.features += features
            return
        self._tables.append(self.writer.part(step, places))
        encoder = step.steps[0][1] if hasattr(step, "steps") else step
        width = len(encoder.get_feature_names_out())
        self.features += [Feature(self._width + at) for at in range(width)]
        self._width += width


def applied(step: Any, features: Sequence[Feature]) -> list[Feature]:
    """Return features after a step that fills or scales each by itself.

    Raises:
        Unwritten: It does something else.
        ValueError: A scaler clips.
    """
    import numpy as np

    kind = type(step)
    if isinstance(step, str) and step == "passthrough":
        return list(features)
    if not kind.__module__.startswith("sklearn."):
        raise Unwritten
    if kind.__name__ == "SimpleImputer":
        done = [("Fill", filling(step))]
    elif kind.__name__ in SCALERS:
        done = scaling(step)
    elif kind.__name__ == "FunctionTransformer" and step.func is None:
        done = []
    else:
        raise Unwritten
    columns = [np.broadcast_to(np.asarray(values, np.float64), len(features)).tolist() for _, values in done]
    return [
        Feature(
            feature.place,
            (*feature.chain, *((name, by[at]) for (name, _), by in zip(done, columns, strict=True))),
        )
        for at, feature in enumerate(features)
    ]
