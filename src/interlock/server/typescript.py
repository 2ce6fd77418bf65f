"""Write the TypeScript types of the web UI from the records it reads.

Run `python -m interlock.server.typescript ui/src/api-types.ts` after a change to a record.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as shapes

from interlock.loop.endpoints import Outcome
from interlock.loop.stations import Station
from interlock.loop.tracing import Trace
from interlock.server import endpoint_views, pipeline_views, views

HEADER = """// Written by `python -m interlock.server.typescript`; do not edit.
// Times are ISO 8601 strings in UTC. A measured number that is NaN or infinite arrives as null.
"""

MEASURED = frozenset({"first", "last", "min", "max", "mean", "value", "values", "metrics", "low", "high", "spread"})
"""Fields whose floats come from users' measurements and may be NaN, which JSON cannot say."""

_SHOWN = (views.Comparison, views.Group, views.RunPage, views.Experiment)

_SIMPLE: dict[type, str] = {
    shapes.AnyType: "unknown",
    shapes.NoneType: "null",
    shapes.BoolType: "boolean",
    shapes.IntType: "number",
    shapes.FloatType: "number",
    shapes.StrType: "string",
    shapes.BytesType: "string",
    shapes.DateTimeType: "string",
}


def declarations(records: list[type]) -> str:
    """Return the TypeScript source for some records and every record they hold, by name."""
    found: dict[str, shapes.StructType] = {}
    for record in records:
        _collect(shapes.type_info(record), found)
    return HEADER + "".join("\n" + _interface(found[name]) for name in sorted(found))


def view_records() -> list[type]:
    """Return the records that the views answer with: those of the views' modules, and what they show of others."""
    pages = (views, pipeline_views, endpoint_views)
    homes = (*(page.__name__ for page in pages), *(one.__module__ for one in (Station, Trace, *_SHOWN)))
    return [
        Outcome,
        *(
            value
            for home in pages
            for value in vars(home).values()
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ in homes
        ),
    ]


def _collect(info: Any, found: dict[str, shapes.StructType]) -> None:
    if isinstance(info, shapes.StructType):
        if info.cls.__name__ in found:
            return
        found[info.cls.__name__] = info
        for field in info.fields:
            _collect(field.type, found)
    for inner in _inner(info):
        _collect(inner, found)


def _inner(info: Any) -> tuple[Any, ...]:
    if isinstance(info, shapes.UnionType):
        return info.types
    if isinstance(info, shapes.DictType):
        return (info.value_type,)
    if isinstance(info, (shapes.VarTupleType, shapes.ListType)):
        return (info.item_type,)
    return ()


def _interface(info: shapes.StructType) -> str:
    name = info.cls.__name__
    summary = (info.cls.__doc__ or "").strip().partition("\n")[0]
    lines = [f"/** {summary} */", f"export interface {name} {{"]
    for field in info.fields:
        lines.append(f"  {field.encode_name}: {_type(field.type, measured=field.name in MEASURED)}")
    return "\n".join([*lines, "}"]) + "\n"


def _type(info: Any, *, measured: bool) -> str:
    if isinstance(info, shapes.StructType):
        return str(info.cls.__name__)
    if isinstance(info, shapes.LiteralType):
        return " | ".join(f'"{value}"' for value in info.values)
    if isinstance(info, shapes.UnionType):
        members = (part for inner in info.types for part in _type(inner, measured=measured).split(" | "))
        return " | ".join(dict.fromkeys(members))
    if isinstance(info, shapes.DictType):
        return f"Record<string, {_type(info.value_type, measured=measured)}>"
    if isinstance(info, (shapes.VarTupleType, shapes.ListType)):
        item = _type(info.item_type, measured=measured)
        return f"({item})[]" if " | " in item else f"{item}[]"
    if isinstance(info, shapes.FloatType) and measured:
        return "number | null"
    return _SIMPLE[type(info)]


def main(arguments: list[str]) -> int:
    """Write the types to the file that is named."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m interlock.server.typescript FILE\n")
        return 2
    target = Path(arguments[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(declarations(view_records()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
