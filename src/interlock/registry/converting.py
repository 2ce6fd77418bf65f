"""Turn scikit-learn estimators into ONNX graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from interlock.core.errors import missing_extra
from interlock.core.schema import Column, Signature
from interlock.registry.column_graphs import column_graph
from interlock.registry.joined_graphs import final_booster, joined
from interlock.registry.kinds import Form
from interlock.registry.linear_graphs import is_linear, linear_graph
from interlock.registry.mlflow_flavors import onnx_flavor
from interlock.registry.onnx_graphs import graph_files, name_outputs, odd_column
from interlock.registry.piped_trees import ends_in_trees, piped_tree_graph
from interlock.registry.signatures import SCORE

OPSET = {"": 18, "ai.onnx.ml": 3}
_NULL_STRINGS = ("nan", "None")


def onnx_forms(model: Any, signature: Signature) -> Iterator[Form | str]:
    """Give the forms that ONNX Runtime may run: graphs of our own, then the converter's in 64 bits and in 32.

    Ours are of fewer nodes, keep 64 bits where the converter has only 32, and need no converter, whose import takes
    longer than all the rest of a registration.
    """
    if problem := not_for_onnx(signature):
        yield problem
        return
    if (form := _own_graph(model, signature)) is not None:
        yield form
    null_strings = _NULL_STRINGS if any(column.type == "string" for column in signature.inputs) else _NULL_STRINGS[:1]
    for precision in ("float64", "float32"):
        files, problem = _convert(model, signature, precision)
        if not files:
            yield f"{precision}: {problem}"
            continue
        for null_string in null_strings:
            yield onnx_form(files, precision, null_string=null_string)


def _own_graph(model: Any, signature: Signature) -> Form | str | None:
    """Return the graph of a linear model or of trees, with the steps before, or None where it is neither."""
    steps = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    if isinstance(getattr(steps[-1], "classes_", None), list):
        return None
    try:
        if ends_in_trees(steps):
            found = piped_tree_graph(steps, signature)
        elif type(steps[0]).__name__ == "ColumnTransformer" and len(steps) > 1 and is_linear(steps[1:]):
            found = column_graph(steps, signature)
        elif is_linear(steps) and not any(column.type == "string" for column in signature.inputs):
            found = {"model.onnx": linear_graph(steps, signature)}, "nan"
        else:
            return None
    except (ValueError, TypeError, NotImplementedError) as error:
        return f"no graph of ours: {str(error)[:160]}"
    return None if found is None else onnx_form(found[0], "float64", null_string=found[1])


def onnx_form(files: dict[str, bytes], precision: str, *, null_string: str = "nan") -> Form:
    """Return the form of a graph."""
    return Form(
        engine="onnx",
        title=f"ONNX ({precision})",
        files=files,
        settings={"precision": precision, "null_string": null_string},
        libraries=("onnxruntime",),
        flavors=onnx_flavor(),
    )


def not_for_onnx(signature: Signature) -> str:
    """Return why a signature cannot be that of an ONNX graph; empty where it can."""
    if odd := odd_column(signature.inputs):
        return f"ONNX has no {odd.type} columns ('{odd.name}')"
    if clash := {column.name for column in signature.outputs} & set(signature.input_names):
        return f"an input column has the name of an output: {sorted(clash)}"
    return ""


def _convert(model: Any, signature: Signature, precision: str) -> tuple[dict[str, bytes], str]:
    """Return the ONNX files, with one input per column and one output per answer, or the converter's words."""
    booster = final_booster(model)
    try:
        if booster is None:
            proto = _proto(model, signature, precision)
            name_outputs(proto, signature)
        else:
            proto = joined(_proto(model[:-1], signature, precision), booster, signature)
    except _refusals() as error:
        return {}, " ".join(str(error).split())[:160]
    return graph_files(proto, signature), ""


def _proto(model: Any, signature: Signature, precision: str) -> Any:
    """Return what the converter makes of a model, with one input per column."""
    try:
        import skl2onnx
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
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
    options: dict[str, Any] = {"zipmap": False} if hasattr(final, "classes_") else {}
    if any(column.name.startswith(SCORE) for column in signature.outputs) and hasattr(final, "classes_"):
        options["raw_scores"] = True
    settings: dict[str, Any] = {"initial_types": inputs, "target_opset": OPSET}
    if precision == "float64" and all(_fills_numbers(step) for step in _imputers(whole)):
        # ONNX Runtime has the Imputer operator for 32-bit numbers only
        settings["custom_conversion_functions"] = {SimpleImputer: _write_imputer}
        settings["custom_shape_calculators"] = {SimpleImputer: _shape_imputer}
    with warnings.catch_warnings():
        # what the converter looks at may be on its way out of scikit-learn; that is no matter of the user's
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return skl2onnx.convert_sklearn(whole, options={id(final): options} if options else None, **settings)
        except NameError:
            # an option that this estimator's converter does not have
            options.pop("zipmap")
            return skl2onnx.convert_sklearn(whole, options={id(final): options} if options else None, **settings)


def _refusals() -> tuple[type[Exception], ...]:
    """Return what the converter raises for models it cannot write; it has no base class of its own for them."""
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    builtin = (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError, KeyError, IndexError)
    return (MissingConverter, MissingShapeCalculator, *builtin)


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
