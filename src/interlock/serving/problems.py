"""Carry an error whole over HTTP, in a header beside whatever shape a protocol gives to its body."""

from __future__ import annotations

import json
from urllib.parse import quote, unquote

from interlock.core.errors import InterlockError
from interlock.ports.framing import rebuild

PROBLEM_HEADER = "interlock-problem"
_MOST_CHARS = 1_000


def write_problem(error: InterlockError) -> str:
    """Return an error as the value of a header, each of its parts cut to a length that fits.

    Example:
        >>> read_problem(write_problem(InterlockError("größer", why="as expected")))
        InterlockError('größer')
    """
    parts = {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}
    return quote(json.dumps({name: text[:_MOST_CHARS] for name, text in parts.items()}), safe=' {}":,;/')


def read_problem(header: str) -> InterlockError | None:
    """Return the error of a header, of the class it had; None where it is not in this form."""
    try:
        told = json.loads(unquote(header))
        return rebuild(told["code"], told["what"], told["why"], told["fix"])
    except (ValueError, TypeError, KeyError):
        return None
