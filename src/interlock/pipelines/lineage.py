"""Find the Refs among a step's arguments, and the edges that they and the outputs of other steps make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref
from interlock.pipelines.lazy import lazies_in
from interlock.pipelines.nodes import node_of
from interlock.ports.journal import Edge


def artifact_ref(digest: str) -> str:
    """Return the Ref of a stored content: `artifact:` and its 64 hex digits."""
    return f"artifact:{digest.removeprefix('b3:')}"


def input_edges(arguments: Mapping[str, Any], run_ref: str) -> list[Edge]:
    """Return an edge from every Ref and every step output among the arguments to a run."""
    sources: dict[str, None] = {}
    for value in arguments.values():
        sources.update(dict.fromkeys(refs_in(value)))
        for lazy in lazies_in(value):
            node = node_of(lazy)
            if node is not None and node.record is not None:
                part = node.parts.get(lazy._field)
                sources[artifact_ref(part.digest if part else node.record.output)] = None
    return [Edge(source, run_ref, "used") for source in sources]


def refs_in(value: Any) -> Iterator[str]:
    """Yield the Refs in a value: `Ref`, a string that is one with a version, or a record with a `ref`."""
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, dict):
        yield from refs_in(list(value.values()))
    elif isinstance(value, Ref):
        yield str(value)
    elif isinstance(value, msgspec.Struct):
        ref = getattr(value, "ref", None)
        if isinstance(ref, str):
            yield ref
    elif isinstance(value, str) and ":" in value:
        try:
            ref_value = Ref.parse(value)
        except InvalidInput:
            return
        if ref_value.version is not None or ref_value.kind in ("run", "prediction"):
            yield value


def plain_params(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a run can show as params: numbers, dates, short texts and short lists of them."""
    dated = {name: value.isoformat() if isinstance(value, date) else value for name, value in arguments.items()}
    return {name: value for name, value in dated.items() if _is_param(value)}


def _is_param(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 100 and all(_is_param(item) for item in value)
    if isinstance(value, str):
        return len(value) <= 500 and value.isprintable()
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) in (bool, float, type(None))
