"""scikit-learn: any fitted estimator that predicts, alone or at the end of a Pipeline, written by skops."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from interlock.core.errors import InvalidInput, missing_extra
from interlock.core.schema import Signature
from interlock.registry.converting import onnx_forms
from interlock.registry.kinds import Form, ModelKind, Options, Package, comes_from
from interlock.registry.mlflow_flavors import sklearn_flavors
from interlock.registry.packaging import MODEL_SKOPS
from interlock.registry.probing import EXAMPLE_ROWS
from interlock.registry.signatures import (
    check_fitted,
    example_table,
    input_columns,
    output_columns,
    plain_columns,
    values_of,
)

if TYPE_CHECKING:
    import pyarrow as pa


def _package(model: Any, example: Any, options: Options) -> Package:
    _require_libraries()
    check_fitted(model)
    table = example_table(example, model)
    columns = input_columns(table)
    answers = ask_in_memory(model, table.slice(0, EXAMPLE_ROWS))
    signature = Signature(columns, output_columns(model, answers))
    skops, untrusted = dump(model)
    settings: dict[str, Any] = {"trusted_types": sorted(options.trusted_types)} if options.trusted_types else {}

    def forms(full: Signature) -> Iterator[Form | str]:
        return onnx_forms(model, full)

    return Package(
        flavor="sklearn",
        title=title_of(model),
        signature=signature,
        example=plain_columns(table, columns),
        expected=values_of(answers, signature),
        native=tuple(
            Form(
                engine="sklearn",
                title="scikit-learn",
                files={MODEL_SKOPS: skops},
                settings={**settings, "frame": frame},
                libraries=("scikit-learn", "skops", "numpy", *_libraries_of(model)),
                flavors=sklearn_flavors(untrusted),
            )
            for frame in (("arrow", "pandas") if hasattr(model, "feature_names_in_") else ("arrow",))
        ),
        compilers=(forms,),
    )


def dump(model: Any) -> tuple[bytes, list[str]]:
    """Return an estimator in skops form, and the types in it that a reader must trust by name.

    Raises:
        InvalidInput: It holds something that only pickle could write.
    """
    import zipfile

    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data: bytes = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    except (UnsupportedTypeException, TypeError) as error:
        raise InvalidInput(
            f"the {type(model).__name__} cannot be packaged without pickle",
            why=str(error).partition("\n")[0][:300],
            fix="replace lambdas and locally defined classes by named scikit-learn transformers",
        ) from error
    return data, sorted(skops.io.get_untrusted_types(data=data))


def ask_in_memory(model: Any, table: pa.Table) -> dict[str, Any]:
    """Return what an estimator's methods say to rows in the form it was fitted on, by name of the method."""
    import numpy as np

    rows: Any
    if hasattr(model, "feature_names_in_"):
        rows = table.to_pandas() if "pandas" in sys.modules else table
    else:
        rows = np.column_stack([column.to_numpy() for column in table.columns])
    answers = {"predict": np.asarray(model.predict(rows))}
    for method in ("predict_proba", "decision_function"):
        if hasattr(model, method):
            answers[method] = getattr(model, method)(rows)
            break
    return answers


def title_of(model: Any) -> str:
    """Return an estimator in words: the names of its steps."""
    if hasattr(model, "steps"):
        return " → ".join(type(step).__name__ for _, step in model.steps)
    return type(model).__name__


def _libraries_of(model: Any) -> tuple[str, ...]:
    """Return the distributions of a last step that is of another library."""
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    known = {"xgboost": ("xgboost", "xgboost-cpu"), "lightgbm": ("lightgbm",), "catboost": ("catboost",)}
    return tuple(name for library, names in known.items() if comes_from(final, library) for name in names)


def _require_libraries() -> None:
    for library in ("sklearn", "skops", "skl2onnx", "onnx"):
        if importlib.util.find_spec(library) is None:
            raise missing_extra(library, extra="sklearn", purpose="registering a model")


SKLEARN = ModelKind(
    flavor="sklearn",
    takes="a fitted scikit-learn estimator with `predict`, alone or at the end of a Pipeline",
    recognises=lambda model: comes_from(model, "sklearn"),
    package=_package,
)
