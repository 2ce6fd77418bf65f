"""Say which field of a request is wrong, in the words that MLflow's clients know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect as shapes

_SEE = "See the API docs for more information about request parameters."
_LONGEST_SHOWN = 200


def missing_value(path: str) -> str:
    """Return what is said of a field that has to be given.

    Example:
        >>> missing_value("metrics[0].key").partition(".")[0]
        "Missing value for required parameter 'metrics[0]"
    """
    return f"Missing value for required parameter '{path}'. {_SEE}"


def invalid_value(path: str, value: Any, why: str = "") -> str:
    """Return what is said of a field whose value cannot be taken.

    Example:
        >>> print(invalid_value("step", "foo", "It is no number."))
        Invalid value "foo" for parameter 'step' supplied: It is no number.
    """
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    return f"Invalid value {shown} for parameter '{path}' supplied{f': {why}' if why else '.'}"


def first_refusal(fields: Mapping[str, Any], kind: type[msgspec.Struct]) -> str | None:
    """Return what is wrong with the first wrong field of a request, or None if each by itself can be read.

    Args:
        fields: The plain request, its names as the record spells them.
        kind: The record that it cannot be read as.
    """
    return next(_refusals(fields, shapes.type_info(kind), ""), None)


def _refusals(value: Any, info: Any, path: str) -> Iterator[str]:
    if isinstance(info, shapes.UnionType):
        info = next((one for one in info.types if isinstance(one, _NESTED)), info)
    if isinstance(info, shapes.StructType) and isinstance(value, Mapping):
        for field in info.fields:
            inner = f"{path}.{field.encode_name}" if path else field.encode_name
            if field.encode_name in value:
                yield from _refusals(value[field.encode_name], field.type, inner)
            elif field.required:
                yield missing_value(inner)
    elif isinstance(info, (shapes.ListType, shapes.VarTupleType)) and isinstance(value, list):
        for place, item in enumerate(value):
            yield from _refusals(item, info.item_type, f"{path}[{place}]")
    elif not _fits(value, info):
        yield invalid_value(path, value, f"Hint: Value was of type '{type(value).__name__}'. {_SEE}")


def _fits(value: Any, info: Any) -> bool:
    if isinstance(info, _NESTED):
        return False
    if isinstance(info, shapes.UnionType):
        return any(_fits(value, one) for one in info.types)
    try:
        msgspec.convert(value, _PLAIN.get(type(info), Any), strict=False)
    except (msgspec.ValidationError, OverflowError):
        return False
    if isinstance(info, shapes.IntType) and info.ge is not None and info.le is not None:
        return info.ge <= int(value) <= info.le
    return True


_NESTED = (shapes.StructType, shapes.ListType, shapes.VarTupleType)
_PLAIN: Mapping[type, Any] = {
    shapes.StrType: str,
    shapes.IntType: int,
    shapes.FloatType: float,
    shapes.BoolType: bool,
    shapes.NoneType: None,
}
