"""Stand for a value that a running pipeline has not needed yet."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any


class Lazy:
    """The result of a step call inside a pipeline.

    Handed to another step it stays lazy. `.value`, `if`, `for`, `len`, indexing, comparing, arithmetic, formatting
    and reading an attribute wait for the value and go on with it, so that a pipeline's body is plain Python.
    """

    __slots__ = ("_force", "_node")

    def __init__(self, force: Callable[[], Any], node: Any = None) -> None:
        self._force = force
        self._node = node

    @property
    def value(self) -> Any:
        """The value itself, waited for."""
        return self._force()

    def __bool__(self) -> bool:
        return bool(self._force())

    def __len__(self) -> int:
        return len(self._force())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._force())

    def __contains__(self, item: Any) -> bool:
        return force(item) in self._force()

    def __getitem__(self, key: Any) -> Any:
        return self._force()[force(key)]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._force(), name)

    def __float__(self) -> float:
        return float(self._force())

    def __int__(self) -> int:
        return int(self._force())

    def __str__(self) -> str:
        return str(self._force())

    def __format__(self, spec: str) -> str:
        return format(self._force(), spec)

    def __repr__(self) -> str:
        return "<lazy step result; .value waits for it>"

    def __hash__(self) -> int:
        return hash(self._force())


def _binary(compute: Callable[[Any, Any], Any]) -> Callable[[Lazy, Any], Any]:
    return lambda left, right: compute(left.value, force(right))


def _reflected(compute: Callable[[Any, Any], Any]) -> Callable[[Lazy, Any], Any]:
    return lambda right, left: compute(force(left), right.value)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Lazy, f"__{_name}__", _binary(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Lazy, f"__{_name}__", _binary(getattr(operator, _name)))
    setattr(Lazy, f"__r{_name}__", _reflected(getattr(operator, _name)))


def force(value: Any) -> Any:
    """Return a value with every lazy one inside lists, tuples and dicts waited for."""
    return substitute(value, lambda lazy: lazy.value)


def lazies_in(value: Any) -> list[Lazy]:
    """Return the lazy values inside lists, tuples and dicts, in order."""
    found: list[Lazy] = []
    substitute(value, found.append)
    return found


def substitute(value: Any, replace: Callable[[Lazy], Any]) -> Any:
    """Return a value with every lazy one inside lists, tuples and dicts replaced; itself if there is none."""
    kind = type(value)
    if kind is Lazy:
        return replace(value)
    if kind in (list, tuple):
        items = [substitute(item, replace) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return kind(items) if changed else value
    if kind is dict:
        new = {key: substitute(item, replace) for key, item in value.items()}
        return new if any(new[key] is not value[key] for key in value) else value
    return value
