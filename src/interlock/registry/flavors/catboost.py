"""CatBoost: its classifiers, regressors and rankers, in its own binary form."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.core.errors import InvalidInput
from interlock.core.schema import Column, Signature
from interlock.registry.boosting import (
    check_labels,
    class_columns,
    prediction_columns,
    prediction_values,
)
from interlock.registry.converting import not_for_onnx, onnx_form
from interlock.registry.kinds import Form, ModelKind, Options, Package, type_names
from interlock.registry.mlflow_flavors import native_flavors
from interlock.registry.onnx_graphs import NUMBERS, name_outputs, without_maps
from interlock.registry.packaging import installed
from interlock.registry.probing import EXAMPLE_ROWS
from interlock.registry.signatures import example_table, input_columns, plain_columns

if TYPE_CHECKING:
    import pyarrow as pa

MODEL_FILE = "model.cb"


def _package(model: Any, example: Any, options: Options) -> Package:
    title = type(model).__name__
    if not model.is_fitted():
        raise InvalidInput(
            f"the {title} is not fitted", why="only a fitted model can be registered", fix="model.fit(X, y)"
        )
    if model.get_text_feature_indices() or model.get_embedding_feature_indices():
        raise InvalidInput(
            f"the {title} reads texts or embeddings", why="a CatBoost model is served with numbers and categories"
        )
    table = example_table(example, None, names=_names(model))
    columns = input_columns(table)
    rows = _rows(table.slice(0, EXAMPLE_ROWS), columns)
    classes: list[Any] | None = None
    # a CatBoost without a task answers with the raw formula, whatever it was trained for
    if hasattr(model, "predict_proba"):
        labels = _labels(model)
        check_labels(labels, title)
        classes = labels.tolist()
        outputs = class_columns(labels)
        said = [_plain(label, classes) for label in model.predict(rows).ravel().tolist()]
        shares = model.predict_proba(rows)
        expected: dict[str, Any] = {**_shares(shares, outputs), outputs[-1].name: said}
    else:
        predicted = model.predict(rows)
        outputs = prediction_columns(predicted)
        expected = prediction_values(predicted, outputs)

    def graphs(signature: Signature) -> Iterator[Form | str]:
        if importlib.util.find_spec("onnx") is None:
            yield "onnx is not installed"
        elif problem := not_for_onnx(signature):
            yield problem
        elif model.get_cat_feature_indices():
            yield "no ONNX graph: it has categories"
        else:
            yield _graph(model, signature)

    files = {MODEL_FILE: _saved(model, "cbm")}
    flavors = native_flavors(
        "catboost",
        data=MODEL_FILE,
        catboost_version=installed("catboost"),
        model_type=next(name for name in _TYPES if f"catboost.core.{name}" in type_names(model)),
        save_format="cbm",
    )
    return Package(
        flavor="catboost",
        title=title,
        signature=Signature(columns, outputs),
        example=plain_columns(table, columns),
        expected=expected,
        # what it makes of the raw formula is not kept in the file
        native=tuple(
            Form(
                engine="catboost",
                title="CatBoost",
                files=files,
                settings=settings,
                libraries=("catboost", "numpy"),
                flavors=flavors,
            )
            for settings in _settings(classes)
        ),
        compilers=(graphs,),
    )


_TYPES = ("CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "CatBoost")


def _names(model: Any) -> list[str] | None:
    """Return the columns that it was fitted on; None where it was fitted on a matrix, whose columns it numbers."""
    names = [str(name) for name in model.feature_names_]
    return None if names == [str(at) for at in range(len(names))] else names


def _rows(table: pa.Table, columns: tuple[Column, ...]) -> Any:
    """Return rows as CatBoost takes them: a matrix, or where there are texts a list of rows."""
    import numpy as np

    plain = plain_columns(table, columns)
    is_mixed = any(column.type != "double" for column in columns)
    return np.array(list(plain.values()), object if is_mixed else np.float64).T


def _labels(model: Any) -> Any:
    import numpy as np

    return np.array(model.classes_)


def _plain(label: Any, classes: list[Any]) -> Any:
    """Return a label as the class that it is: truth values come back as texts."""
    return next((known for known in classes if known == label or str(known) == str(label)), label)


def _settings(classes: list[Any] | None) -> list[dict[str, Any]]:
    if classes is not None:
        return [{"classes": classes}]
    return [{"prediction_type": kind} for kind in ("RawFormulaVal", "Exponent", "RMSEWithUncertainty")]


def _shares(shares: Any, outputs: tuple[Column, ...]) -> dict[str, Any]:
    width = len(outputs) - 1
    return dict(zip((column.name for column in outputs[:width]), shares.T[-width:].tolist(), strict=True))


def _saved(model: Any, form: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="interlock-register-") as folder:
        path = Path(folder) / "model"
        model.save_model(str(path), format=form)
        return path.read_bytes()


def _graph(model: Any, signature: Signature) -> Form | str:
    """Return CatBoost's own ONNX graph, with the inputs and outputs of the signature, or CatBoost's words."""
    import catboost
    import onnx
    from onnx import helper

    try:
        proto = onnx.load_model_from_string(without_maps(_saved(model, "onnx")))
    except catboost.CatBoostError as error:
        return f"no ONNX graph: {str(error)[-160:]}"
    graph = proto.graph
    for node in graph.node:
        node.input[:] = [NUMBERS if name == graph.input[0].name else name for name in node.input]
    graph.input[0].name = NUMBERS
    proto.opset_import.append(helper.make_opsetid("", 18))
    name_outputs(proto, signature)
    return onnx_form({"model.onnx": proto.SerializeToString()}, "float32")


CATBOOST = ModelKind(
    flavor="catboost",
    takes="a CatBoost model",
    recognises=lambda model: "catboost.core.CatBoost" in type_names(model),
    package=_package,
)
