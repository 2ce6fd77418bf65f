"""Describe a linear model by its coefficients: what is multiplied with what, and what becomes of the sum."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Any, Literal, TypeAlias

import msgspec

MODEL_FILE = "linear.json"

Link = Literal["identity", "logit", "probit", "cloglog", "log", "inverse", "inverse_squared", "sqrt"]
"""What the linear sum is of the answer."""

Arithmetic = Literal["+", "-", "*", "/", "**", "negative"]
Function = Literal["log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tan", "floor", "ceil"]


class Value(msgspec.Struct, frozen=True, tag="column"):
    """The value of a column."""

    name: str


class Constant(msgspec.Struct, frozen=True, tag="constant"):
    """A number."""

    value: float


class Computed(msgspec.Struct, frozen=True, tag="computed"):
    """A number computed from others: by arithmetic, or by a function of mathematics."""

    by: Arithmetic | Function
    of: tuple[Expression, ...]


Expression: TypeAlias = Value | Constant | Computed


class Category(msgspec.Struct, frozen=True, tag="category"):
    """A column of categories, each of which stands for a row of numbers."""

    name: str
    values: tuple[Any, ...]
    rows: tuple[tuple[float, ...], ...]


class Term(msgspec.Struct, frozen=True):
    """Coefficients, and the factors that each is multiplied with.

    Where several factors have several columns, the columns of the first vary first.
    """

    factors: tuple[Value | Constant | Computed | Category, ...]
    params: tuple[float, ...]


class LinearModel(msgspec.Struct, frozen=True):
    """A sum of terms, and the function that makes the answer of it."""

    terms: tuple[Term, ...]
    link: Link = "identity"


_ARITHMETIC: dict[type[ast.operator], Arithmetic] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_FUNCTIONS = frozenset(Function.__args__)  # type: ignore[attr-defined]  # a Literal has them


def read_expression(text: str, columns: Collection[str]) -> Expression | None:
    """Return what a formula says of columns in Python's words, or None where it says more than arithmetic.

    Example:
        >>> read_expression("np.log(z) / 2", ["z"])
        Computed(by='/', of=(Computed(by='log', of=(Value(name='z'),)), Constant(value=2.0)))
    """
    try:
        return _read(ast.parse(text.strip(), mode="eval").body, columns)
    except (SyntaxError, ValueError):
        return None


def _read(node: ast.expr, columns: Collection[str]) -> Expression:
    if isinstance(node, ast.Name) and node.id in columns:
        return Value(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return Constant(float(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return Computed("negative", (_read(node.operand, columns),))
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return Computed(_ARITHMETIC[type(node.op)], (_read(node.left, columns), _read(node.right, columns)))
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        called = node.func
        if isinstance(called, ast.Name) and called.id == "I":
            return _read(node.args[0], columns)
        if isinstance(called, ast.Attribute) and ast.unparse(called.value) in ("np", "numpy"):
            if called.attr not in _FUNCTIONS:
                raise ValueError(f"there is no function {called.attr}")
            return Computed(called.attr, (_read(node.args[0], columns),))  # type: ignore[arg-type]  # it is one
    raise ValueError(f"{ast.unparse(node)} is no arithmetic")
