"""Check what goes into a step and what comes out of it against its annotations."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interlock.core.errors import InvalidInput, SchemaMismatch, WrongType, did_you_mean
from interlock.pipelines.edge_rules import rule_problem, rules_of
from interlock.pipelines.edge_types import Check, check_for, clash, element_of, hints_of, may_flow, schema_of, show
from interlock.pipelines.lazy import Lazy
from interlock.pipelines.outputs import Outputs, outputs_of

_MUTABLE = (list, dict, set, bytearray)


class Edges:
    """What is announced of a step's parameters and of what it returns.

    Args:
        function: The step's function.
        name: Its name, for errors.
        noun: What it is called there.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, noun: str = "step") -> None:
        self._name = name
        self._label = f"{noun} '{name}'"
        self.signature = inspect.signature(function)
        hints = hints_of(function)
        self.returns = hints.pop("return", Any)
        self.outputs: Outputs | None = outputs_of(self.returns, step=name)
        self.hints = {key: self._of(key, hint) for key, hint in hints.items() if key in self.signature.parameters}
        self._checks = {key: check for key, hint in self.hints.items() if (check := self._check_of(key, hint))}
        self._rules = {key: rules for key, hint in self.hints.items() if (rules := rules_of(hint))}
        self._result = check_for(self.returns)
        self._result_rules = rules_of(self.returns)
        self._fields = _field_hints(self.outputs)
        self._fine: set[tuple[Any, ...]] = set()
        self._copied = [one.name for one in self.signature.parameters.values() if isinstance(one.default, _MUTABLE)]

    @property
    def held(self) -> list[Any]:
        """Every rule and schema that values are held against; what passed once need not pass others."""
        every = {**self.hints, "return": self.returns}
        if self.outputs is not None:
            every.update({f"return.{name}": hint for name, hint in hints_of(self.outputs.kind).items()})
        schemas = [(name, str(schema)) for name, hint in every.items() if (schema := schema_of(hint)) is not None]
        return [*schemas, *((name, rules) for name, hint in every.items() if (rules := rules_of(hint)))]

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return the arguments of a call by name, defaults filled in (mutable ones as copies), and check their types.

        Raises:
            WrongType: An argument is missing, unknown, or cannot be of the type that the step expects.
            SchemaMismatch: A table lacks a column, or one has another type.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise self._no_such_call(kwargs, error) from error
        given = set(bound.arguments) if self._copied else set()
        bound.apply_defaults()
        for name in self._copied:
            if name not in given:
                bound.arguments[name] = copy.deepcopy(bound.arguments[name])
        for name, value in bound.arguments.items():
            if name in self.hints:
                self._check_argument(name, name, value, self.hints[name], self._checks.get(name))
        return bound

    def check_arguments(self, bound: inspect.BoundArguments) -> None:
        """Check arguments whose values are all there, against types and rules.

        Raises:
            WrongType: One is not of the type that the step expects.
            SchemaMismatch: A table lacks a column, or a value breaks a rule.
        """
        for name, value in bound.arguments.items():
            check, rules = self._checks.get(name), self._rules.get(name)
            problem = (check(value) if check else "") or (rule_problem(rules, value) if rules else "")
            if problem:
                raise _failure(f"{self._label} cannot take its argument '{name}'", problem)

    def check_result(self, value: Any) -> None:
        """Check what the step returned.

        Raises:
            WrongType: It, or a field of it, is not what was announced.
            SchemaMismatch: A table lacks a column, or a value breaks a rule.
        """
        problem = self._result(value) if self._result else ""
        problem = problem or (rule_problem(self._result_rules, value) if self._result_rules else "")
        if problem:
            raise _failure(f"{self._label} returned something else than it announces", problem)
        for name, (check, rules) in self._fields.items():
            held = getattr(value, name, None)
            problem = (check(held) if check else "") or (rule_problem(rules, held) if rules else "")
            if problem:
                what = f"{self._label} returned something else than it announces in field '{name}'"
                raise _failure(what, problem)

    def _of(self, name: str, hint: Any) -> Any:
        """Return the annotation of one argument, which for `*args: int` is that of each item."""
        kind = self.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple[hint, ...]
        return dict[str, hint] if kind is inspect.Parameter.VAR_KEYWORD else hint

    def _check_of(self, name: str, hint: Any) -> Check | None:
        if self.signature.parameters[name].kind not in _OF_EACH:
            return check_for(hint)
        one = check_for(element_of(hint, 0))
        return None if one is None else lambda values: next(filter(None, map(one, _items(values))), "")

    def _check_argument(self, name: str, where: str, value: Any, hint: Any, check: Check | None) -> None:
        if type(value) is Lazy:
            self._check_edge(name, where, value, hint)
        elif type(value) in (list, tuple, dict) and any(type(one) in _HOLDS_LAZY for one in _items(value)):
            each = self.signature.parameters[name].kind in _OF_EACH
            if check is not None and not each and (problem := check(value)):
                raise _failure(f"{self._label} cannot take its argument '{where}'", problem)
            for key, item in value.items() if type(value) is dict else enumerate(value):
                if type(item) in _HOLDS_LAZY:
                    self._check_argument(name, f"{where}[{key!r}]", item, element_of(hint, key), None)
        elif check is not None and (problem := check(value)):
            raise _failure(f"{self._label} cannot take its argument '{where}'", problem)

    def _check_edge(self, name: str, where: str, lazy: Lazy, hint: Any) -> None:
        source = getattr(lazy._node, "step", None)
        if source is None or hint is Any:
            return
        edge = (source.__wrapped__, lazy._field, name, id(hint))
        if edge in self._fine:
            return
        problem = clash(announced(lazy), hint)
        if problem:
            field = f".{lazy._field}" if lazy._field else ""
            raise _failure(
                f"{self._label} cannot take the output of step '{source.name}{field}' as its argument '{where}'",
                problem,
                fix=f"change the annotation of {source.name} or of {self._name}, or put a step between them",
            )
        self._fine.add(edge)

    def _no_such_call(self, kwargs: Mapping[str, Any], error: TypeError) -> WrongType:
        known = list(self.signature.parameters)
        unknown = [name for name in kwargs if name not in known]
        why = str(error)
        if unknown:
            why = f"it has no argument '{unknown[0]}'" + (f": {did_you_mean(unknown[0], known)}" if known else "")
        return WrongType(f"{self._label} cannot be called so", why=why, fix=f"{self._name}({self._written()})")

    def _written(self) -> str:
        shown = []
        for one in self.signature.parameters.values():
            hint = f": {show(self.hints[one.name])}" if one.name in self.hints else ""
            default = "" if one.default is one.empty else f" = {one.default!r}"
            shown.append(f"{one.name}{hint}{default}")
        text = ", ".join(shown)
        return text if len(text) <= 200 else "…"


def announced(lazy: Lazy) -> Any:
    """Return what is announced of a lazy value's type; `Any` if nothing is."""
    source = getattr(lazy._node, "step", None)
    edges = getattr(source, "edges", None)
    if edges is None:
        return Any
    if not lazy._field:
        return edges.returns
    return hints_of(edges.outputs.kind).get(lazy._field, Any) if edges.outputs else Any


def is_surely_no_list(lazy: Lazy) -> bool:
    """Say whether what is announced of a lazy value rules out that it is a list."""
    return not may_flow(announced(lazy), list) and not may_flow(announced(lazy), range)


_OF_EACH = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_HOLDS_LAZY = (Lazy, list, tuple, dict)


def _items(value: Any) -> Any:
    return value.values() if type(value) is dict else value


def _field_hints(outputs: Outputs | None) -> dict[str, tuple[Check | None, tuple[Any, ...]]]:
    if outputs is None:
        return {}
    hints = hints_of(outputs.kind)
    found = {name: (check_for(hints.get(name, Any)), rules_of(hints.get(name))) for name in outputs.fields}
    return {name: (check, rules) for name, (check, rules) in found.items() if check or rules}


def _failure(what: str, problem: str, *, fix: str = "") -> InvalidInput:
    kind = WrongType if problem.startswith("expected ") else SchemaMismatch
    return kind(what, why=problem, fix=fix)
