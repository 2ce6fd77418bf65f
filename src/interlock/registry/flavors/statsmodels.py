"""statsmodels: fitted results, as their coefficients where they are linear, and as signed Python where they are not.

What statsmodels saves itself is a pickle. Of a linear model (least squares, generalised linear, logit, probit,
Poisson, quantile) the coefficients say everything, with what the formula makes of the columns; they are written as JSON
and answered without statsmodels.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.linear_models import (
    MODEL_FILE,
    Category,
    Expression,
    LinearModel,
    Link,
    Term,
    Value,
    read_expression,
)
from interlock.core.schema import Column, Signature
from interlock.registry.flavors.python import PYTHON
from interlock.registry.kinds import Form, ModelKind, Options, Package, comes_from
from interlock.registry.signatures import PREDICTION, example_table, input_columns, plain_columns

if TYPE_CHECKING:
    import pyarrow as pa

COMPARED_ROWS = 200

_LINKS: Mapping[str, Link] = {
    "OLS": "identity",
    "WLS": "identity",
    "GLS": "identity",
    "GLSAR": "identity",
    "QuantReg": "identity",
    "RLM": "identity",
    "Logit": "logit",
    "Probit": "probit",
    "Poisson": "log",
}
_GLM_LINKS: Mapping[str, Link] = {
    "Identity": "identity",
    "Logit": "logit",
    "Probit": "probit",
    "CLogLog": "cloglog",
    "Log": "log",
    "InversePower": "inverse",
    "InverseSquared": "inverse_squared",
    "Sqrt": "sqrt",
}


def _package(results: Any, example: Any, options: Options) -> Package:
    if not hasattr(results, "predict") or not hasattr(results, "params"):
        raise InvalidInput(
            f"a {type(results).__name__} is not fitted",
            why="what statsmodels fits answers; a model before its fit does not",
            fix="register what fit() returns: results = model.fit()",
        )
    link = _link(results)
    design = getattr(results.model.data, "model_spec", None)
    if link is not None:
        terms = _of_matrix(results) if design is None else _of_formula(results, design)
        if terms is not None:
            return _linear(results, LinearModel(terms, link), example, is_formula=design is not None)
    if design is not None and hasattr(design, "factor_infos"):
        example = _table(example, _named(design, results)).to_pandas()
    # the bound method, because results have a `load` that is something else
    package = PYTHON.package(results.predict, example, options)
    return msgspec.structs.replace(package, flavor="statsmodels", title=_title(results))


def _title(results: Any) -> str:
    formula = getattr(results.model, "formula", None)
    return type(results.model).__name__ + (f": {formula}" if formula else "")


def _link(results: Any) -> Link | None:
    """Return the link of a linear model; None of one that is not linear."""
    model = results.model
    kind = type(model).__name__
    if kind == "GLM":
        return _GLM_LINKS.get(type(model.family.link).__name__)
    return _LINKS.get(kind)


def _named(design: Any, results: Any) -> list[str]:
    """Return the columns of the data that a formula names."""
    columns = [str(name) for name in results.model.data.frame.columns]
    named = {
        one.id
        for factor in design.factor_infos
        for one in ast.walk(ast.parse(factor.code.strip(), mode="eval"))
        if isinstance(one, ast.Name)
    }
    return [name for name in columns if name in named]


def _coefficients(results: Any) -> list[float]:
    import numpy as np

    return [float(value) for value in np.asarray(results.params).ravel()]


def _of_matrix(results: Any) -> tuple[Term, ...]:
    """Return the terms of a model that was fitted on a matrix: each column by its coefficient."""
    params = _coefficients(results)
    return tuple(
        Term(() if name == "const" else (Value(str(name)),), (param,))
        for name, param in zip(results.model.exog_names, params, strict=False)
    )


def _of_formula(results: Any, design: Any) -> tuple[Term, ...] | None:
    """Return the terms that a formula makes, or None where it does more than arithmetic and categories."""
    if not hasattr(design, "term_codings"):
        return None
    params = iter(_coefficients(results))
    columns = [str(name) for name in results.model.data.frame.columns]
    terms: list[Term] = []
    for term in design.terms:
        for part in design.term_codings[term]:
            factors = [_factor(design.factor_infos[one], one, part, columns) for one in part.factors]
            if any(one is None for one in factors):
                return None
            known = tuple(one for one in factors if one is not None)
            terms.append(Term(known, tuple(next(params) for _ in range(part.num_columns))))
    return tuple(terms)


def _factor(info: Any, factor: Any, part: Any, columns: Sequence[str]) -> Expression | Category | None:
    if info.type == "numerical":
        # what remembers something of the data it was fitted on (center, standardize, bs) is no arithmetic
        return read_expression(factor.code, columns) if info.num_columns == 1 else None
    inner = factor.code.strip()
    if inner.startswith("C(") and inner.endswith(")"):
        inner = inner[2:-1].partition(",")[0].strip()
    if inner not in columns:
        return None
    values = tuple(value.item() if hasattr(value, "item") else value for value in info.categories)
    matrix = part.contrast_matrices[factor].matrix
    return Category(inner, values, tuple(tuple(float(one) for one in row) for row in matrix))


def _used(terms: Sequence[Term]) -> Iterator[str]:
    waiting: list[Any] = [factor for term in terms for factor in term.factors]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, (Value, Category)):
            yield one.name
        else:
            waiting += getattr(one, "of", ())


def _linear(results: Any, linear: LinearModel, example: Any, *, is_formula: bool) -> Package:
    names = list(dict.fromkeys(_used(linear.terms)))
    table = _table(example, names)
    columns = input_columns(table)
    return Package(
        flavor="statsmodels",
        title=_title(results),
        signature=Signature(columns, (Column(PREDICTION, "double", nullable=False),)),
        example=plain_columns(table, columns),
        expected={PREDICTION: _answers(results, table.slice(0, COMPARED_ROWS), is_formula=is_formula)},
        native=(
            Form(
                engine="statsmodels",
                title="coefficients",
                files={MODEL_FILE: msgspec.json.encode(linear)},
                libraries=("numpy",),
                flavors={"interlock_linear": {"data": MODEL_FILE, "link": linear.link}},
            ),
        ),
    )


def _table(example: Any, names: Sequence[str]) -> pa.Table:
    """Return the example's rows with the model's columns; a matrix has them in the model's order."""
    import numpy as np

    if isinstance(example, np.ndarray):
        width = np.atleast_2d(example).shape[1]
        # a column of ones may come first
        example = dict(zip(names, np.atleast_2d(example).T[width - len(names) :], strict=False))
    table = example_table(example, None)
    for name in names:
        if name not in table.column_names:
            raise SchemaMismatch(
                f"the example lacks the column '{name}'",
                why=f"the model was fitted on it; {did_you_mean(name, table.column_names)}",
                fix="pass example rows with every column of the formula",
            )
    return table.select(list(names))


def _answers(results: Any, table: pa.Table, *, is_formula: bool) -> list[float]:
    import numpy as np

    frame = table.to_pandas()
    if is_formula:
        return [float(value) for value in np.asarray(results.predict(frame))]
    columns = [
        np.ones(len(frame)) if name == "const" else frame[str(name)].to_numpy(float)
        for name in results.model.exog_names[: len(_coefficients(results))]
    ]
    return [float(value) for value in np.asarray(results.predict(np.column_stack(columns)))]


STATSMODELS = ModelKind(
    flavor="statsmodels",
    takes="fitted results of statsmodels",
    recognises=lambda model: comes_from(model, "statsmodels"),
    package=_package,
)
