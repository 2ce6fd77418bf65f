"""Know the tools of the field: what each is for, whether to adopt it, and how Interlock joins it."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from interlock.core.errors import InvalidInput, did_you_mean

Kind = Literal["cloud AI platform", "ML platform", "specialised ML tool", "ordinary software tool"]
Ring = Literal["adopt", "try", "assess", "hold"]
Join = Literal["speaks its protocol", "imports from it", "exports to it", "builds on it", "none"]

STATIONS = ("software", "data", "labels", "features", "pipeline", "runs", "tuning", "registry", "serve", "monitor")
"""Where a tool may stand: the stations of the loop, and the ordinary software practice under all of them."""


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool of the field.

    Args:
        name: Its name.
        stations: Which stations of the loop it serves.
        kind: What sort of thing it is.
        licence: Its licence, or `proprietary`.
        ring: `adopt` without much thought · `try` where the need is real · `assess` before relying on it · `hold`.
        why: The reason for the ring, in one sentence.
        join: How Interlock and the tool meet.
        how: Through what, in a few words.
        planned: Whether that is still to come.
    """

    name: str
    stations: tuple[str, ...]
    kind: Kind
    licence: str
    ring: Ring
    why: str
    join: Join = "none"
    how: str = ""
    planned: bool = False


@lru_cache(maxsize=1)
def landscape() -> tuple[Tool, ...]:
    """Return every known tool, by name."""
    data = files("interlock.advisor").joinpath("landscape.json").read_bytes()
    return tuple(sorted(msgspec.json.decode(data, type=list[Tool]), key=lambda tool: tool.name.casefold()))


def tools(*, station: str | None = None, kind: str | None = None, ring: str | None = None) -> list[Tool]:
    """Return the tools of a station, kind or ring; of all that are given.

    Raises:
        InvalidInput: There is no such station, kind or ring.
    """
    for name, value, known in (
        ("station", station, STATIONS),
        ("kind", kind, {tool.kind for tool in landscape()}),
        ("ring", ring, {tool.ring for tool in landscape()}),
    ):
        if value is not None and value not in known:
            raise InvalidInput(f"there is no {name} '{value}'", why=did_you_mean(value, known))
    return [
        tool
        for tool in landscape()
        if (station is None or station in tool.stations) and kind in (None, tool.kind) and ring in (None, tool.ring)
    ]


def tool_named(name: str) -> Tool:
    """Return one tool, whatever the case of its name.

    Raises:
        InvalidInput: It is not in the landscape.
    """
    by_name = {tool.name.casefold(): tool for tool in landscape()}
    if name.casefold() not in by_name:
        raise InvalidInput(
            f"'{name}' is not in the landscape", why=did_you_mean(name, [tool.name for tool in landscape()])
        )
    return by_name[name.casefold()]
