"""Formulas are read as arithmetic, or not at all."""

from __future__ import annotations

import pytest

from interlock.core.linear_models import Computed, Constant, Value, read_expression


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("x", Value("x")),
        ("2", Constant(2.0)),
        ("I(x ** 2)", Computed("**", (Value("x"), Constant(2.0)))),
        ("-np.exp(x)", Computed("negative", (Computed("exp", (Value("x"),)),))),
        (
            "numpy.log(x / 3) + x",
            Computed("+", (Computed("log", (Computed("/", (Value("x"), Constant(3))),)), Value("x"))),
        ),
    ],
)
def test_arithmetic_is_read(text: str, expression: object) -> None:
    assert read_expression(text, ["x"]) == expression


@pytest.mark.parametrize(
    "text",
    [
        "y",
        "x.shape",
        "center(x)",
        "np.load('x')",
        "np.log(x, x)",
        "x if x else 1",
        "x @ x",
        "'x'",
        "(",
        "os.system('x')",
    ],
)
def test_what_is_more_than_arithmetic_is_not(text: str) -> None:
    assert read_expression(text, ["x"]) is None
