"""Byte-code is read for its meaning."""

from __future__ import annotations

import textwrap
from types import CodeType

import pytest

from interlock.core.bytecode import Import, Reading, Use, read_code


def read(source: str) -> Reading:
    module = compile(textwrap.dedent(source), "<test>", "exec")
    return read_code(next(const for const in module.co_consts if isinstance(const, CodeType)))


def meaning(source: str) -> tuple[object, ...]:
    reading = read(source)
    return (reading.tokens, reading.constants)


BASE = """
def f(x, y=1):
    total = 0
    for item in x:
        try:
            total += item * 2
        except ValueError:
            return None
    return total
"""


@pytest.mark.parametrize(
    "same",
    [
        BASE.replace("def f(x, y=1):", 'def f(x, y=1):\n    """It adds up."""'),
        BASE.replace("total = 0", "# a comment\n\n    total = 0  # another"),
        BASE.replace("total += item * 2", "total += (\n                item\n                * 2\n            )"),
        "\n" * 300 + BASE,
        BASE.replace("x, y=1", "x: list[int], y: int = 1").replace("):", ") -> int | None:"),
    ],
    ids=["docstring", "comments", "spacing", "moved", "annotations"],
)
def test_how_it_is_written_does_not_count(same: str) -> None:
    assert meaning(same) == meaning(BASE)


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("item * 2", "item * 3"),
        BASE.replace("item * 2", "item + 2"),
        BASE.replace("ValueError", "KeyError"),
        BASE.replace("return None", "continue"),
        BASE.replace("x, y=1", "y, x=1"),
        BASE.replace("x, y=1", "x, *, y=1"),
        BASE.replace("return total", "return total\n    yield"),
    ],
    ids=["constant", "operator", "exception", "jump", "order", "keyword-only", "generator"],
)
def test_what_it_does_counts(other: str) -> None:
    assert meaning(other) != meaning(BASE)


def test_the_span_of_a_handler_counts() -> None:
    inside = "def f(x):\n    try:\n        a()\n        b()\n    except ValueError:\n        c()\n"
    outside = "def f(x):\n    a()\n    try:\n        b()\n    except ValueError:\n        c()\n"
    assert meaning(inside) != meaning(outside)


def test_a_docstring_in_a_nested_class_or_function_does_not_count() -> None:
    bare = "def f():\n    class A:\n        x = 1\n    def g():\n        return A\n    return g\n"
    told = bare.replace("class A:", 'class A:\n        "Docs."').replace("def g():", 'def g():\n        "Docs."')
    assert meaning(told) == meaning(bare)


def test_globals_come_with_the_attributes_read_from_them() -> None:
    reading = read("def f(x):\n    return helpers.clean.fast(x) + CONST + [g(y) for y in x][0]\n")
    assert set(reading.globals) == {Use("helpers", ("clean", "fast")), Use("CONST", ()), Use("g", ())}


def test_names_used_by_nested_code_are_found() -> None:
    reading = read("def f():\n    def g():\n        return lambda: mod.deep()\n    return g\n")
    assert Use("mod", ("deep",)) in reading.globals


def test_imports_inside_a_function_are_found() -> None:
    reading = read(
        """
        def f():
            import a
            import b.c
            import d.e as de
            from g import h, i as j
            from ..k import l
            return a.x, b.c.y, de.z, h, j, l
        """
    )
    assert set(reading.imports) == {
        Import("a", 0, None, "a"),
        Import("b", 0, None, "b"),
        Import("b.c", 0, None, ""),
        Import("d.e", 0, None, "de"),
        Import("g", 0, "h", "h"),
        Import("g", 0, "i", "j"),
        Import("k", 2, "l", "l"),
    }
    assert {Use("a", ("x",)), Use("b", ("c", "y")), Use("de", ("z",))} <= set(reading.locals)


def test_many_constants_need_extended_arguments_and_still_read_the_same() -> None:
    body = "".join(f"    a = {1000 + number}\n" for number in range(600))
    assert meaning(f"def f():\n{body}    return a\n") == meaning(f'def f():\n    "Docs."\n{body}    return a\n')
