"""Turn what people hand in as parameters into plain values that every store keeps typed and nested."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from interlock.core.errors import InvalidInput
from interlock.core.plain import pack

_LONGEST_SHOWN = 200


def plain_params(params: Any) -> dict[str, Any]:
    """Return parameters by name, each a plain value; nested ones stay nested.

    Takes a mapping, a dataclass, an `argparse.Namespace`, or anything else with named fields. NumPy and torch scalars
    become Python's, paths and enums text, tuples and sets lists.

    Raises:
        InvalidInput: A value is not plain.

    Example:
        >>> plain_params({"layers": (64, 32), "optimiser": {"name": "adam", "rate": 1e-3}})
        {'layers': [64, 32], 'optimiser': {'name': 'adam', 'rate': 0.001}}
    """
    named = _fields(params)
    if named is None:
        raise InvalidInput(
            f"params of type {type(params).__name__} have no names",
            why="expected a mapping, a dataclass or a namespace",
            fix='log_params({"depth": 3})',
        )
    plain = {str(key): _plain(value) for key, value in named.items()}
    for key, value in plain.items():
        try:
            pack(value)
        except InvalidInput as error:
            raise InvalidInput(f"param '{key}' cannot be stored", why=error.why, fix=error.fix) from error
    return plain


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """Return what a value holds by name, or None if it is no bundle of named values."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "__struct_fields__"):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if hasattr(value, "model_fields") and hasattr(value, "model_dump"):
        return dict(value.model_dump())
    if type(value).__name__ == "Namespace" or type(value).__name__ == "SimpleNamespace":
        return dict(vars(value))
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    return None


def _plain(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, (bool, int, float, str)) else value.name
    if isinstance(value, (bool, int, float, str, bytes)):
        # a subclass (numpy.float64, a quantity) is written as what it is underneath
        return value if type(value) in (bool, int, float, str, bytes) else _scalar(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=repr)
    if isinstance(value, Path):
        return str(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    fields = _fields(value)
    return value if fields is None else {str(key): _plain(item) for key, item in fields.items()}


def _scalar(value: Any) -> Any:
    kinds = (bool, int, float, str, bytes)
    kind = next(kind for kind in kinds if isinstance(value, kind))
    return kind(value)


def described(value: Any) -> Any:
    """Return a value as a param: plain where it is plain, else in words; for values that nobody chose to log.

    Example:
        >>> described(3), described(print)
        (3, 'function print')
    """
    try:
        plain = _plain(value)
        if len(pack(plain)) <= _LONGEST_SHOWN * 20:
            return plain
    except (InvalidInput, TypeError, ValueError, RecursionError):
        pass
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    if inspect.isroutine(value):
        return f"function {getattr(value, '__qualname__', value)}"
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    if hasattr(value, "__len__"):
        return f"{type(value).__name__} of {len(value)}"
    return (
        repr(value)[:_LONGEST_SHOWN]
        if getattr(type(value), "__repr__", None) is not object.__repr__
        else type(value).__name__
    )


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included, as params.

    Example:
        >>> def train(depth, *, rate=0.1): ...
        >>> arguments_of(train, (3,), {})
        {'depth': 3, 'rate': 0.1}
    """
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        # the call itself will say what is wrong with it
        return {}
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found |= {key: described(one) for key, one in value.items()}
        elif name not in ("self", "cls"):
            found[name] = described(value)
    return found
