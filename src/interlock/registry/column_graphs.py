"""Write a ColumnTransformer that fills, scales and one-hot encodes, with a linear model behind it, as an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.schema import Signature
from interlock.registry.linear_graphs import SCALERS, linear_nodes, scaling
from interlock.registry.onnx_graphs import NUMBERS, STRINGS
from interlock.registry.onnx_writing import DOUBLE, STRING, model, node, port, tensor

TABLE = "interlock_features"
"""Name of the table of features that the nodes give; 64 bits."""


def column_graph(steps: Sequence[Any], signature: Signature) -> tuple[dict[str, bytes], str] | None:
    """Return a ColumnTransformer with scalers and a linear model behind it as an ONNX graph.

    Returns:
        The graph with one input per column, and with one per kind (numbers, strings); and the string under which it
        knows a missing string. None where a step does more than is written here.

    Raises:
        ValueError: It gives another number of shares than the signature has, or a scaler clips.
    """
    if (head := _head(steps[0], signature)) is None:
        return None
    nodes, constants, outputs = linear_nodes(steps[1:], signature, TABLE)
    nodes, constants = [*head.nodes, *nodes], [*head.constants, *constants]
    numbers = [column.name for column in signature.inputs if column.type != "string"]
    strings = [column.name for column in signature.inputs if column.type == "string"]
    kinds = [(NUMBERS, DOUBLE, numbers), (STRINGS, STRING, strings)]
    joining = [node("Concat", names, [packed], axis=1) for packed, _, names in kinds if names]
    single = [port(column.name, STRING if column.type == "string" else DOUBLE, 1) for column in signature.inputs]
    packed = [port(name, kind, len(names)) for name, kind, names in kinds if names]
    files = {
        "model.onnx": model([*joining, *nodes], constants, single, outputs),
        "packed.onnx": model(nodes, constants, packed, outputs),
    }
    return files, head.null_string


class _Head(msgspec.Struct, frozen=True):
    """Nodes that make a table of features, and what they need.

    Args:
        nodes: The nodes.
        constants: Their constants.
        null_string: The string under which they know a missing string.
    """

    nodes: list[bytes]
    constants: list[bytes]
    null_string: str


class Unwritten(ValueError):
    """A step has no nodes here; the converter may know it."""


def _head(transformer: Any, signature: Signature) -> _Head | None:
    """Return what a fitted ColumnTransformer does as nodes, or None where it does more than is written here.

    Written are imputers of numbers, scalers, one-hot encoders of strings, and `passthrough`, alone or in a Pipeline.
    """
    writer = ColumnWriter(signature)
    parts = []
    try:
        for _, step, columns in transformer.transformers_:
            places = [] if isinstance(step, str) and step == "drop" else writer.places(columns)
            if places:
                parts.append(writer.part(step, places))
    except (Unwritten, AttributeError):
        return None
    writer.add("Concat", parts, TABLE, axis=1)
    return _Head(writer.nodes, writer.constants, writer.null_string)


class ColumnWriter:
    """Collects nodes and constants, and numbers what lies between them.

    Args:
        signature: What the graph takes: its numbers in one table, its strings in another.
    """

    def __init__(self, signature: Signature) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []
        self.null_string = "nan"
        self._names = signature.input_names
        self._is_string = [column.type == "string" for column in signature.inputs]

    def add(self, operator: str, sources: Sequence[str], made: str = "", *, domain: str = "", **attributes: Any) -> str:
        """Add a node; return the name of what it gives."""
        made = made or f"interlock_between_{len(self.nodes)}"
        self.nodes.append(node(operator, sources, [made], domain=domain, **attributes))
        return made

    def constant(self, values: Any) -> str:
        """Add a constant; return its name."""
        name = f"interlock_constant_{len(self.constants)}"
        self.constants.append(tensor(name, values))
        return name

    def part(self, step: Any, places: Sequence[int]) -> str:
        """Add the nodes of one transformer over some columns; return the name of the table that they give."""
        steps = [one for _, one in step.steps] if hasattr(step, "steps") else [step]
        if all(self._is_string[place] for place in places):
            kind = type(steps[0])
            if len(steps) != 1 or not kind.__module__.startswith("sklearn."):
                raise Unwritten
            if kind.__name__ == "OrdinalEncoder":
                return self._ordinal(steps[0], places)
            if kind.__name__ != "OneHotEncoder":
                raise Unwritten
            return self._one_hot(steps[0], places)
        if any(self._is_string[place] for place in places):
            raise Unwritten
        return self._numbers(steps, places)

    def places(self, columns: Any) -> list[int]:
        """Return at which places of the signature some columns are."""
        if isinstance(columns, (slice, str)):
            raise Unwritten
        given = list(columns)
        if all(isinstance(one, str) for one in given):
            return [self._names.index(one) for one in given]
        if all(isinstance(one, int) and not isinstance(one, bool) for one in given):
            return given
        raise Unwritten

    def _numbers(self, steps: Sequence[Any], places: Sequence[int]) -> str:
        import numpy as np

        known = [place for place, is_string in enumerate(self._is_string) if not is_string]
        table = NUMBERS
        if list(places) != known:
            wanted = self.constant(np.array([known.index(place) for place in places], np.int64))
            table = self.add("Gather", [table, wanted], axis=1)
        for step in steps:
            if isinstance(step, str) and step == "passthrough":
                continue
            kind = type(step)
            if not kind.__module__.startswith("sklearn."):
                raise Unwritten
            if kind.__name__ == "SimpleImputer":
                table = self._filled(step, table)
            elif kind.__name__ in SCALERS:
                for operator, value in scaling(step):
                    table = self.add(operator, [table, self.constant(np.asarray(value, np.float64))])
            elif kind.__name__ != "FunctionTransformer" or step.func is not None:
                raise Unwritten
        return table

    def _filled(self, imputer: Any, table: str) -> str:
        gaps = self.add("IsNaN", [table])
        return self.add("Where", [gaps, self.constant(filling(imputer)), table])

    def _ordinal(self, encoder: Any, places: Sequence[int]) -> str:
        """Add a table of the numbers of categories; one unseen has a number of its own, or none and is refused."""
        import numpy as np

        if getattr(encoder, "_infrequent_enabled", False):
            raise Unwritten
        tables = []
        for place, categories in zip(places, encoder.categories_, strict=True):
            numbers = np.arange(len(categories), dtype=np.float64)
            numbers[[is_gap(category) for category in categories]] = encoder.encoded_missing_value
            if encoder.handle_unknown == "use_encoded_value":
                numbers = np.append(numbers, encoder.unknown_value)
            texts = self._texts(categories)
            known: dict[str, Any] = {"keys_strings": texts, "values_int64s": list(range(len(texts)))}
            at = self.add(
                "LabelEncoder", [self._strings_of(place)], domain="ai.onnx.ml", default_int64=len(texts), **known
            )
            tables.append(self.add("Gather", [self.constant(numbers), at], axis=0))
        # what is gathered from one column is flat
        wide = [self.add("Unsqueeze", [table, self.constant(np.array([1]))]) for table in tables]
        return wide[0] if len(wide) == 1 else self.add("Concat", wide, axis=1)

    def _strings_of(self, place: int) -> str:
        """Add the node that takes one column of strings; shape (rows,)."""
        import numpy as np

        known = [place for place, is_string in enumerate(self._is_string) if is_string]
        return self.add("Gather", [STRINGS, self.constant(np.array(known.index(place), np.int64))], axis=1)

    def _texts(self, categories: Any) -> list[str]:
        """Return categories as strings, and note under which a missing one is known."""
        if any(category is None for category in categories):
            self.null_string = "None"
        return [str(category) for category in categories]

    def _one_hot(self, encoder: Any, places: Sequence[int]) -> str:
        """Add a one-hot table; rare categories share the last column of theirs, and unseen ones have none or that."""
        if encoder.drop is not None or encoder.handle_unknown not in ("ignore", "error", "infrequent_if_exist"):
            raise Unwritten
        rare = getattr(encoder, "infrequent_categories_", [None] * len(places))
        tables = []
        for place, categories, shared in zip(places, encoder.categories_, rare, strict=True):
            texts, column = self._texts(categories), self._strings_of(place)
            zeros = int(encoder.handle_unknown != "error")
            hot = self.add("OneHotEncoder", [column], domain="ai.onnx.ml", cats_strings=texts, zeros=zeros)
            table = self.add("Cast", [hot], to=DOUBLE)
            if shared is not None:
                takes_unseen = encoder.handle_unknown == "infrequent_if_exist"
                matrix, rest = _gathering(categories, shared, takes_unseen=takes_unseen)
                table = self.add("Gemm", [table, self.constant(matrix), self.constant(rest)])
            tables.append(table)
        return tables[0] if len(tables) == 1 else self.add("Concat", tables, axis=1)


def filling(imputer: Any) -> Any:
    """Return what an imputer of numbers fills into each column.

    Raises:
        Unwritten: It does more, or takes something else for a gap than NaN.
    """
    import numpy as np

    values = np.asarray(imputer.statistics_)
    marks_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    if not marks_nan or values.dtype.kind != "f" or np.isnan(values).any() or imputer.add_indicator:
        raise Unwritten
    return values.astype(np.float64)


def is_gap(category: Any) -> bool:
    """Whether a category stands for a missing value."""
    return category is None or category != category


def _gathering(categories: Any, shared: Any, *, takes_unseen: bool) -> tuple[Any, Any]:
    """Return the matrix that leads each category to its column, and what is added to it.

    Args:
        categories: All categories, in their order.
        shared: Those that share the last column.
        takes_unseen: Whether the last column also takes what is no category.
    """
    import numpy as np

    rare = {str(category) for category in shared}
    is_rare = np.array([str(category) in rare for category in categories])
    common = np.flatnonzero(~is_rare)
    matrix, rest = np.zeros((len(categories), len(common) + 1)), np.zeros(len(common) + 1)
    matrix[common, np.arange(len(common))] = 1
    if takes_unseen:
        # what is in no common column is in the last
        matrix[common, -1], rest[-1] = -1, 1
    else:
        matrix[is_rare, -1] = 1
    return matrix, rest
