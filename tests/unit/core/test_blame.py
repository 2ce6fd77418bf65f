"""An exception is told by its type and the user's own line."""

from __future__ import annotations

import json

import pytest

from interlock.core.blame import blame
from interlock.core.hashing import digest_of_value


def raised(*, by: str) -> BaseException:
    try:
        if by == "library":
            digest_of_value(object())
        elif by == "standard":
            json.loads("{")
        else:
            raise KeyError("ZZ")
    except (TypeError, ValueError, KeyError) as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("by", ["library", "standard", "here"])
def test_the_line_is_one_of_the_users(by: str) -> None:
    said = blame(raised(by=by))
    assert said.endswith(")")
    assert " (in raised, test_blame.py:" in said


def test_an_exception_without_a_message_is_its_type() -> None:
    assert blame(RuntimeError()) == "RuntimeError"


def test_messages_are_short_and_on_one_line() -> None:
    said = blame(ValueError("a\n  b" + "c" * 1000))
    assert said.startswith("ValueError: a b")
    assert len(said) < 330
