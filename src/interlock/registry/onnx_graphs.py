"""Give an ONNX graph the inputs and outputs of a signature."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from interlock.core.errors import missing_extra
from interlock.core.schema import Column, Signature
from interlock.registry.signatures import LABEL, PREDICTION

NUMBERS, STRINGS = "interlock_numbers", "interlock_strings"
"""Inputs of a graph that takes all columns that are not strings in one, and all that are in another."""

PACKED_MOST_BYTES = 4_000_000
"""Beyond this size a graph takes so long itself that handing over its inputs does not matter."""


def graph_files(proto: Any, signature: Signature) -> dict[str, bytes]:
    """Return the files of a graph whose inputs are named as the signature's: as it is, and with packed inputs."""
    files = {"model.onnx": proto.SerializeToString()}
    if len(files["model.onnx"]) <= PACKED_MOST_BYTES:
        pack_inputs(proto, signature)
        files["packed.onnx"] = proto.SerializeToString()
    return files


def name_outputs(proto: Any, signature: Signature) -> None:
    """Give a converter's graph the signature's outputs, each a flat array of its type.

    Its first output holds labels or predictions, its last (which may be the same) a table of shares.
    """
    from onnx import TensorProto, helper

    kinds = {
        "double": TensorProto.DOUBLE,
        "long": TensorProto.INT64,
        "boolean": TensorProto.BOOL,
        "string": TensorProto.STRING,
    }
    graph = proto.graph
    first, last = graph.output[0], graph.output[-1]
    taken = {port.name for port in graph.output} | {column.name for column in signature.outputs}
    _rename(graph, {name: f"interlock_raw_{name}" for name in taken})
    said = [column.name for column in signature.outputs if column.name.startswith((LABEL, PREDICTION))]
    shares = [column.name for column in signature.outputs if column.name not in said]
    outputs = []
    for column in signature.outputs:
        source = first if column.name in said else last
        among = said if column.name in said else shares
        same = source.type.tensor_type.elem_type == kinds[column.type]
        flat = column.name if same else f"interlock_flat_{column.name}"
        index, whole = f"interlock_at_{column.name}", column.name in said and len(said) == 1
        # of two columns the second counts, and a share may also stand alone
        place = -1 if len(among) == 1 else among.index(column.name)
        if whole:
            graph.initializer.append(helper.make_tensor(index, TensorProto.INT64, [1], [-1]))
            graph.node.append(helper.make_node("Reshape", [source.name, index], [flat]))
        else:
            graph.initializer.append(helper.make_tensor(index, TensorProto.INT64, [], [place]))
            graph.node.append(helper.make_node("Gather", [source.name, index], [flat], axis=1))
        if not same:
            graph.node.append(helper.make_node("Cast", [flat], [column.name], to=kinds[column.type]))
        outputs.append(helper.make_tensor_value_info(column.name, kinds[column.type], [None]))
    del graph.output[:]
    graph.output.extend(outputs)


def pack_inputs(proto: Any, signature: Signature) -> None:
    """Replace the inputs of a graph by one per kind, split into columns by its first nodes."""
    from onnx import TensorProto, helper

    graph = proto.graph
    taken = {port.name: port.type.tensor_type.elem_type for port in graph.input}
    del graph.input[:]
    for packed, is_string in ((NUMBERS, False), (STRINGS, True)):
        names = [column.name for column in signature.inputs if (column.type == "string") == is_string]
        if names:
            graph.input.append(helper.make_tensor_value_info(packed, taken[names[0]], [None, len(names)]))
            widths = helper.make_tensor(f"{packed}_widths", TensorProto.INT64, [len(names)], [1] * len(names))
            if not _skip_joining(graph, packed, names):
                graph.initializer.append(widths)
                graph.node.insert(0, helper.make_node("Split", [packed, widths.name], names, axis=1))


def without_maps(data: bytes) -> bytes:
    """Return a graph whose outputs of a map for each row are the tables that these were made of."""
    if importlib.util.find_spec("onnx") is None:
        raise missing_extra("onnx", extra="sklearn", purpose="serving a graph that gives a map for each row")
    import onnx
    from onnx import helper

    proto = onnx.load_model_from_string(data)
    graph = proto.graph
    maps = {node.output[0]: node for node in graph.node if node.op_type == "ZipMap"}
    for port in [port for port in graph.output if port.name in maps]:
        node = maps[port.name]
        classes = next(len(attribute.ints) or len(attribute.strings) for attribute in node.attribute)
        graph.output.remove(port)
        graph.output.append(helper.make_tensor_value_info(port.name, onnx.TensorProto.FLOAT, [None, classes]))
        graph.node.append(helper.make_node("Identity", [node.input[0]], [port.name]))
        graph.node.remove(node)
    return bytes(proto.SerializeToString())


def odd_column(columns: tuple[Column, ...]) -> Column | None:
    """Return the first column of a type that ONNX has no tensors of, or None."""
    return next((column for column in columns if column.type in ("datetime", "binary")), None)


def _skip_joining(graph: Any, packed: str, names: list[str]) -> bool:
    """Where the graph does nothing with columns but join them in their order, use the packed input as it is."""
    users = [node for node in graph.node if not set(names).isdisjoint(node.input)]
    if len(users) != 1 or users[0].op_type != "Concat" or list(users[0].input) != names:
        return False
    joined = users[0].output[0]
    graph.node.remove(users[0])
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == joined:
                node.input[at] = packed
    return True


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for ports in (node.input, node.output):
            for at, name in enumerate(ports):
                ports[at] = names.get(name, name)
    for port in graph.output:
        port.name = names[port.name]
