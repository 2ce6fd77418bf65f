"""Stand for a value that a running pipeline has not needed yet."""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable, Iterator
from typing import Any


class Lazy:
    """The result of a step call inside a pipeline.

    Handed to another step it stays lazy, and so do the fields of a step that is annotated to return a dataclass or
    a NamedTuple: `parts.train`, and `train, test = parts`. `.value`, `if`, `for`, `len`, indexing, comparing,
    arithmetic, formatting and reading any other attribute wait for the value and go on with it, so that a pipeline's
    body is plain Python.

    Args:
        force: Waits for the value.
        node: Whatever the session that made it knows about it; its `step` is asked for what it returns.
        field: Which of several outputs it is; empty for the whole.
        part: Waits for one of several outputs; where it is missing, the whole is waited for.
    """

    __slots__ = ("_field", "_force", "_node", "_part")

    def __init__(
        self,
        force: Callable[[], Any],
        node: Any = None,
        *,
        field: str = "",
        part: Callable[[str], Any] | None = None,
    ) -> None:
        self._force = force
        self._node = node
        self._field = field
        self._part = part

    @property
    def value(self) -> Any:
        """The value itself, waited for."""
        return self._force()

    def __bool__(self) -> bool:
        return bool(self._force())

    def __len__(self) -> int:
        return len(self._force())

    def __iter__(self) -> Iterator[Any]:
        outputs = self._outputs()
        if outputs is not None and outputs.unpacks:
            return iter([self._of(name) for name in outputs.fields])
        return iter(self._force())

    def __contains__(self, item: Any) -> bool:
        return force(item) in self._force()

    def __getitem__(self, key: Any) -> Any:
        return self._force()[force(key)]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        outputs = self._outputs()
        if outputs is not None and name in outputs.fields:
            return self._of(name)
        return getattr(self._force(), name)

    def __float__(self) -> float:
        return float(self._force())

    def __int__(self) -> int:
        return int(self._force())

    def __index__(self) -> int:
        return operator.index(self._force())

    def __str__(self) -> str:
        return str(self._force())

    def __format__(self, spec: str) -> str:
        return format(self._force(), spec)

    def __repr__(self) -> str:
        return "<lazy step result; .value waits for it>"

    def __hash__(self) -> int:
        return hash(self._force())

    def __neg__(self) -> Any:
        return -self._force()

    def __abs__(self) -> Any:
        return abs(self._force())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._force(), digits)

    def _outputs(self) -> Any:
        """Return the several outputs of the step behind it, if that is what it stands for."""
        return None if self._field else getattr(getattr(self._node, "step", None), "outputs", None)

    def _of(self, name: str) -> Lazy:
        whole, part = self._force, self._part
        one = (lambda: getattr(whole(), name)) if part is None else (lambda: part(name))
        return Lazy(one, self._node, field=name)


def _binary(compute: Callable[[Any, Any], Any]) -> Callable[[Lazy, Any], Any]:
    return lambda left, right: compute(left.value, force(right))


def _reflected(compute: Callable[[Any, Any], Any]) -> Callable[[Lazy, Any], Any]:
    return lambda right, left: compute(force(left), right.value)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Lazy, f"__{_name}__", _binary(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_"):
    setattr(Lazy, f"__{_name.strip('_')}__", _binary(getattr(operator, _name)))
    setattr(Lazy, f"__r{_name.strip('_')}__", _reflected(getattr(operator, _name)))


def force(value: Any) -> Any:
    """Return a value with every lazy one inside lists, tuples, dicts and dataclasses waited for."""
    return substitute(value, lambda lazy: lazy.value)


def lazies_in(value: Any) -> list[Lazy]:
    """Return the lazy values inside lists, tuples, dicts and dataclasses, in order."""
    found: list[Lazy] = []
    substitute(value, found.append)
    return found


def substitute(value: Any, replace: Callable[[Lazy], Any]) -> Any:
    """Return a value with every lazy one inside lists, tuples, dicts and dataclasses replaced; itself if none is."""
    kind = type(value)
    if kind is Lazy:
        return replace(value)
    if kind in _PLAIN:
        return value
    if kind in (list, tuple):
        items = [substitute(item, replace) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return kind(items) if changed else value
    if kind is dict:
        new = {key: substitute(item, replace) for key, item in value.items()}
        return new if any(new[key] is not value[key] for key in value) else value
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        items = [substitute(item, replace) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return kind(*items) if changed else value
    if dataclasses.is_dataclass(kind):
        return _in_dataclass(value, replace)
    return value


def _in_dataclass(value: Any, replace: Callable[[Lazy], Any]) -> Any:
    held = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    changed = {name: new for name, old in held.items() if (new := substitute(old, replace)) is not old}
    if not changed:
        return value
    made = copy.copy(value)
    for name, new in changed.items():
        object.__setattr__(made, name, new)  # it may be frozen, and this is a copy that nobody else has yet
    return made


_PLAIN = frozenset({int, float, str, bool, bytes, type(None)})
