"""Find what a Python model needs beyond itself, write it all down, and name at once what cannot travel with it."""

from __future__ import annotations

import dis
import functools
import importlib
import importlib.util
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import msgspec

from interlock.core.bytecode import WHOLE, Import, read_code
from interlock.core.carrying import UNWRITABLE, Bound, bound_to_process, carry
from interlock.core.errors import InvalidInput
from interlock.core.libraries import distribution_of
from interlock.core.origins import origin_of

_DEEPEST = 8
_MOST_PARTS = 1_000
_MOST_NAMED = 20
_absent = object()


class Carried(msgspec.Struct, frozen=True):
    """A model written down with its code.

    Args:
        data: The bytes.
        libraries: Installed distributions that its code imports, with their versions.
        modules: Modules of the project that travel with it.
        python: The minor version of Python whose byte-code it holds.
    """

    data: bytes
    libraries: dict[str, str]
    modules: tuple[str, ...]
    python: str


class _Held(NamedTuple):
    """A value that code holds on to: its name, and where the code uses it."""

    label: str
    where: str
    value: Any


def carried(model: Any, *, name: str) -> Carried:
    """Return a model as bytes with every function, class, constant and module of the project that it uses.

    Args:
        model: A function, a class or an object.
        name: What errors call it.

    Raises:
        InvalidInput: Something in it cannot leave this process; everything that cannot is named, with its place.
    """
    walk = _Walk()
    walk.visit(model, name, "")
    if walk.changing:
        label, where = walk.changing[0]
        raise InvalidInput(
            f"'{name}' changes the global '{label}' ({where})",
            why="each process that serves has its own, so answers would depend on which of them was asked",
            fix="make the model a class, set it up in load(self) and keep it in self",
        )
    try:
        data, homes = carry(model, walk.used, walk.imported)
    except UNWRITABLE as error:
        held = [*walk.held, _Held(name, "in the model itself", model)]
        raise _cannot(name, held, walk.used, error) from error
    libraries: dict[str, str] = {}
    for home in homes | walk.libraries:
        if origin_of(home) == "library" and (owner := distribution_of(home)) is not None:
            libraries[owner[0]] = owner[1]
    major, minor, _ = platform.python_version_tuple()
    modules = tuple(sorted({*walk.used, *walk.imported} - {"__main__"}))
    return Carried(data, dict(sorted(libraries.items())), modules, f"{major}.{minor}")


class _Walk:
    """One walk over code and the values it holds; what was seen is not gone into again."""

    def __init__(self) -> None:
        self.used: dict[str, set[str] | None] = {}
        self.imported: set[str] = set()
        self.libraries: set[str] = set()
        self.changing: list[tuple[str, str]] = []
        self.held: list[_Held] = []
        self._seen: dict[int, Any] = {}

    def visit(self, value: Any, label: str, where: str, depth: int = 0) -> None:
        """Go into a value: code of the project, or what holds such code."""
        if id(value) in self._seen or depth > _DEEPEST:
            return
        self._seen[id(value)] = value
        if isinstance(value, ModuleType):
            self._module(value, None)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, MethodType):
            self.visit(value.__func__, label, where, depth)
            self.visit(value.__self__, f"{label}.__self__", where, depth + 1)
        elif isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self.visit(part, f"{label} (partial)", where, depth + 1)
        elif callable(getattr(value, "__wrapped__", None)):
            self.visit(value.__wrapped__, label, where, depth + 1)
        else:
            self._class(type(value))
            for part_label, part in _parts(value, label):
                self.visit(part, part_label, where, depth + 1)

    def _keep(self, label: str, where: str, value: Any) -> None:
        self.held.append(_Held(label, where, value))
        self.visit(value, label, where)

    def _function(self, function: FunctionType) -> None:
        if origin_of(function.__module__ or "") != "project":
            self._library(function.__module__)
            return
        code, space = function.__code__, function.__globals__
        reading = read_code(code)
        self.changing += [(label, _place(code, line)) for label, line in _stores(code)]
        for use in reading.globals:
            if use.name in space:
                self._follow(space[use.name], use.name, use.chain, code)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # filled later than the function was made
                continue
            chains = [use.chain for use in reading.locals if use.name == name] or [()]
            for chain in chains:
                self._follow(value, name, chain, code)
        for one in reading.imports:
            chains = [use.chain for use in reading.locals if use.name == one.bound]
            self._import(function, one, chains)
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._keep(f"a default of {function.__name__}", _place(code, code.co_firstlineno), default)

    def _follow(self, value: Any, label: str, chain: Sequence[str], code: CodeType) -> None:
        """Go from a name through the attributes that are read from it, as long as they are modules."""
        where = _place(code, _line_of(code, label.partition(".")[0]))
        if isinstance(value, ModuleType) and not chain:
            self._module(value, None)
        for attribute in chain:
            if not isinstance(value, ModuleType):
                break
            self._module(value, attribute)
            label = f"{label}.{attribute}"
            value = getattr(value, attribute, _absent)
        if value is not _absent and not isinstance(value, ModuleType):
            self._keep(label, where, value)

    def _module(self, module: ModuleType, attribute: str | None) -> None:
        """Note that a name of a module is used, or, where it cannot be told which, all of them."""
        name = module.__name__
        if origin_of(name) != "project":
            self._library(name)
        elif attribute is None:
            if self.used.get(name, set()) is not None:
                self.used[name] = None
                for label, value in list(vars(module).items()):
                    if isinstance(value, (FunctionType, type)) and value.__module__ == name:
                        self.visit(value, f"{name}.{label}", "")
        elif (known := self.used.setdefault(name, set())) is not None:
            known.add(attribute)

    def _import(self, function: FunctionType, one: Import, chains: Sequence[Sequence[str]]) -> None:
        package = function.__globals__.get("__package__") or ""
        if one.level and not package:
            return
        name = importlib.util.resolve_name("." * one.level + one.module, package) if one.level else one.module
        if origin_of(name) != "project":
            self._library(name)
            return
        try:
            module = importlib.import_module(name)
        except ImportError:  # what is not here was not needed to answer the example
            return
        while name:
            self.imported.add(name)
            self.used.setdefault(name, set())
            name = name.rpartition(".")[0]
        code = function.__code__
        if one.name is not None:
            self._module(module, one.name)
            value = getattr(module, one.name, None)
            if isinstance(value, ModuleType):
                self.imported.add(value.__name__)
            for chain in chains or [()]:
                self._follow(value, one.name, chain, code)
        elif one.bound == WHOLE or (one.bound and not chains):
            self._module(module, None)
        else:
            for chain in chains:
                self._follow(module, one.bound, chain, code)

    def _class(self, kind: type) -> None:
        if origin_of(kind.__module__ or "") != "project":
            self._library(kind.__module__)
            return
        if id(kind) in self._seen and self._seen[id(kind)] is not kind:
            return
        self._seen[id(kind)] = kind
        for base in kind.__mro__[1:]:
            self.visit(base, base.__name__, "")
        for label, value in list(vars(kind).items()):
            if label.startswith("__") and not isinstance(value, FunctionType):
                continue
            for part in _behind(value):
                self._keep(f"{kind.__name__}.{label}", f"class {kind.__name__}", part)

    def _library(self, name: Any) -> None:
        if isinstance(name, str):
            self.libraries.add(name.partition(".")[0])


def _behind(value: Any) -> tuple[Any, ...]:
    """Return what a member of a class holds: the functions of a property, of a method, or the value itself."""
    if isinstance(value, (staticmethod, classmethod)):
        return (value.__func__,)
    if isinstance(value, property):
        return tuple(one for one in (value.fget, value.fset, value.fdel) if one is not None)
    if isinstance(value, functools.cached_property):
        return (value.func,)
    return (value,)


def _parts(value: Any, label: str) -> Iterator[tuple[str, Any]]:
    """Yield what a value is made of, each with its label."""
    if isinstance(value, Mapping):
        yield from ((f"{label}[{key!r}]", part) for key, part in list(value.items())[:_MOST_PARTS])
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"{label}[{at}]", part) for at, part in enumerate(list(value)[:_MOST_PARTS]))
    elif isinstance(attributes := getattr(value, "__dict__", None), dict):
        yield from ((f"{label}.{key}", part) for key, part in list(attributes.items())[:_MOST_PARTS])


def _stores(code: CodeType) -> Iterator[tuple[str, int]]:
    """Yield the globals that code sets, and the lines where it does."""
    line = code.co_firstlineno
    for one in dis.get_instructions(code):
        line = (one.positions.lineno if one.positions else None) or line
        if one.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            yield str(one.argval), line
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _stores(constant)


def _line_of(code: CodeType, name: str) -> int:
    """Return the first line of code that uses a name."""
    line = code.co_firstlineno
    for one in dis.get_instructions(code):
        line = (one.positions.lineno if one.positions else None) or line
        if one.argval == name and one.opname.startswith("LOAD_"):
            return line
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return next((_line_of(one, name) for one in inner if name in (*one.co_names, *one.co_freevars)), line)


def _place(code: CodeType, line: int) -> str:
    return f"in {code.co_qualname}, {PurePath(code.co_filename).name}:{line}"


def _cannot(name: str, held: Sequence[_Held], used: Mapping[str, Any], error: Exception) -> InvalidInput:
    """Build the error that names everything that cannot travel."""
    found: dict[int, str] = {}
    for one in held:
        if isinstance(one.value, (FunctionType, type)):
            continue
        culprit = _culprit(one.value, one.label, used)
        if culprit is not None:
            label, what, value = culprit
            found.setdefault(id(value), f"'{label}' is {what} ({one.where})")
    if not found:
        what = error.what if isinstance(error, Bound) else " ".join(str(error).split())[:200]
        found[0] = what
    lines = list(found.values())
    more = f"; and {len(lines) - _MOST_NAMED} more" if len(lines) > _MOST_NAMED else ""
    count = "something that exists" if len(lines) == 1 else f"{len(lines)} things that exist"
    return InvalidInput(
        f"'{name}' cannot travel: it uses {count} only in this process",
        why="; ".join(lines[:_MOST_NAMED]) + more,
        fix="make it inside the function, or make the model a class that makes it in load(self), where it is served",
    )


def _culprit(value: Any, label: str, used: Mapping[str, Any], depth: int = 0) -> tuple[str, str, Any] | None:
    """Return the innermost part of a value that cannot travel: its label, what it is, and it; None where all can."""
    try:
        carry(value, used)
    except UNWRITABLE as error:
        if depth < _DEEPEST and not bound_to_process(value):
            for part_label, part in _parts(value, label):
                found = _culprit(part, part_label, used, depth + 1)
                if found is not None:
                    return found
        kind = type(value)
        what = bound_to_process(value) or (error.what if isinstance(error, Bound) else "")
        return label, what or f"a {kind.__module__}.{kind.__qualname__}, which cannot be written", value
    return None
