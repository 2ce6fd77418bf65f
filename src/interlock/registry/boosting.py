"""What XGBoost, LightGBM and CatBoost have in common: tables of numbers in, shares or predictions out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column, Signature
from interlock.registry.converting import not_for_onnx, onnx_form
from interlock.registry.kinds import Compiler, Form
from interlock.registry.probing import EXAMPLE_ROWS
from interlock.registry.signatures import (
    LABEL,
    PREDICTION,
    PROBABILITY,
    example_table,
    input_columns,
    plain_columns,
    type_of_array,
)
from interlock.registry.tree_graphs import tree_graph
from interlock.registry.tree_reading import treelite_trees


class Numbers(msgspec.Struct, frozen=True):
    """An example as these libraries take it.

    Args:
        columns: The columns of the signature.
        plain: Its rows by column.
        matrix: Its first rows, those that are compared; shape (rows, columns), 64 bits.
    """

    columns: tuple[Column, ...]
    plain: dict[str, list[Any]]
    matrix: Any


def numbers_of(example: Any, names: Sequence[str] | None, library: str) -> Numbers:
    """Return an example whose columns all hold numbers.

    Args:
        example: A table of any kind, or a matrix.
        names: The columns that the model was fitted on, in their order, where it knows.
        library: The library, for the message.

    Raises:
        SchemaMismatch: A column is missing, or holds no numbers.
    """
    import numpy as np

    table = example_table(example, None, names=names)
    columns = input_columns(table)
    if odd := [column for column in columns if column.type not in ("double", "long", "boolean")]:
        raise SchemaMismatch(
            f"column '{odd[0].name}' of the example holds {odd[0].type} values",
            why=f"{library} models are served with numbers",
            fix="fit a Pipeline whose first step encodes the column: OrdinalEncoder() or OneHotEncoder()",
        )
    plain = plain_columns(table, columns)
    matrix = np.array([values[:EXAMPLE_ROWS] for values in plain.values()], np.float64).T
    return Numbers(columns, plain, matrix)


def class_columns(classes: Any) -> tuple[Column, ...]:
    """Return what a classifier gives: the share of its second class, or of each where there are more, and the label."""
    names = [PROBABILITY] if len(classes) == 2 else [f"{PROBABILITY}_{name}" for name in classes.tolist()]
    return (*(Column(name, "double", False) for name in names), Column(LABEL, type_of_array(classes), False))


def class_values(shares: Any, labels: Any, columns: Sequence[Column]) -> dict[str, list[Any]]:
    """Return what `predict_proba` and `predict` said, output by output."""
    width = len(columns) - 1
    values = shares.T[-width:].astype(float).tolist()
    said = labels.ravel().tolist()
    return {**dict(zip((column.name for column in columns), [*values, said], strict=True))}


def prediction_columns(predicted: Any) -> tuple[Column, ...]:
    """Return what anything but a classifier gives: its prediction, or several that are numbered."""
    width = 1 if predicted.ndim == 1 else predicted.shape[1]
    names = [PREDICTION] if width == 1 else [f"{PREDICTION}_{at}" for at in range(width)]
    return tuple(Column(name, "double", False) for name in names)


def prediction_values(predicted: Any, columns: Sequence[Column]) -> dict[str, list[Any]]:
    """Return what `predict` said, output by output."""
    table = predicted.reshape(len(predicted), -1).astype(float)
    return dict(zip((column.name for column in columns), table.T.tolist(), strict=True))


def tree_forms(read: Callable[[], Any], classes: list[Any] | None) -> Compiler:
    """Return the compiler of an ensemble: a graph for ONNX Runtime, or else Treelite's general tree inference.

    Measured on ensembles of 100 trees: a row takes 5 to 8 µs as a graph and 20 to 30 µs by Treelite, and 512 rows two
    to three times as long by Treelite; so that is taken only where there is no graph.

    Args:
        read: Gives the ensemble as a Treelite model, or raises `ValueError` where that would answer otherwise.
        classes: A classifier's labels in their order.
    """

    def forms(signature: Signature) -> Iterator[Form | str]:
        if importlib.util.find_spec("treelite") is None:
            yield "treelite is not installed"
            return
        try:
            ensemble = read()
        except ValueError as error:
            yield f"not as trees: {error}"
            return
        yield _as_graph(ensemble, signature, classes)
        yield Form(
            engine="treelite",
            title="Treelite",
            files={"model.tl": ensemble.serialize_bytes()},
            settings={} if classes is None else {"classes": classes},
            libraries=("treelite", "numpy"),
        )

    return forms


def _as_graph(ensemble: Any, signature: Signature, classes: list[Any] | None) -> Form | str:
    if problem := not_for_onnx(signature):
        return problem
    try:
        graph = tree_graph(treelite_trees(ensemble), signature, classes)
    except ValueError as error:
        return f"no ONNX graph: {error}"
    precision = "float32" if ensemble.input_type == "float32" else "float64"
    return onnx_form({"model.onnx": graph}, precision)


def check_labels(classes: Any, title: str) -> None:
    """Check that labels are numbers, truth values or texts.

    Raises:
        InvalidInput: They are something else, or of several targets.
    """
    if getattr(getattr(classes, "dtype", None), "kind", "") not in "biufUSO" or getattr(classes, "ndim", 0) != 1:
        raise InvalidInput(f"the labels of the {title} cannot be served", why="a model here gives one label for a row")
