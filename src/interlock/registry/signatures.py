"""Infer what a model takes from its example rows, and what it gives from the fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.schema import Column, ColumnType, Signature

if TYPE_CHECKING:
    import pyarrow as pa

LABEL = "label"
PREDICTION = "prediction"
PROBABILITY = "probability"
SCORE = "score"
"""Names of the outputs; with more than two classes there is one `probability_<class>` (or `score_<class>`) each."""


def example_table(example: Any, model: Any, *, names: Sequence[str] | None = None) -> pa.Table:
    """Return the example rows as a table with the model's columns in the model's order.

    Args:
        example: An Arrow table, a frame of any library narwhals knows, columns by name, or a matrix
            (whose columns are then called `x0`, `x1`, …).
        model: The fitted estimator; where it knows its column names, the example must hold them all.
        names: The columns that it was fitted on, where it does not know them itself in scikit-learn's way.

    Raises:
        InvalidInput: There are no rows, or it is no table.
        SchemaMismatch: A column is missing.
    """
    import numpy as np
    import pyarrow as pa

    if example is None:
        raise InvalidInput(
            "there is no example", why="the signature is inferred from its rows", fix="example=frame.head(100)"
        )
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
    wanted = getattr(model, "feature_names_in_", table.column_names) if names is None else names
    return _in_model_order(table, [str(name) for name in wanted])


def _in_model_order(table: pa.Table, names: Sequence[str]) -> pa.Table:
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


def check_fitted(model: Any) -> None:
    """Check that an estimator can predict.

    Raises:
        InvalidInput: It has no `predict`, or is not fitted.
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


def output_columns(model: Any, answers: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return what a fitted estimator gives.

    A classifier gives the probability of its second class (or one per class, where there are more) and the label;
    one without probabilities the score of its `decision_function` in their place. Anything else gives its prediction,
    an outlier detector with its score. Several targets are numbered.

    Args:
        model: The estimator.
        answers: What its methods said to the example, by name of the method.
    """
    predicted = answers["predict"]
    classes = getattr(model, "classes_", None)
    name = PREDICTION if classes is None else LABEL
    kind = type_of_array(predicted if classes is None or predicted.ndim > 1 else classes)
    if predicted.ndim > 1 and predicted.shape[1] > 1:
        return tuple(Column(f"{name}_{at}", kind, nullable=False) for at in range(predicted.shape[1]))
    shares: list[str] = []
    for method, prefix in (("predict_proba", PROBABILITY), ("decision_function", SCORE)):
        if method in answers:
            shares = _share_names(prefix, answers[method], classes)
    return (*(Column(share, "double", nullable=False) for share in shares), Column(name, kind, nullable=False))


def values_of(answers: Mapping[str, Any], signature: Signature) -> dict[str, list[Any]]:
    """Return what the methods of an estimator said, output by output."""
    found: dict[str, list[Any]] = {}
    shares = [column.name for column in signature.outputs if column.name.startswith((PROBABILITY, SCORE))]
    said = [column for column in signature.outputs if column.name not in shares]
    if shares:
        table = answers["predict_proba" if shares[0].startswith(PROBABILITY) else "decision_function"]
        table = table.reshape(len(table), -1)
        found = dict(zip(shares, table.T[-len(shares) :].tolist(), strict=True))
    predicted = answers["predict"].reshape(len(answers["predict"]), -1)
    for column, values in zip(said, predicted.T, strict=True):
        found[column.name] = [float(value) for value in values] if column.type == "double" else values.tolist()
    return found


def _share_names(prefix: str, table: Any, classes: Any) -> list[str]:
    """Return the names of the columns of probabilities or scores; none where they belong to no class each."""
    width = 1 if getattr(table, "ndim", 0) == 1 else getattr(table, "shape", (0, 0))[1]
    if width == 1 or (classes is not None and len(classes) == 2 == width):
        return [prefix]
    return [f"{prefix}_{name}" for name in classes.tolist()] if classes is not None and len(classes) == width else []


def type_of_array(values: Any) -> ColumnType:
    """Return the logical type of an array's values; what holds no numbers is taken for text."""
    kinds: dict[str, ColumnType] = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
    return kinds.get(values.dtype.kind, "string")
