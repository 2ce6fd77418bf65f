"""Say whether a value is of an announced type, and whether values of one type may go where another is expected."""

from __future__ import annotations

import collections.abc
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from interlock.core.loaded import is_arrow
from interlock.pipelines.edge_schemas import schema_problem, schemas_clash

if TYPE_CHECKING:
    import pyarrow as pa

_UNCHECKED = (Any, object, inspect.Parameter.empty)
_NUMBERS: dict[Any, Any] = {int: numbers.Integral, float: numbers.Real, complex: numbers.Complex}
_UNREADABLE = (NameError, TypeError, AttributeError, SyntaxError, ValueError, KeyError)
Check = Callable[[Any], str]
"""Returns what is wrong with a value, or an empty text."""


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function that can be read now; names known to type checkers only are left out."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except _UNREADABLE:
        found = {}
        for name, hint in getattr(function, "__annotations__", {}).items():
            holder = types.SimpleNamespace(__annotations__={name: hint})
            try:
                space = getattr(function, "__globals__", {})
                found[name] = typing.get_type_hints(holder, space, {}, include_extras=True)[name]
            except _UNREADABLE:
                continue
        return found


def plain(hint: Any) -> Any:
    """Return an annotation without what only wraps it: `Annotated`, `NewType`, an alias, a bound type variable."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif isinstance(hint, typing.TypeVar):
            hint = hint.__bound__ or Any
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def schema_of(hint: Any) -> pa.Schema | None:
    """Return the Arrow schema that an annotation carries, as `Annotated[pa.Table, schema]` does."""
    if get_origin(hint) is Annotated:
        return next((one for one in get_args(hint)[1:] if is_arrow(one, "Schema")), None)
    return None


def check_for(hint: Any) -> Check | None:
    """Return what checks values against an annotation, or None where there is nothing to check.

    Of a generic type the outer one is checked (`list` of `list[int]`), so that it costs the same for any size.
    """
    accept = _accept(plain(hint))
    schema = schema_of(hint)
    if accept is None and schema is None:
        return None

    def check(value: Any) -> str:
        if accept is not None and not accept(value):
            return f"expected {show(hint)}, got {describe(value)}"
        return schema_problem(schema, value) if schema is not None else ""

    return check


def clash(source: Any, target: Any) -> str:
    """Say why values announced as one type cannot go where another is expected; empty if some may."""
    if not may_flow(source, target):
        return f"expected {show(target)}, got {show(source)}"
    here, there = schema_of(source), schema_of(target)
    return schemas_clash(here, there) if here is not None and there is not None else ""


def may_flow(source: Any, target: Any) -> bool:
    """Say whether any value of one announced type could be one of another."""
    source, target = plain(source), plain(target)
    if _unchecked(source) or _unchecked(target):
        return True
    if _is_union(source):
        return any(may_flow(one, target) for one in get_args(source))
    if _is_union(target):
        return any(may_flow(source, one) for one in get_args(target))
    if get_origin(source) is Literal:
        accept = _accept(target)
        return accept is None or any(accept(value) for value in get_args(source))
    if get_origin(target) is Literal:
        accept = _accept(source)
        return accept is None or any(accept(value) for value in get_args(target))
    here, there = _outer(source), _outer(target)
    if here is None or there is None:
        return True
    if not _related(here, there):
        return False
    ours, theirs = get_args(source), get_args(target)
    if here is not there or len(ours) != len(theirs) or here in (type, collections.abc.Callable):
        return True
    return all(may_flow(one, other) for one, other in zip(ours, theirs, strict=True))


def element_of(hint: Any, key: Any) -> Any:
    """Return what a container's annotation announces for one of its items, or `Any`."""
    hint = plain(hint)
    if _is_union(hint):
        kept = [one for one in get_args(hint) if plain(one) is not type(None)]
        return element_of(kept[0], key) if len(kept) == 1 else Any
    args = get_args(hint)
    outer = _outer(hint)
    if not args or not isinstance(outer, type):
        return Any
    if issubclass(outer, tuple):
        if len(args) == 2 and args[1] is Ellipsis:
            return args[0]
        return args[key] if isinstance(key, int) and key < len(args) else Any
    if issubclass(outer, collections.abc.Mapping):
        return args[1] if len(args) == 2 else Any
    return args[0] if len(args) == 1 else Any


def show(hint: Any) -> str:
    """Write an annotation the way people write it."""
    hint = plain(hint)
    if hint is None or hint is type(None):
        return "None"
    if _is_union(hint):
        return " | ".join(show(one) for one in get_args(hint))
    if isinstance(hint, type) and not get_args(hint):
        return hint.__qualname__ if hint.__module__ == "builtins" else f"{hint.__module__}.{hint.__qualname__}"
    return str(hint).replace("typing.", "")


def describe(value: Any) -> str:
    """Write what a value is, in a few characters and without its content where that is long."""
    kind = show(type(value))
    if isinstance(value, (bool, int, float, str)) and len(repr(value)) <= 40:
        return f"{kind} {value!r}"
    return kind


def _unchecked(hint: Any) -> bool:
    return isinstance(hint, str) or any(hint is one for one in _UNCHECKED)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _outer(hint: Any) -> Any:
    """Return the class behind an annotation, or None where it has none that can be asked."""
    if hint is None:
        return type(None)
    kind = get_origin(hint) or hint
    if typing.is_typeddict(kind):
        return dict
    if not isinstance(kind, type) or (_is_protocol(kind) and not getattr(kind, "_is_runtime_protocol", False)):
        return None
    return kind


def _required_keys(kind: Any) -> set[str]:
    """Return what a TypedDict cannot lack; `NotRequired` written as text is not in its own list."""
    hints = hints_of(kind)
    return {key for key in kind.__required_keys__ if get_origin(hints.get(key)) is not typing.NotRequired}


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _related(here: Any, there: Any) -> bool:
    tower = _NUMBERS.get(there)
    try:
        return issubclass(here, there) or issubclass(there, here) or (tower is not None and issubclass(here, tower))
    except TypeError:  # a protocol with data members can be asked of instances only
        return True


def _accept(hint: Any) -> Callable[[Any], bool] | None:
    if _unchecked(hint):
        return None
    if _is_union(hint):
        accepts = [_accept(plain(one)) for one in get_args(hint)]
        known = [one for one in accepts if one is not None]
        return (lambda value: any(one(value) for one in known)) if len(known) == len(accepts) else None
    origin = get_origin(hint)
    if origin is Literal:
        allowed = {(type(one), one) for one in get_args(hint)}
        return lambda value: isinstance(value, collections.abc.Hashable) and (type(value), value) in allowed
    if typing.is_typeddict(origin or hint):
        required = _required_keys(origin or hint)
        return lambda value: isinstance(value, Mapping) and required <= value.keys()
    kind = _outer(hint)
    if kind is None:
        return None
    if kind is collections.abc.Callable:
        return callable
    if kind is type:
        return lambda value: isinstance(value, type)
    asked = _NUMBERS.get(kind, kind)
    try:
        isinstance(None, asked)
    except TypeError:
        return None
    return lambda value: isinstance(value, asked)
