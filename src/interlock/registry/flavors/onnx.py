"""ONNX: a graph in memory, as bytes or in a file, taken as it is; its inputs and outputs are tensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch
from interlock.core.schema import Column, ColumnType, Signature
from interlock.registry.kinds import Form, ModelKind, Options, Package, comes_from
from interlock.registry.mlflow_flavors import onnx_flavor, python_function
from interlock.registry.onnx_graphs import without_maps
from interlock.registry.packaging import MODEL_ONNX
from interlock.registry.tensors import tensors_of

SERVED = "packed.onnx"
"""Where the graph had to be changed to be served, the changed one; `model.onnx` stays as it was given."""

_SIZE = 4
"""The length that is taken for a dimension of any length where there is no example."""

_TYPES: Mapping[str, tuple[str, ColumnType, str]] = {
    "tensor(float)": ("FP32", "double", "float32"),
    "tensor(double)": ("FP64", "double", "float64"),
    "tensor(float16)": ("FP16", "double", "float16"),
    "tensor(int8)": ("INT8", "long", "int8"),
    "tensor(int16)": ("INT16", "long", "int16"),
    "tensor(int32)": ("INT32", "long", "int32"),
    "tensor(int64)": ("INT64", "long", "int64"),
    "tensor(uint8)": ("UINT8", "long", "uint8"),
    "tensor(uint16)": ("UINT16", "long", "uint16"),
    "tensor(uint32)": ("UINT32", "long", "uint32"),
    "tensor(uint64)": ("UINT64", "long", "uint64"),
    "tensor(bool)": ("BOOL", "boolean", "bool"),
    "tensor(string)": ("BYTES", "string", "object"),
}
"""The Open Inference datatype, logical type and NumPy type of ONNX Runtime's types."""


def _package(model: Any, example: Any, options: Options) -> Package:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    data = _read(model)
    files = {MODEL_ONNX: data}
    refusals = (state.Fail, state.InvalidProtobuf, state.InvalidGraph, state.NotImplemented, state.InvalidArgument)
    try:
        session = onnxruntime.InferenceSession(data, _quiet(), providers=["CPUExecutionProvider"])
        if any(not port.type.startswith("tensor(") for port in session.get_outputs()):
            files[SERVED] = without_maps(data)
            session = onnxruntime.InferenceSession(files[SERVED], _quiet(), providers=["CPUExecutionProvider"])
    except (*refusals, RuntimeError) as error:
        raise InvalidInput(
            "the ONNX graph cannot be loaded",
            why=str(error).partition("\n")[0][:300],
            fix="python -c \"import onnx; onnx.checker.check_model('model.onnx', full_check=True)\"",
        ) from error
    inputs = tuple(_column(port) for port in session.get_inputs())
    outputs = tuple(_column(port) for port in session.get_outputs() if port.type.startswith("tensor("))
    if not inputs or not outputs:
        raise InvalidInput("the ONNX graph has no tensor to take or to give", why="a model is asked and answers")
    taken = _example(example, inputs)
    names = [column.name for column in outputs]
    try:
        given = dict(zip(names, session.run(names, taken), strict=True))
    except (*refusals, RuntimeError, state.RuntimeException, ValueError) as error:
        raise SchemaMismatch(
            f"the ONNX graph does not take {'the example' if example is not None else 'made-up numbers'}",
            why=str(error).partition("\n")[0][:300],
            fix=f"example={{{', '.join(f'{column.name!r}: array' for column in inputs)}}}",
        ) from error
    return Package(
        flavor="onnx",
        title=f"ONNX graph of {_producer(session)}",
        signature=Signature(inputs, outputs),
        example=taken,
        expected=given,
        native=(
            Form(
                engine="onnx",
                title="ONNX",
                files=files,
                libraries=("onnx", "onnxruntime", "numpy"),
                flavors={**python_function("onnx", data=MODEL_ONNX), **onnx_flavor()},
            ),
        ),
    )


def _recognises(model: Any) -> bool:
    if isinstance(model, (str, Path)):
        return Path(model).suffix == ".onnx"
    return isinstance(model, (bytes, bytearray)) or (comes_from(model, "onnx") and type(model).__name__ == "ModelProto")


def _read(model: Any) -> bytes:
    """Return a graph as bytes; what lies in files beside it is taken in."""
    if isinstance(model, (bytes, bytearray)):
        return bytes(model)
    if not isinstance(model, (str, Path)):
        return bytes(model.SerializeToString())
    path = Path(model)
    if not path.is_file():
        raise NotFound(f"there is no file {path}", why="expected the path of an ONNX graph")
    if importlib.util.find_spec("onnx") is None:
        return path.read_bytes()
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return bytes(onnx.load(path).SerializeToString())
    except (DecodeError, ValueError, OSError) as error:
        raise InvalidInput(f"{path} holds no ONNX graph", why=str(error)[:300]) from error


def _quiet() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return options


def _column(port: Any) -> Column:
    """Return a port of a graph as a tensor; a first dimension without a length is the rows."""
    if port.type not in _TYPES:
        raise InvalidInput(
            f"the ONNX graph has '{port.name}' of type {port.type}", why="expected tensors of plain values"
        )
    datatype, kind, _ = _TYPES[port.type]
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in port.shape)
    return Column(port.name, kind, False, shape=shape, datatype=datatype)


def _example(example: Any, inputs: Sequence[Column]) -> dict[str, Any]:
    """Return the example as the graph takes it, or made-up numbers where there is none."""
    import numpy as np

    kinds = {datatype: kind for datatype, _, kind in _TYPES.values()}
    if example is None:
        dice = np.random.default_rng(0)
        made = {}
        for column in inputs:
            shape = [_SIZE if size == -1 else size for size in column.shape or ()]
            values: Any = dice.random(shape) if column.type == "double" else np.ones(shape)
            made[column.name] = (
                values.astype(kinds[column.datatype]) if column.type != "string" else np.full(shape, "a", object)
            )
        return made
    found = tensors_of(example, [column.name for column in inputs])
    if missing := [column.name for column in inputs if column.name not in found]:
        raise SchemaMismatch(
            f"the example lacks the input '{missing[0]}'",
            why=f"the graph takes {', '.join(column.name for column in inputs)}",
            fix="example={name: array, …}",
        )
    # a matrix of numbers is often made in 64 bits, and the graph knows which it takes
    return {column.name: np.asarray(found[column.name], kinds[column.datatype]) for column in inputs}


def _producer(session: Any) -> str:
    known = session.get_modelmeta().producer_name
    return known if known else "unknown origin"


ONNX = ModelKind(
    flavor="onnx",
    takes="an ONNX graph (a ModelProto, its bytes, or the path of a .onnx file)",
    recognises=_recognises,
    package=_package,
)
