"""PyTorch: a network as a program that needs none of its author's classes, compiled to ONNX where that is exact."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.core.errors import InvalidInput, missing_library
from interlock.core.schema import Column, Signature
from interlock.registry.kinds import Form, ModelKind, Options, Package, type_names
from interlock.registry.tensors import tensor_column, tensors_of

MODEL_FILE = "model.torch"
PURPOSE = "torch program"
OUTPUT = "output"
COMPARED_ROWS = 20

# what PyTorch's exporters raise for networks they cannot write; their own classes derive from these
_REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError, AssertionError)


def _package(model: Any, example: Any, options: Options) -> Package:
    try:
        import torch
    except ImportError as error:
        raise missing_library("torch", purpose="registering a PyTorch model") from error
    arrays = tensors_of(example, _parameters(model))
    first = {name: values[:COMPARED_ROWS] for name, values in arrays.items()}
    was_training = model.training
    model.eval()
    try:
        tensors = tuple(torch.from_numpy(values.copy()) for values in first.values())
        answers = _answers(model, tensors)
        program, form = _written(model, tensors)
        inputs = tuple(tensor_column(name, values) for name, values in arrays.items())
        outputs = tuple(tensor_column(name, values) for name, values in answers.items())
        compiled = list(_onnx(model, tensors, inputs, outputs))
    finally:
        model.train(was_training)
    return Package(
        flavor="pytorch",
        title=type(model).__name__,
        signature=Signature(inputs, outputs),
        example=arrays,
        expected=answers,
        native=(
            Form(
                engine="torch",
                title="PyTorch",
                files={MODEL_FILE: options.signer.sign(program, of=PURPOSE)},
                settings={"program": form},
                libraries=("torch", "numpy"),
                flavors={
                    "interlock_torch": {"data": MODEL_FILE, "program": form, "pytorch_version": torch.__version__}
                },
            ),
        ),
        compilers=(lambda signature: iter(compiled),),
        is_probed=False,
    )


def _parameters(model: Any) -> list[str]:
    """Return what a network calls its inputs."""
    if "torch.jit._script.ScriptModule" in type_names(model):
        return [str(one.name) for one in model.forward.schema.arguments[1:]]
    given = inspect.signature(model.forward).parameters.values()
    return [one.name for one in given if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


def _answers(model: Any, tensors: Sequence[Any]) -> dict[str, Any]:
    import torch

    try:
        with torch.inference_mode():
            answer = model(*tensors)
    except _REFUSALS as error:
        raise InvalidInput(
            f"the {type(model).__name__} does not answer its example",
            why=_first_line(error),
            fix="pass the example as the network takes it: a tensor, a tuple of tensors, or a dict by name",
        ) from error
    if isinstance(answer, Mapping):
        named = {str(name): values for name, values in answer.items()}
    elif isinstance(answer, (tuple, list)):
        named = {f"{OUTPUT}_{at}" if len(answer) > 1 else OUTPUT: values for at, values in enumerate(answer)}
    else:
        named = {OUTPUT: answer}
    rows = len(tensors[0])
    for name, values in named.items():
        if not isinstance(values, torch.Tensor) or values.ndim == 0 or len(values) != rows:
            given = f"shape {list(values.shape)}" if isinstance(values, torch.Tensor) else type(values).__name__
            raise InvalidInput(
                f"the answer '{name}' of the {type(model).__name__} has {given}",
                why=f"expected a tensor whose first dimension is the {rows} rows of the example",
            )
    return {name: values.cpu().numpy() for name, values in named.items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' warnings on their own future to themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _written(model: Any, tensors: Sequence[Any]) -> tuple[bytes, str]:
    """Return a network as a program, and which kind of program it is.

    Raises:
        InvalidInput: It does things that no exporter follows.
    """
    import torch

    sink = io.BytesIO()
    if isinstance(model, torch.jit.ScriptModule):
        torch.jit.save(model, sink)
        return sink.getvalue(), "script"
    try:
        with _quiet():
            torch.export.save(torch.export.export(model, tuple(tensors), dynamic_shapes=_any_rows(tensors)), sink)
    except _REFUSALS as error:
        raise InvalidInput(
            f"the {type(model).__name__} cannot be written as a program",
            why=_first_line(error),
            fix="avoid Python control flow on tensors in forward(), or register a class with predict() that holds it",
        ) from error
    return sink.getvalue(), "export"


def _any_rows(tensors: Sequence[Any]) -> tuple[dict[int, Any], ...]:
    """Say that the first dimension of every input may have any length."""
    import torch

    return tuple({0: torch.export.Dim.AUTO} for _ in tensors)


def _onnx(
    model: Any, tensors: Sequence[Any], inputs: Sequence[Column], outputs: Sequence[Column]
) -> Iterator[Form | str]:
    import torch

    if isinstance(model, torch.jit.ScriptModule):
        yield "ONNX: TorchScript is served as it is"
        return
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        yield "ONNX: onnxscript is not installed (pip install onnx onnxscript)"
        return
    try:
        with _quiet(), tempfile.TemporaryDirectory(prefix="interlock-onnx-") as folder:
            program = torch.onnx.export(
                model,
                tuple(tensors),
                dynamo=True,
                dynamic_shapes=_any_rows(tensors),
                input_names=[column.name for column in inputs],
                output_names=[column.name for column in outputs],
                verbose=False,
            )
            path = Path(folder) / "model.onnx"
            program.save(str(path), external_data=False)
            graph = path.read_bytes()
    except _REFUSALS as error:
        yield f"ONNX: {_first_line(error)}"
        return
    yield Form(engine="onnx", title="ONNX", files={"model.onnx": graph}, libraries=("onnxruntime",))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


PYTORCH = ModelKind(
    flavor="pytorch",
    takes="a PyTorch network (nn.Module or TorchScript)",
    recognises=lambda model: "torch.nn.modules.module.Module" in type_names(model),
    package=_package,
)
