"""Compile a fitted estimator to ONNX, and keep the result only if it answers as the estimator does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, missing_extra
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.registry.probing import Answers
from interlock.registry.signatures import LABEL, PROBABILITY

TOLERANCE = 1e-5
"""Largest difference borne: absolute for probabilities, relative to the size for a regressor's numbers."""

PACKED_MOST_BYTES = 4_000_000
"""Beyond this size a graph takes so long itself that handing over its inputs does not matter."""

OPSET = {"": 18, "ai.onnx.ml": 3}
_NULL_STRINGS = ("nan", "None")


class Compiled(msgspec.Struct, frozen=True):
    """A compiled form that agrees with its model.

    Args:
        files: The ONNX model (`model.onnx`) and, where it is small, the same with packed inputs (`packed.onnx`).
        precision: `float64` or `float32`.
        max_difference: The largest difference seen.
        settings: What the runtime must be told to load it.
    """

    files: dict[str, bytes]
    precision: str
    max_difference: float
    settings: dict[str, str]


def compile_model(
    model: Any, *, signature: Signature, answers: Answers, runtime: ModelRuntime
) -> tuple[Compiled | None, str]:
    """Return the first form that loads in the runtime and agrees with the model's answers, or why there is none.

    Doubles are tried in 64 bits first, then in 32.
    """
    if odd := [column for column in signature.inputs if column.type in ("datetime", "binary")]:
        return None, f"ONNX has no {odd[0].type} columns ('{odd[0].name}')"
    if clash := {column.name for column in signature.outputs} & set(signature.input_names):
        return None, f"an input column has the name of an output: {sorted(clash)}"
    reasons: list[str] = []
    for precision in ("float64", "float32"):
        files, problem = _convert(model, signature, precision)
        if not files:
            reasons.append(f"{precision}: {problem}")
            continue
        for null_string in _NULL_STRINGS:
            settings = {"null_string": null_string}
            try:
                difference = _difference(files, settings, signature, answers, runtime)
            except InterlockError as error:
                reasons.append(f"{precision}: {error.what} ({error.why})")
                continue
            if difference <= TOLERANCE:
                return Compiled(files, precision, difference, settings), ""
            reasons.append(f"{precision}: differs by {difference:.2g}")
    return None, "; ".join(dict.fromkeys(reasons))


def one_row_us(predictor: Predictor, answers: Answers, *, repeats: int) -> float:
    """Return the best time of one row. Unit: microseconds."""
    columns = [values[:1] for values in answers.columns()]
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        predictor.predict(columns, rows=1)
        best = min(best, time.perf_counter() - start)
    return round(best * 1e6, 1)


def _difference(
    files: Mapping[str, bytes],
    settings: Mapping[str, Any],
    signature: Signature,
    answers: Answers,
    runtime: ModelRuntime,
) -> float:
    """Return how far the worst of the compiled forms is from the model."""
    worst = 0.0
    for path, graph in files.items():
        with tempfile.TemporaryDirectory(prefix="interlock-compile-") as folder:
            (Path(folder) / path).write_bytes(graph)
            predictor = runtime.load(Path(folder), signature=signature, settings=settings)
            found = predictor.predict(answers.columns(), rows=len(answers.rows))
        plain = {name: values.tolist() for name, values in found.items()}
        worst = max(worst, largest_difference(answers.outputs, plain))
    return worst


def largest_difference(expected: Mapping[str, list[Any]], found: Mapping[str, list[Any]]) -> float:
    """Return the largest difference between two sets of answers; infinite where a label differs.

    A label may differ only where the two likeliest classes are as good as equal. Numbers beyond 1 are compared
    relative to their size. Cost: one pass.
    """
    worst = 0.0
    for name, values in expected.items():
        if name == LABEL:
            continue
        for one, other in zip(values, found[name], strict=True):
            difference = abs(one - other) / max(1.0, abs(one))
            if not difference <= worst:
                worst = difference if difference == difference else float("inf")
    if LABEL in expected:
        for row, (one, other) in enumerate(zip(expected[LABEL], found[LABEL], strict=True)):
            if one != other and _margin(expected, row) > 2 * TOLERANCE:
                return float("inf")
    return worst


def _margin(outputs: Mapping[str, list[Any]], row: int) -> float:
    shares = sorted(values[row] for name, values in outputs.items() if name.startswith(PROBABILITY))
    if not shares:
        return float("inf")
    return abs(2 * shares[0] - 1) if len(shares) == 1 else float(shares[-1] - shares[-2])


def _convert(model: Any, signature: Signature, precision: str) -> tuple[dict[str, bytes], str]:
    """Return the ONNX files, with one input per column and one output per answer, or the converter's words."""
    try:
        import skl2onnx
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
        from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
        from sklearn.impute import SimpleImputer
    except ImportError as error:
        raise missing_extra("skl2onnx", extra="sklearn", purpose="compiling a model") from error
    number = DoubleTensorType if precision == "float64" else FloatTensorType
    inputs = [
        (column.name, (StringTensorType if column.type == "string" else number)([None, 1]))
        for column in signature.inputs
    ]
    whole = _takes_columns(model, signature.inputs)
    final = _final(model)
    replaced: dict[str, Any] = {}
    if precision == "float64" and all(_fills_numbers(step) for step in _imputers(whole)):
        # ONNX Runtime has the Imputer operator for 32-bit numbers only
        replaced = {
            "custom_conversion_functions": {SimpleImputer: _write_imputer},
            "custom_shape_calculators": {SimpleImputer: _shape_imputer},
        }
    try:
        proto = skl2onnx.convert_sklearn(
            whole,
            initial_types=inputs,
            options={id(final): {"zipmap": False}} if hasattr(final, "classes_") else None,
            target_opset=OPSET,
            **replaced,
        )
        _name_outputs(proto, signature)
    except (MissingConverter, MissingShapeCalculator, *_REFUSALS) as error:
        return {}, " ".join(str(error).split())[:160]
    files = {"model.onnx": proto.SerializeToString()}
    if len(files["model.onnx"]) <= PACKED_MOST_BYTES:
        _pack_inputs(proto, signature)
        files["packed.onnx"] = proto.SerializeToString()
    return files, ""


# what the converter raises for models it cannot write; it has no base class of its own for them
_REFUSALS = (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError, KeyError, IndexError)


def _final(model: Any) -> Any:
    return _final(model.steps[-1][1]) if hasattr(model, "steps") else model


def _takes_columns(model: Any, columns: tuple[Column, ...]) -> Any:
    """Return a model that reads named columns: itself, or with a step before it that gathers them."""
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    steps = list(model.steps) if hasattr(model, "steps") else [("model", model)]
    if isinstance(steps[0][1], ColumnTransformer) and hasattr(model, "feature_names_in_"):
        return model
    width = len(columns)
    gather = ColumnTransformer([("columns", "passthrough", list(range(width)))]).fit(np.zeros((1, width)))
    return Pipeline([("columns", gather), *((f"after_{name}", step) for name, step in steps)])


def _imputers(model: Any) -> Iterator[Any]:
    from sklearn.impute import SimpleImputer

    if isinstance(model, SimpleImputer):
        yield model
    elif hasattr(model, "steps"):
        for _, step in model.steps:
            yield from _imputers(step)
    elif hasattr(model, "transformers_"):
        for _, step, _ in model.transformers_:
            yield from _imputers(step)


def _fills_numbers(imputer: Any) -> bool:
    import numpy as np

    missing = imputer.missing_values
    return bool(
        isinstance(missing, float)
        and np.isnan(missing)
        and imputer.statistics_.dtype.kind == "f"
        and not np.isnan(imputer.statistics_).any()
        and not imputer.add_indicator
    )


def _shape_imputer(operator: Any) -> None:
    first = operator.inputs[0].type
    width = sum(port.type.shape[1] for port in operator.inputs)
    operator.outputs[0].type = type(first)([first.shape[0], width])


def _write_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Write `SimpleImputer` as `Where(IsNaN(x), statistic, x)`, which exists for 64-bit numbers."""
    from onnx import TensorProto

    statistics = operator.raw_operator.statistics_
    fill, joined, gap = (scope.get_unique_variable_name(name) for name in ("fill", "joined", "gap"))
    container.add_initializer(fill, TensorProto.DOUBLE, [1, len(statistics)], statistics.tolist())
    sources = [port.full_name for port in operator.inputs]
    add: Callable[..., None] = container.add_node
    if len(sources) == 1:
        joined = sources[0]
    else:
        add("Concat", sources, joined, axis=1, name=scope.get_unique_operator_name("Join"))
    add("IsNaN", joined, gap, name=scope.get_unique_operator_name("Gap"))
    add("Where", [gap, fill, joined], operator.output_full_names, name=scope.get_unique_operator_name("Fill"))


def _name_outputs(proto: Any, signature: Signature) -> None:
    """Give the graph the signature's outputs, each a flat array of its type, in place of the converter's."""
    from onnx import TensorProto, helper

    kinds = {
        "double": TensorProto.DOUBLE,
        "long": TensorProto.INT64,
        "boolean": TensorProto.BOOL,
        "string": TensorProto.STRING,
    }
    graph = proto.graph
    label, table = graph.output[0], graph.output[-1]
    _rename(graph, {port.name: f"interlock_raw_{port.name}" for port in graph.output})
    shares = [column.name for column in signature.outputs if column.name != LABEL]
    outputs = []
    for column in signature.outputs:
        source, at, kind = (label, -1, label) if column.name == LABEL else (table, _at(shares, column.name), table)
        same = kind.type.tensor_type.elem_type == kinds[column.type]
        flat = column.name if same else f"interlock_flat_{column.name}"
        index = helper.make_tensor(f"interlock_at_{column.name}", TensorProto.INT64, [1] if at < 0 else [], [at])
        graph.initializer.append(index)
        if at < 0:
            graph.node.append(helper.make_node("Reshape", [source.name, index.name], [flat]))
        else:
            graph.node.append(helper.make_node("Gather", [source.name, index.name], [flat], axis=1))
        if not same:
            graph.node.append(helper.make_node("Cast", [flat], [column.name], to=kinds[column.type]))
        outputs.append(helper.make_tensor_value_info(column.name, kinds[column.type], [None]))
    del graph.output[:]
    graph.output.extend(outputs)


def _pack_inputs(proto: Any, signature: Signature) -> None:
    """Replace the inputs of a graph by one per kind, split into columns by its first nodes."""
    from onnx import TensorProto, helper

    graph = proto.graph
    taken = {port.name: port.type.tensor_type.elem_type for port in graph.input}
    del graph.input[:]
    for packed, is_string in (("interlock_numbers", False), ("interlock_strings", True)):
        names = [column.name for column in signature.inputs if (column.type == "string") == is_string]
        if names:
            graph.input.append(helper.make_tensor_value_info(packed, taken[names[0]], [None, len(names)]))
            widths = helper.make_tensor(f"{packed}_widths", TensorProto.INT64, [len(names)], [1] * len(names))
            if not _skip_joining(graph, packed, names):
                graph.initializer.append(widths)
                graph.node.insert(0, helper.make_node("Split", [packed, widths.name], names, axis=1))


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


def _at(shares: list[str], name: str) -> int:
    """Return the column of the converter's table in which an answer lies."""
    return 1 if shares == [PROBABILITY] else shares.index(name)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for ports in (node.input, node.output):
            for at, name in enumerate(ports):
                ports[at] = names.get(name, name)
    for port in graph.output:
        port.name = names[port.name]
