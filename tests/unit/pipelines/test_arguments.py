"""Texts become the values that a pipeline's signature asks for, or words about why not."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.arguments import arguments_from_values, arguments_from_words, flags_of, texts_of_words
from interlock.pipelines.graphs import pipeline


class Colour(Enum):
    RED = "red"


class Odd:
    pass


@pipeline
def nightly(
    day: date,
    alphas: list[float] = [0.1],  # noqa: B006 (shown as a default, never changed)
    fast: bool = False,
    kind: Literal["a", "b"] = "a",
    where: Path = Path(),
    limit: int | None = None,
    colour: Colour = Colour.RED,
    options: dict[str, int] = {},  # noqa: B006
    anything=None,  # type: ignore[no-untyped-def]
) -> None:
    """Nothing."""


@pipeline
def strange(odd: Odd) -> None:
    """Nothing."""


@pipeline
def silent() -> None:
    """Nothing."""


def read(*words: str) -> dict[str, Any]:
    return arguments_from_words(nightly, ["--day", "2026-11-20", *words])


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("--alphas", "0.1,1"), "alphas", [0.1, 1.0]),
        (("--alphas=[1, 2]",), "alphas", [1.0, 2.0]),
        (("--alphas", ""), "alphas", []),
        (("--fast",), "fast", True),
        (("--no-fast",), "fast", False),
        (("--fast=false",), "fast", False),
        (("--kind", "b"), "kind", "b"),
        (("--where", "/data/x"), "where", Path("/data/x")),
        (("--limit", "7"), "limit", 7),
        (("--limit", "none"), "limit", None),
        (("--colour", "red"), "colour", Colour.RED),
        (("--options", '{"a": 1}'), "options", {"a": 1}),
        (("--anything", "1.5"), "anything", 1.5),
        (("--anything", "a,2"), "anything", ["a", 2]),
        (("--anything", "text"), "anything", "text"),
    ],
)
def test_texts_become_values(words: tuple[str, ...], name: str, value: Any) -> None:
    found = read(*words)
    assert found[name] == value and type(found[name]) is type(value)
    assert found["day"] == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--alpha", "1"), "alphas"),
        (("--limit",), "needs a value"),
        (("--limit", "many"), "limit"),
        (("--kind", "c"), "kind"),
        (("--options", "{"), "options"),
        (("--limit", "1", "--limit", "2"), "twice"),
        (("stray",), "stray"),
    ],
)
def test_words_that_do_not_fit(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(*words)


def test_what_is_missing_is_named_with_its_flag() -> None:
    with pytest.raises(InvalidInput, match="--day DATE"):
        arguments_from_words(nightly, [])


def test_plain_values() -> None:
    found = arguments_from_values(nightly, {"day": "2026-11-20", "alphas": [1, 2], "limit": 3})
    assert found == {"day": date(2026, 11, 20), "alphas": [1.0, 2.0], "limit": 3}
    with pytest.raises(InvalidInput, match="no argument 'days'"):
        arguments_from_values(nightly, {"days": 1})
    with pytest.raises(InvalidInput, match="takes no arguments"):
        arguments_from_values(silent, {"x": 1})
    with pytest.raises(InvalidInput, match="cannot be"):
        arguments_from_values(nightly, {"day": datetime})


def test_types_that_have_no_text() -> None:
    with pytest.raises(InvalidInput, match="cannot be written as text"):
        arguments_from_values(strange, {"odd": "x"})


def test_flags() -> None:
    flags = {flag.name: flag for flag in flags_of(nightly)}
    assert (flags["day"].default, flags["day"].word) == (None, "--day")
    assert flags["alphas"].default == "[0.1]" and flags["anything"].kind == ""
    assert texts_of_words(nightly, ["--fast", "--day", "{date}"]) == {"fast": True, "day": "{date}"}


def test_annotations_that_cannot_be_read() -> None:
    @pipeline
    def odd(x: "Missing", y: int = 1) -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
        """Nothing."""

    assert arguments_from_words(odd, ["--x", "5"]) == {"x": 5}
