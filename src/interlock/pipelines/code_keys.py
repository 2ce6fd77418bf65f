"""Find all the code a function depends on, and give each piece an id.

From the function the walk follows the global names its byte-code loads, attributes of modules (`module.func`),
closures, defaults, wrapped functions, methods, base classes, imports inside functions, and functions held in
constants. It goes into project code only; of a library it notes the distribution and its version. What it cannot
see: names made up at run time (`getattr(module, text)` counts as using the whole module), monkey-patching, and
state that functions change as they run.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.util
import re
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from interlock.core.bytecode import WHOLE, Import, Reading, read_code
from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of_value
from interlock.core.libraries import distribution_of
from interlock.core.origins import is_wrapper, origin_of
from interlock.pipelines.suspects import Suspecting, Suspects
from interlock.pipelines.value_keys import CODE_TYPES, ValueReader, short

_NOT_MEANING = frozenset(
    {
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__slotnames__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    }
)
_LOCAL = "<locals>"
_NAME = re.compile(r"[^\W\d]\w*")
_FOLLOWED = (*CODE_TYPES, dict, list, tuple, set, frozenset, str, int, float, bool, type(None))
"""What is read of the closure of a function that a library made; what else it holds is its own affair."""
_DESCRIPTORS = (GetSetDescriptorType, MemberDescriptorType)
_MISSING = "missing"
_absent = object()
_suspects: WeakKeyDictionary[FunctionType, Suspects] = WeakKeyDictionary()


class CodeKey(msgspec.Struct, frozen=True):
    """All the code that a function depends on.

    Args:
        symbols: Dotted name of each function, class, constant, default and closed-over value, to its kind and hash.
        libraries: Distribution to version, and `python` to its minor version.
        shown: Short readable values of the constants among the symbols.
        places: Where functions and classes are written: `features.py:12`.
        suspects: What may make the result depend on more than this.
    """

    symbols: dict[str, str]
    libraries: dict[str, str]
    shown: dict[str, str]
    places: dict[str, str] = {}
    suspects: Suspects = Suspects()


def code_key(root: Any) -> CodeKey:
    """Return everything that the meaning of a function or class depends on.

    Cost: 0.1 to 1 ms for a step of ordinary size.
    """
    walk = _Walk(project=_module_of(root).partition(".")[0])
    walk.visit(root)
    walk.finish()
    suspects = walk.suspecting.gathered()
    if isinstance(root, FunctionType):
        _suspects[root] = suspects
    libraries = dict(sorted(walk.libraries.items()))
    return CodeKey(walk.symbols, libraries, walk.shown, walk.places, suspects)


def suspects_of(root: Any) -> Suspects:
    """Return what to look at while a function runs, as its code was when last read in this process."""
    found = _suspects.get(root)
    return code_key(root).suspects if found is None else found


def content_id(value: Any) -> str:
    """Return the id of a value; functions and instances of project classes count with all their code.

    Example:
        >>> content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1})
        True
        >>> content_id(1) == content_id(True)
        False
    """
    return ValueReader(_code_id).digest(value)


def _code_id(value: Any) -> str:
    """Name a piece of code; one of the project's with a hash of everything it depends on."""
    if not isinstance(value, CODE_TYPES):
        return _code_id(value.__wrapped__)
    module = _module_of(value)
    name = module if isinstance(value, ModuleType) else f"{module}.{value.__qualname__}"
    if origin_of(module) != "project":
        return name
    return f"{name} {digest_of_value(code_key(value).symbols)}"


class _Walk:
    """One walk; `visit` names a piece of code at once and queues the reading of it, so cycles are harmless."""

    def __init__(self, project: str) -> None:
        self.symbols: dict[str, str] = {}
        self.libraries = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        self.shown: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.suspecting = Suspecting()
        self._reflects = False
        self._project = project
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._queue: deque[tuple[str, Any]] = deque()
        self._kept: list[Any] = []
        self._values = ValueReader(self.visit)

    def finish(self) -> None:
        """Read everything that was visited, and what that leads to."""
        while self._queue:
            name, piece = self._queue.popleft()
            if isinstance(piece, FunctionType):
                self._read_function(name, piece)
            elif isinstance(piece, ModuleType):
                self._read_module(name, piece)
            else:
                self._read_class(name, piece)
        if self._reflects:  # some of the code looks at annotations, so they mean something
            written = {self._names[id(piece)]: repr(getattr(piece, "__annotations__", None)) for piece in self._kept}
            self.symbols["annotations"] = "annotations:" + digest_of_value(written)

    def visit(self, piece: Any) -> str:
        """Name a function, class, module or wrapper."""
        if isinstance(piece, ModuleType):
            return self._enter(piece.__name__, piece.__name__, piece)
        if not isinstance(piece, (FunctionType, type, BuiltinFunctionType)):
            return self.visit(piece.__wrapped__)
        module = _module_of(piece)
        return self._enter(f"{module}.{piece.__qualname__}", module, piece)

    def _enter(self, name: str, module: str, piece: Any) -> str:
        if self._origin(module) != "project" or isinstance(piece, BuiltinFunctionType):
            self._note_library(module)
            if not isinstance(piece, FunctionType) or not piece.__closure__ or _LOCAL not in piece.__qualname__:
                return name
        known = self._names.get(id(piece))
        if known is not None:
            return known
        unique, count = name, 1
        while unique in self._taken:
            count += 1
            unique = f"{name}#{count}"
        self._names[id(piece)] = unique
        self._taken.add(unique)
        self._kept.append(piece)
        self._queue.append((unique, piece))
        return unique

    def _origin(self, module: str) -> str:
        return origin_of(module, project=self._project)

    def _note_library(self, module: str) -> None:
        if self._origin(module) == "library":
            owner = distribution_of(module)
            if owner is not None:
                self.libraries[owner[0]] = owner[1]

    def _read_function(self, name: str, function: FunctionType) -> None:
        reading = read_code(function.__code__)
        home = function.__globals__.get("__name__", "?")
        if self._origin(home) != "project":  # a library's wrapper around a function of the project
            self._note_library(home)
            reading = Reading((home, function.__qualname__), (), (), reading.locals, (), reflects=False)
            self._reflects |= self._origin(home) == "library" and hasattr(function, "__wrapped__")
        else:
            self.places[name] = f"{PurePath(function.__code__.co_filename).name}:{function.__code__.co_firstlineno}"
            self.suspecting.look(name, function, reading)
            self._reflects |= reading.reflects
        uses = {
            ".".join((use.name, *use.chain)): self._global(function, use.name, use.chain) for use in reading.globals
        }
        uses.update(self._closure(name, function, reading))
        for one in reading.imports:
            uses[f"import {'.' * one.level}{one.module} {one.name}"] = self._import(function, one, reading)
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            uses["wraps"] = self._symbol(f"{name}.__wrapped__", wrapped)
        constants = [self._token(constant) for constant in reading.constants]
        self.symbols[name] = "function:" + digest_of_value([reading.tokens, constants, uses])
        for parameter, value in _defaults(function).items():
            self._value("default", f"{name}.{parameter}", value)

    def _global(self, function: FunctionType, name: str, chain: Sequence[str]) -> str:
        space = function.__globals__
        if name in space:
            return self._follow(f"{space.get('__name__', '?')}.{name}", space[name], chain)
        return f"builtins.{name}" if hasattr(builtins, name) else _MISSING

    def _closure(self, name: str, function: FunctionType, reading: Reading) -> dict[str, str]:
        found = {}
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # the cell is filled only after the function that shares it was made
                continue
            if self._origin(function.__module__ or "") == "project" or isinstance(value, _FOLLOWED):
                found.update(self._bound(f"{name}[{variable}]", variable, value, reading))
        return found

    def _import(self, function: FunctionType, one: Import, reading: Reading) -> str:
        package = function.__globals__.get("__package__") or ""
        if one.level and not package:
            return _MISSING
        module = importlib.util.resolve_name("." * one.level + one.module, package) if one.level else one.module
        if self._origin(module) != "project":
            self._note_library(module)
            return module
        try:
            value: Any = importlib.import_module(module)
            if one.name is not None:
                value = getattr(value, one.name, _absent)
                value = importlib.import_module(f"{module}.{one.name}") if value is _absent else value
        except ImportError:
            return _MISSING
        label = f"{module}.{one.name}" if one.name else module
        if one.bound == WHOLE:
            return self._symbol(label, value)
        return ",".join(sorted(self._bound(label, one.bound, value, reading).values()))

    def _bound(self, label: str, variable: str, value: Any, reading: Reading) -> dict[str, str]:
        """Follow a local variable that is known to hold a value: module by module, or the value itself."""
        if not isinstance(value, ModuleType):
            return {label: self._symbol(label, value, kind="closure")}
        chains = [use.chain for use in reading.locals if use.name == variable]
        return {".".join((label, *chain)): self._follow(label, value, chain) for chain in chains}

    def _follow(self, label: str, value: Any, chain: Sequence[str]) -> str:
        for attribute in chain:
            if not isinstance(value, ModuleType):
                break
            if self._origin(value.__name__) != "project":
                self._note_library(value.__name__)
                return f"{value.__name__}.{attribute}"
            label = f"{value.__name__}.{attribute}"
            value = getattr(value, attribute, _absent)
            if value is _absent:
                return _MISSING
        return self._symbol(label, value)

    def _symbol(self, label: str, value: Any, *, kind: str = "constant") -> str:
        if isinstance(value, CODE_TYPES) or is_wrapper(value):
            return self.visit(value)
        self._value(kind, label, value)
        return label

    def _value(self, kind: str, label: str, value: Any) -> None:
        if label not in self.symbols:
            self.symbols[label] = f"{kind}:{self._token(value)}"
            self.shown[label] = short(value)
            self.suspecting.constant(value)

    def _token(self, value: Any) -> str:
        try:
            return self._values.digest(value)
        except InvalidInput:  # a lock, an open file: it has no content that could change
            return f"{type(value).__module__}.{type(value).__qualname__}"

    def _read_class(self, name: str, cls: type) -> None:
        members: dict[str, str] = {}
        for attribute, value in sorted(vars(cls).items()):
            if attribute in _NOT_MEANING or isinstance(value, _DESCRIPTORS):
                continue
            functions = _functions_of(value)
            if functions:
                members[attribute] = ",".join([type(value).__name__, *map(self.visit, functions)])
            else:
                members[attribute] = self._token(value)
        members.update(self._declared(cls))
        ancestors = [self.visit(base) for base in cls.__bases__] + [self.visit(type(cls))]
        self.symbols[name] = "class:" + digest_of_value([members, ancestors])

    def _declared(self, cls: type) -> dict[str, str]:
        """Return what libraries make of a class's fields; of a plain class annotations mean nothing."""
        found = {}
        if issubclass(cls, msgspec.Struct):
            found["defaults"] = self._token(list(cls.__struct_defaults__))
            config = cls.__struct_config__
            chosen = {name: getattr(config, name) for name in dir(config) if not name.startswith("_")}
            found["config"] = self._token([chosen, list(cls.__struct_encode_fields__)])
        for field in vars(cls).get("__dataclass_fields__", {}).values():
            if field.metadata:
                found[f"metadata of {field.name}"] = self._token(dict(field.metadata))
        makers = [type(cls), *cls.__mro__[1:]]
        if any(self._origin(_module_of(maker)) == "library" for maker in makers) or hasattr(cls, "__attrs_attrs__"):
            written = vars(cls).get("__annotations__", {})
            found["annotations"] = self._token([[name, self._annotation(cls, one)] for name, one in written.items()])
        return found

    def _annotation(self, cls: type, annotation: Any) -> Any:
        """Return an annotation; one written as a text brings the classes of the project that it names."""
        if not isinstance(annotation, str):
            return annotation
        space = vars(sys.modules.get(cls.__module__, builtins))
        named = [space.get(name) for name in _NAME.findall(annotation)]
        return [annotation, *(self.visit(one) for one in named if isinstance(one, type))]

    def _read_module(self, name: str, module: ModuleType) -> None:
        uses = {}
        for attribute, value in sorted(vars(module).items()):
            if not attribute.startswith("__"):
                uses[attribute] = self._symbol(f"{name}.{attribute}", value)
        self.symbols[name] = "module:" + digest_of_value(uses)


def _module_of(piece: Any) -> str:
    """Return the dotted name of a piece's module; some builtins have none, and some classes hide it."""
    module = piece.__name__ if isinstance(piece, ModuleType) else piece.__module__
    return module if isinstance(module, str) else "builtins"


def _functions_of(value: Any) -> list[Any]:
    """Return the functions behind a member of a class; none for a plain value."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        return [one for one in (value.fget, value.fset, value.fdel) if one is not None]
    if isinstance(value, functools.cached_property):
        return [value.func]
    return [value] if isinstance(value, (FunctionType, type, BuiltinFunctionType)) else []


def _defaults(function: FunctionType) -> Mapping[str, Any]:
    code = function.__code__
    given = function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    found = dict(zip(names[len(names) - len(given) :], given, strict=True))
    return {**found, **(function.__kwdefaults__ or {})}
