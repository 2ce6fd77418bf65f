"""Write ONNX graphs that take a table of numbers and give shares and labels, or predictions."""

from __future__ import annotations

from typing import Any

from interlock.core.schema import Signature
from interlock.registry.onnx_graphs import NUMBERS
from interlock.registry.onnx_writing import BOOL, DOUBLE, FLOAT, INT64, STRING, model, node, port, tensor
from interlock.registry.signatures import LABEL, SCORE


def answer_nodes(
    source: str, width: int, signature: Signature, classes: list[Any] | None, *, is_double: bool
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the nodes that turn a table of shares into the signature's outputs, their constants, and the outputs.

    Args:
        source: Name of the table; shape (rows, width).
        width: How many shares it holds: of two classes that of the second, else one for each.
        signature: What the graph shall give.
        classes: A classifier's labels in their order.
        is_double: Whether the table is of 64 bits.

    Raises:
        ValueError: The signature has another number of shares.
    """
    import numpy as np

    shares = [column.name for column in signature.outputs if column.name != LABEL]
    if len(shares) != width:
        raise ValueError(f"it gives {width} numbers, the model {len(shares)}")
    nodes, constants = [], []
    table = source
    if not is_double:
        nodes.append(node("Cast", [source], ["interlock_table"], to=DOUBLE))
        table = "interlock_table"
    outputs = [port(name, DOUBLE) for name in shares]
    if len(shares) == 1:
        constants.append(tensor("interlock_flat", np.array([-1])))
        nodes.append(node("Reshape", [table, "interlock_flat"], shares))
    else:
        for at, name in enumerate(shares):
            constants.append(tensor(f"interlock_at_{at}", np.array(at)))
            nodes.append(node("Gather", [table, f"interlock_at_{at}"], [name], axis=1))
    if classes is not None:
        place, half = "interlock_place", 0.0 if shares[0].startswith(SCORE) else 0.5
        if len(shares) == 1:
            constants.append(tensor("interlock_half", np.array([half])))
            nodes.append(node("Greater", [shares[0], "interlock_half"], ["interlock_over"]))
            nodes.append(node("Cast", ["interlock_over"], [place], to=INT64))
        else:
            nodes.append(node("ArgMax", [table], [place], axis=1, keepdims=0))
        kind, labels = _labels(classes)
        constants.append(tensor("interlock_classes", labels))
        nodes.append(node("Gather", ["interlock_classes", place], [LABEL], axis=0))
        outputs.append(port(LABEL, kind))
    return nodes, constants, outputs


def numbers_graph(
    nodes: list[bytes], constants: list[bytes], signature: Signature, outputs: list[bytes], *, is_double: bool
) -> bytes:
    """Return a graph that takes all columns, which hold numbers, in one input."""
    taken = port(NUMBERS, DOUBLE if is_double else FLOAT, len(signature.inputs))
    return model(nodes, constants, [taken], outputs)


def _labels(classes: list[Any]) -> tuple[int, Any]:
    import numpy as np

    if all(isinstance(label, bool) for label in classes):
        return BOOL, np.array(classes, bool)
    if all(isinstance(label, int) for label in classes):
        return INT64, np.array(classes, np.int64)
    if all(isinstance(label, float) for label in classes):
        return DOUBLE, np.array(classes, np.float64)
    return STRING, [str(label) for label in classes]
