"""Make reused results again and compare: the test of whether what was reused may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.hashing import digest_of_value
from interlock.core.loaded import is_array, is_arrow
from interlock.pipelines.code_keys import content_id
from interlock.pipelines.reuse import VERIFIED, judge
from interlock.pipelines.value_keys import short
from interlock.ports.step_cache import GraphNode, StepCache

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_PARTS = 100_000


class Verified(msgspec.Struct, frozen=True):
    """A result that was made again.

    Args:
        step: The step's name.
        node: Its place among the calls of the run.
        run: Id of the run that had executed it.
        same: Whether it came out the same.
        difference: Where the two differ first: `score: 0.5 → 0.7`; empty if they do not.
    """

    step: str
    node: int
    run: str
    same: bool
    difference: str = ""


def sample(nodes: Iterable[GraphNode], run_id: str, share: float) -> Iterator[GraphNode]:
    """Yield a share of the calls that have an output: which ones differs from run to run, but not within one."""
    for node in nodes:
        chance = int(digest_of_value([run_id, node.node])[-8:], 16) / 0x1_0000_0000
        if node.key and node.output and node.status in ("reused", "finished") and chance < share:
            yield node


def compared(node: GraphNode, kept: Any, made: Any) -> Verified:
    """Compare a kept result with one made again."""
    same = content_id(kept) == content_id(made)
    found = "" if same else first_difference(kept, made) or "they look alike, but are not of the same content"
    return Verified(node.step, node.node, node.run, same, found)


def put_in_doubt(cache: StepCache, verified: Verified, key: str) -> None:
    """Mark the record of a result that came out differently, so that it is reused no more."""
    record = judge(key, cache.find(key), cache.find, always=True).record
    if record is None or any(doubt.startswith(VERIFIED) for doubt in record.doubts):
        return
    doubt = f"{VERIFIED} made again it differed at {verified.difference}"
    cache.delete(record.key)
    cache.put(msgspec.structs.replace(record, doubts=(*record.doubts, doubt)))


def first_difference(old: Any, new: Any, *, at: str = "") -> str:
    """Return where two values differ first, and how; empty if no difference can be shown.

    Example:
        >>> first_difference({"a": [1, 2]}, {"a": [1, 3]})
        "['a'][1]: 2 → 3"
    """
    if type(old) is not type(new):
        return f"{at or 'the value'}: {type(old).__name__} → {type(new).__name__}"
    pairs = _parts(old, new)
    if pairs is None:
        if content_id(old) == content_id(new):
            return ""
        return f"{at or 'the value'}: {short(old)} → {short(new)}"
    for name, one, other in pairs:
        if content_id(one) != content_id(other):
            return first_difference(one, other, at=at + name)
    return ""


def _parts(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]] | None:
    """Yield the parts of two values of one type side by side; None for a value without parts."""
    if isinstance(old, Mapping):
        return ((f"[{key!r}]", old.get(key), new.get(key)) for key in [*old, *(key for key in new if key not in old)])
    if is_arrow(old, "Table"):
        if old.schema != new.schema or old.num_rows != new.num_rows:
            return iter([(" schema", str(old.schema), str(new.schema)), (" rows", old.num_rows, new.num_rows)])
        return ((f" column {name}", *_listed(old[name], new[name])) for name in old.schema.names)
    if is_array(old):
        import numpy as np

        if old.shape != new.shape or old.dtype != new.dtype or old.size > _MOST_PARTS:
            return None
        places = np.ndindex(old.shape)
        return ((f"[{', '.join(map(str, place))}]", old[place], new[place]) for place in places)
    if isinstance(old, (list, tuple)):
        if len(old) != len(new):
            return iter([(" length", len(old), len(new))])
        return ((f"[{place}]", one, other) for place, (one, other) in enumerate(zip(old, new, strict=True)))
    fields = _fields(old)
    return ((f".{name}", getattr(old, name, None), getattr(new, name, None)) for name in fields) if fields else None


def _listed(old: pa.ChunkedArray, new: pa.ChunkedArray) -> tuple[Any, Any]:
    if len(old) > _MOST_PARTS:
        return old.combine_chunks(), new.combine_chunks()
    return old.to_pylist(), new.to_pylist()


def _fields(value: Any) -> tuple[str, ...]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if dataclasses.is_dataclass(value):
        return tuple(field.name for field in dataclasses.fields(value))
    return ()
