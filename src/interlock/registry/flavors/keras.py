"""Keras: a network as Keras's own file, compiled to ONNX where that is exact."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from interlock.core.errors import InvalidInput, missing_library
from interlock.core.schema import Column, Signature
from interlock.registry.kinds import Form, ModelKind, Options, Package, comes_from
from interlock.registry.tensors import tensor_column, tensors_of

MODEL_FILE = "model.keras.signed"
PURPOSE = "keras model"
OUTPUT = "output"
COMPARED_ROWS = 20

_REFUSALS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    NotImplementedError,
    AssertionError,
    ImportError,
)


def _package(model: Any, example: Any, options: Options) -> Package:
    try:
        import keras
    except ImportError as error:
        raise missing_library("keras", purpose="registering a Keras model") from error
    arrays = _typed(model, tensors_of(example, _input_names(model)))
    first = {name: values[:COMPARED_ROWS] for name, values in arrays.items()}
    answers = _answers(model, first)
    inputs = tuple(tensor_column(name, values) for name, values in arrays.items())
    outputs = tuple(tensor_column(name, values) for name, values in answers.items())
    return Package(
        flavor="keras",
        title=f"{type(model).__name__} {model.name}",
        signature=Signature(inputs, outputs),
        example=arrays,
        expected=answers,
        native=(
            Form(
                engine="keras",
                title=f"Keras ({keras.backend.backend()})",
                files={MODEL_FILE: options.signer.sign(_written(model), of=PURPOSE)},
                libraries=("keras", keras.backend.backend(), "numpy"),
                flavors={"interlock_keras": {"data": MODEL_FILE, "keras_version": keras.__version__}},
            ),
        ),
        compilers=(lambda signature: _onnx(model, inputs, outputs),),
        is_probed=False,
    )


def _input_names(model: Any) -> list[str]:
    """Return what a network calls its inputs; where Keras made up the name of the only one, none."""
    names = [str(one.name) for one in getattr(model, "inputs", None) or ()]
    return [] if len(names) == 1 and names[0].startswith("keras_tensor") else names


def _typed(model: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the example in the types that the network computes with."""
    inputs = list(getattr(model, "inputs", None) or ())
    wanted = {str(one.name): str(one.dtype) for one in inputs}
    if len(inputs) == len(arrays) == 1:
        wanted = {name: str(inputs[0].dtype) for name in arrays}
    return {name: values.astype(wanted.get(name, values.dtype)) for name, values in arrays.items()}


def _answers(model: Any, first: Mapping[str, Any]) -> dict[str, Any]:
    import keras

    given = dict(first) if len(first) > 1 else next(iter(first.values()))
    try:
        answer = model(given, training=False)
    except _REFUSALS as error:
        raise InvalidInput(
            f"the network {model.name} does not answer its example",
            why=str(error).partition("\n")[0][:200],
            fix="pass the example as the network takes it: an array, a list of arrays, or a dict by name of the input",
        ) from error
    if isinstance(answer, Mapping):
        named = {str(name): values for name, values in answer.items()}
    elif isinstance(answer, (tuple, list)):
        named = {f"{OUTPUT}_{at}" if len(answer) > 1 else OUTPUT: values for at, values in enumerate(answer)}
    else:
        named = {OUTPUT: answer}
    return {name: keras.ops.convert_to_numpy(values) for name, values in named.items()}


def _written(model: Any) -> bytes:
    """Return a network as a `.keras` file.

    Raises:
        InvalidInput: It cannot be read back in safe mode: it holds a lambda, or a class that Keras does not know.
    """
    import keras

    with tempfile.TemporaryDirectory(prefix="interlock-keras-") as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            keras.saving.load_model(path, compile=False, safe_mode=True)
        except _REFUSALS as error:
            raise InvalidInput(
                f"the network {model.name} cannot be written without code of its own",
                why=str(error).partition("\n")[0][:200],
                fix="replace lambdas and own layers by Keras's, or register a class with predict() that holds it",
            ) from error
        return path.read_bytes()


def _onnx(model: Any, inputs: Sequence[Column], outputs: Sequence[Column]) -> Iterator[Form | str]:
    with tempfile.TemporaryDirectory(prefix="interlock-keras-") as folder:
        path = Path(folder) / "model.onnx"
        try:
            with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                model.export(path, format="onnx", verbose=False)
            import onnx

            graph = onnx.load(path)
        except _REFUSALS as error:
            yield f"ONNX: {' '.join(str(error).split())[:200]}"
            return
    taken = {port.name for port in graph.graph.input}
    wanted = [column.name for column in inputs]
    if len(taken) != len(wanted) or len(graph.graph.output) != len(outputs):
        yield "ONNX: the exported graph has other inputs or outputs"
        return
    names = (
        {} if taken == set(wanted) else {port.name: name for port, name in zip(graph.graph.input, wanted, strict=True)}
    )
    names |= {port.name: column.name for port, column in zip(graph.graph.output, outputs, strict=True)}
    _rename(graph.graph, names)
    yield Form(engine="onnx", title="ONNX", files={"model.onnx": graph.SerializeToString()}, libraries=("onnxruntime",))


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for port in (*graph.input, *graph.output, *graph.value_info):
        port.name = names.get(port.name, port.name)
    for node in graph.node:
        for ports in (node.input, node.output):
            for at, name in enumerate(ports):
                ports[at] = names.get(name, name)


KERAS = ModelKind(
    flavor="keras",
    takes="a Keras network",
    recognises=lambda model: comes_from(model, "keras") and hasattr(model, "export"),
    package=_package,
)
