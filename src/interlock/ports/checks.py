"""Refuse what no store can keep, and word what every store says of unknown names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from interlock.core.errors import InvalidInput, NotFound, did_you_mean
from interlock.ports.journal import Edge

LONGEST_KEY = 500
"""Characters in a key: of a metric, a param, a tag, an annotation."""

LONGEST_TEXT = 100_000
"""Characters in a text that stands by itself: the value of a tag."""


def check_limit(limit: int) -> int:
    """Return how many to list, if that is a number from 0 up."""
    if not isinstance(limit, int) or limit < 0:
        raise InvalidInput(
            f"limit={limit!r} cannot be listed", why="expected a whole number from 0 up", fix="limit=100"
        )
    return limit


def check_key(text: str, *, of: str) -> str:
    """Return the text if it may be the key of something."""
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_KEY:
        raise InvalidInput(f"{text!r:.80} cannot be the {of}", why=f"expected 1 to {LONGEST_KEY} characters")
    return check_text(text, of=of)


def check_text(text: str, *, of: str) -> str:
    """Return the text if every database can keep it: a str, not endless, of real characters."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise InvalidInput(
            f"{text!r:.80} cannot be the {of}", why=f"expected text of up to {LONGEST_TEXT:,} characters"
        )
    if "\0" in text or not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInput(
            f"{text!r:.80} cannot be the {of}",
            why="it holds a NUL or half a surrogate pair, which no database keeps as text",
        )
    return text


def check_path(path: str, *, of: str) -> str:
    """Return the path of a file within a folder, if it cannot lead out of it."""
    check_key(path, of=of)
    if "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidInput(
            f"'{path}' cannot be the {of}",
            why="expected a relative path with '/' between its parts, none of them empty, '.' or '..'",
            fix="model/MLmodel",
        )
    return path


def check_count(count: int, *, of: str) -> int:
    """Return a number of things, if it can be one."""
    if not isinstance(count, int) or not 0 <= count < 2**63:
        raise InvalidInput(f"{count!r} cannot be the {of}", why="expected a whole number from 0 up")
    return count


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags that are not short strings by key."""
    for key, value in tags.items():
        check_key(key, of="key of a tag")
        check_text(value, of=f"value of the tag '{key}'")


def pointed_at(edges: Sequence[Edge], ref: str) -> list[Edge]:
    """Return the edges, those with an empty target now pointing at a new thing."""
    return [edge if edge.target else Edge(edge.source, ref, edge.relation) for edge in edges]


def unknown_name(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """Build the error for a name that names nothing."""
    return NotFound(f"there is no {kind} '{name}'", why=did_you_mean(name, known))


def unknown_version(kind: str, name: str, version: int, newest: int) -> NotFound:
    """Build the error for a version that was never made, or is no more."""
    why = f"it was deleted; the newest is {newest}" if 1 <= version < newest else f"its versions are 1 to {newest}"
    return NotFound(f"there is no {kind}:{name}@{version}", why=why)
