"""Answer with the coefficients of a linear model, without the library that fitted it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from interlock.core.errors import Corrupt, InvalidInput, did_you_mean
from interlock.core.linear_models import MODEL_FILE, Category, Computed, Constant, LinearModel, Term, Value
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor

Array = np.ndarray[Any, Any]

_decode = msgspec.json.Decoder(LinearModel).decode


class LinearRuntime(ModelRuntime):
    """Loads `linear.json`; it is data, and runs nothing."""

    @property
    def engine(self) -> str:
        return "statsmodels"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        path = folder / MODEL_FILE
        try:
            model = _decode(path.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error)[:300], fix="interlock verify") from error
        return LinearPredictor(model, signature)


class LinearPredictor(Predictor):
    """One linear model."""

    def __init__(self, model: LinearModel, signature: Signature) -> None:
        self._terms = model.terms
        self._answer = _ANSWERS[model.link]
        self._names = signature.input_names
        self._output = signature.outputs[0].name
        self._places = {
            id(factor): {value: place for place, value in enumerate(factor.values)}
            for term in model.terms
            for factor in term.factors
            if isinstance(factor, Category)
        }

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        named = dict(zip(self._names, columns, strict=True))
        total = np.zeros(rows)
        with np.errstate(all="ignore"):
            for term in self._terms:
                total += self._term(term, named, rows)
            answer = self._answer(total)
        if np.isnan(answer).any():
            row = int(np.isnan(answer).argmax())
            raise InvalidInput(
                f"the model has no answer for row {row}", why="a value is missing, or outside of what its formula takes"
            )
        return {self._output: answer}

    def _term(self, term: Term, columns: Mapping[str, Any], rows: int) -> Array:
        """Return what a term adds to each row."""
        matrix = np.ones((rows, 1))
        for factor in term.factors:
            part = self._category(factor, columns) if isinstance(factor, Category) else _number(factor, columns)
            width = part.shape[1] if part.ndim > 1 else 1
            part = np.broadcast_to(part.reshape(-1, width), (rows, width))
            # of two columns of categories the first varies first
            matrix = (part[:, :, None] * matrix[:, None, :]).reshape(rows, -1)
        return np.asarray(matrix @ np.asarray(term.params))

    def _category(self, factor: Category, columns: Mapping[str, Any]) -> Array:
        places, found = self._places[id(factor)], []
        for value in columns[factor.name]:
            if value is None or value != value:
                raise InvalidInput(f"column '{factor.name}' lacks a value", why="a category is expected in every row")
            if value not in places:
                known = [str(one) for one in factor.values]
                raise InvalidInput(
                    f"column '{factor.name}': the model knows no '{str(value)[:50]}'",
                    why=did_you_mean(str(value)[:50], known),
                )
            found.append(list(factor.rows[places[value]]))
        return np.array(found)


def _number(node: Value | Constant | Computed, columns: Mapping[str, Any]) -> Array:
    if isinstance(node, Constant):
        return np.array([node.value])
    if isinstance(node, Value):
        return np.array(columns[node.name], np.float64)
    return np.asarray(_COMPUTED[node.by](*(_number(one, columns) for one in node.of)))


_COMPUTED: Mapping[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
    "negative": np.negative,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "floor": np.floor,
    "ceil": np.ceil,
}

_ANSWERS: Mapping[str, Callable[[Array], Array]] = {
    "identity": lambda total: total,
    "logit": lambda total: 1 / (1 + np.exp(-total)),
    "probit": lambda total: np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in total.tolist()]),
    "cloglog": lambda total: 1 - np.exp(-np.exp(total)),
    "log": np.exp,
    "inverse": lambda total: 1 / total,
    "inverse_squared": lambda total: 1 / np.sqrt(total),
    "sqrt": np.square,
}
