"""Infer what a model takes from its example rows, and what it gives from the fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.schema import Column, ColumnType

if TYPE_CHECKING:
    import pyarrow as pa

LABEL = "label"
PREDICTION = "prediction"
PROBABILITY = "probability"
"""Names of the outputs; with more than two classes there is one `probability_<class>` each."""


def example_table(example: Any, model: Any) -> pa.Table:
    """Return the example rows as a table with the model's columns in the model's order.

    Args:
        example: An Arrow table, a frame of any library narwhals knows, columns by name, or a matrix
            (whose columns are then called `x0`, `x1`, …).
        model: The fitted estimator; where it knows its column names, the example must hold them all.

    Raises:
        InvalidInput: There are no rows, or it is no table.
        SchemaMismatch: A column is missing.
    """
    import numpy as np
    import pyarrow as pa

    if isinstance(example, np.ndarray):
        matrix = np.atleast_2d(example)
        table = pa.table({f"x{at}": matrix[:, at] for at in range(matrix.shape[1])})
    elif isinstance(example, pa.Table):
        table = example
    elif isinstance(example, Mapping):
        table = pa.table(dict(example))
    else:
        import narwhals.stable.v2 as nw

        try:
            table = nw.from_native(example, eager_only=True).to_arrow()
        except TypeError as error:
            raise InvalidInput(
                f"an example of type {type(example).__name__} cannot be read",
                why="expected a table: Arrow, pandas, polars, or a mapping of columns",
                fix="example=frame.head(100)",
            ) from error
    if table.num_rows == 0:
        raise InvalidInput(
            "the example has no rows", why="the signature is inferred from them", fix="example=frame.head(100)"
        )
    return _in_model_order(table, model)


def _in_model_order(table: pa.Table, model: Any) -> pa.Table:
    names = [str(name) for name in getattr(model, "feature_names_in_", table.column_names)]
    for name in names:
        if name not in table.column_names:
            raise SchemaMismatch(
                f"the example lacks the column '{name}'",
                why=f"the model was fitted on it; {did_you_mean(name, table.column_names)}",
                fix="pass example rows with every column the model was fitted on",
            )
    return table.select(names)


def input_columns(table: pa.Table) -> tuple[Column, ...]:
    """Return the logical columns of a table, nullable where the table holds a null or NaN."""
    return tuple(
        Column(name, _logical_type(name, column.type), _holds_missing(column))
        for name, column in zip(table.column_names, table.columns, strict=True)
    )


def _holds_missing(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        return True
    return pa.types.is_floating(column.type) and bool(pc.any(pc.is_nan(column)).as_py())


def _logical_type(name: str, kind: pa.DataType) -> ColumnType:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(kind):
        return _logical_type(name, kind.value_type)
    if is_.is_boolean(kind):
        return "boolean"
    if is_.is_integer(kind):
        return "long"
    if is_.is_floating(kind) or is_.is_decimal(kind):
        return "double"
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_null(kind):
        return "string"
    if is_.is_temporal(kind):
        return "datetime"
    if is_.is_binary(kind) or is_.is_large_binary(kind):
        return "binary"
    raise SchemaMismatch(
        f"column '{name}' of the example has type {kind}",
        why="a model takes boolean, long, double, string, datetime or binary columns",
        fix=f"drop or convert '{name}'",
    )


def plain_columns(table: pa.Table, columns: Sequence[Column]) -> dict[str, list[Any]]:
    """Return a table as lists of plain values by column; missing is None in strings and NaN in numbers."""
    plain: dict[str, list[Any]] = {}
    for column in columns:
        values = table.column(column.name).to_pylist()
        if column.type in ("double", "long", "boolean"):
            values = [float("nan") if value is None else value for value in values]
        if column.type == "double":
            values = [float(value) for value in values]
        plain[column.name] = values
    return plain


def output_columns(model: Any) -> tuple[Column, ...]:
    """Return what a fitted estimator gives.

    A classifier gives the probability of its second class (or one per class, where there are more) and the
    label; a regressor gives the prediction.

    Raises:
        InvalidInput: It does not predict, gives several outputs, or is not fitted.
    """
    import sklearn.exceptions
    import sklearn.utils.validation

    if not hasattr(model, "predict"):
        raise InvalidInput(
            f"a {type(model).__name__} does not predict",
            why="a model is a fitted estimator with `predict`, alone or at the end of a Pipeline",
        )
    try:
        sklearn.utils.validation.check_is_fitted(model)
    except sklearn.exceptions.NotFittedError as error:
        raise InvalidInput(
            f"the {type(model).__name__} is not fitted",
            why="only a fitted model can be registered",
            fix="model.fit(X, y)",
        ) from error
    classes = getattr(model, "classes_", None)
    if classes is None:
        return (Column(PREDICTION, "double", nullable=False),)
    if isinstance(classes, list):
        raise InvalidInput(
            f"the {type(model).__name__} predicts {len(classes)} targets at once",
            why="a model here gives one label",
            fix="register one model per target",
        )
    label = Column(LABEL, _label_type(classes), nullable=False)
    if not hasattr(model, "predict_proba"):
        return (label,)
    names = [PROBABILITY] if len(classes) == 2 else [f"{PROBABILITY}_{name}" for name in classes.tolist()]
    return (*(Column(name, "double", nullable=False) for name in names), label)


def _label_type(classes: Any) -> ColumnType:
    kinds: dict[str, ColumnType] = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
    return kinds.get(classes.dtype.kind, "string")
