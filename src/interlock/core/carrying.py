"""Write an object with the project code it needs, and read it back where that code is not installed.

Functions and classes of the project, of a notebook or of a script are written whole; those of installed libraries by
their names. What is read back lives in a world of its own: two versions of one helper module never meet, and nothing
of the process that reads is replaced.
"""

from __future__ import annotations

import builtins
import functools
import importlib.util
import io
import pickle
import socket
import sys
import threading
import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as _cloud

from interlock.core.origins import origin_of

UNWRITABLE = (pickle.PicklingError, AttributeError, TypeError, ValueError, RecursionError, NotImplementedError)
"""What writing an object raises that cannot be written."""
UNREADABLE = (
    pickle.UnpicklingError,
    ImportError,
    AttributeError,
    TypeError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
)
"""What reading raises where a library is missing, or is another version."""

_MAKERS = ("_make_function", "_function_setstate", "_make_skeleton_class", "_make_skeleton_enum")
_registering = threading.RLock()


class Bound(pickle.PicklingError):
    """An object that lives only in its process.

    Args:
        value: The object.
        what: What it is, in words (`an open file`).
    """

    def __init__(self, value: Any, what: str) -> None:
        super().__init__(f"{what} cannot leave its process")
        self.value = value
        self.what = what


def bound_to_process(value: Any) -> str:
    """Say in words why an object cannot leave its process; nothing if that is not known of it.

    Example:
        >>> bound_to_process(x for x in "abc"), bound_to_process("abc")
        ('a generator', '')
    """
    for kinds, what in _BOUND:
        if isinstance(value, kinds) and not isinstance(value, (io.StringIO, io.BytesIO)):
            return what
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if home == "interlock" and kind.__name__ in ("Workspace", "Models", "Loop", "ActiveRun"):
        return "an open workspace"
    if home in ("torch", "cupy", "jax", "jaxlib") and "cuda" in str(getattr(value, "device", "")):
        return "an array on a GPU"
    if kind.__module__ in ("torch.cuda.streams", "cupy.cuda.stream"):
        return "a GPU handle"
    if kind.__name__ in ("Connection", "Cursor", "Engine", "AsyncConnection") and origin_of(home) != "project":
        return "a live connection"
    return ""


_BOUND: tuple[tuple[Any, str], ...] = (
    (io.IOBase, "an open file"),
    (socket.socket, "an open socket"),
    ((type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event), "a lock"),
    (threading.Thread, "a running thread"),
    (types.GeneratorType, "a generator"),
    ((types.CoroutineType, types.AsyncGeneratorType), "a running coroutine"),
    ((types.FrameType, types.TracebackType), "a part of a running program"),
)


def carry(
    value: Any, used: Mapping[str, Collection[str] | None], imported: Collection[str] = ()
) -> tuple[bytes, set[str]]:
    """Return an object as bytes with the project code it needs, and the modules whose libraries it needs.

    Args:
        value: The object.
        used: Of each module of the project, which of its names are used; None for all of them.
        imported: Modules of the project that functions import while they run.

    Raises:
        Bound: Something in it lives only in this process.
        PicklingError: Something in it cannot be written; so do `TypeError` and the others of `UNWRITABLE`.
    """
    sink = io.BytesIO()
    pickler = _Pickler(sink, used)
    modules = [sys.modules[name] for name in sorted(imported) if name in sys.modules]
    with pickler.by_value():
        pickler.dump((modules, value))
    return sink.getvalue(), pickler.homes


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # the library has no types
    """Writes code of the project by value, and notes where everything else comes from."""

    def __init__(self, sink: io.BytesIO, used: Mapping[str, Collection[str] | None]) -> None:
        super().__init__(sink, protocol=5)
        self.homes: set[str] = set()
        self._used = used
        self._registered: list[types.ModuleType] = []

    @contextmanager
    def by_value(self) -> Iterator[None]:
        """Let cloudpickle write the project's functions and classes whole; its list of such modules is global."""
        with _registering:
            try:
                yield
            finally:
                for module in self._registered:
                    cloudpickle.unregister_pickle_by_value(module)

    def reducer_override(self, obj: Any) -> Any:
        """Say how an object is written."""
        if what := bound_to_process(obj):
            raise Bound(obj, what)
        if isinstance(obj, types.ModuleType):
            return self._module(obj)
        if isinstance(obj, functools._lru_cache_wrapper):
            if self._is_carried(getattr(obj, "__module__", None)):
                size = obj.cache_parameters()
                return _cached, (obj.__wrapped__, size["maxsize"], size["typed"])
        elif type(obj) is functools.cached_property:
            # until Python 3.12 it holds a lock
            return _cached_property, (obj.func, obj.attrname)
        elif isinstance(obj, (types.FunctionType, type)):
            self._is_carried(obj.__module__)
        else:
            self._note(type(obj).__module__)
        return super().reducer_override(obj)

    def _is_carried(self, name: Any) -> bool:
        """Say whether a module's code is written whole, and see to it."""
        if not isinstance(name, str) or origin_of(name) != "project":
            self._note(name)
            return False
        module = sys.modules.get(name)
        if module is not None and name not in cloudpickle.list_registry_pickle_by_value() and name != "__main__":
            cloudpickle.register_pickle_by_value(module)
            self._registered.append(module)
        return True

    def _note(self, name: Any) -> None:
        if isinstance(name, str):
            self.homes.add(name.partition(".")[0])

    def _module(self, module: types.ModuleType) -> Any:
        name = module.__name__
        if origin_of(name) != "project":
            self._note(name)
            return _import, (name,)
        path = getattr(module, "__file__", None) or ""
        if path.endswith((".so", ".pyd")):
            raise Bound(module, "a compiled module that no library brings")
        return _make_module, (name, getattr(module, "__package__", "") or ""), self._contents(module), None, None, _fill

    def _contents(self, module: types.ModuleType) -> dict[str, Any]:
        names = self._used.get(module.__name__)
        everything = vars(module)
        if names is None:
            names = [name for name in everything if not name.startswith("__") and _can_travel(everything[name])]
        return {name: everything[name] for name in names if name in everything}


def _can_travel(value: Any) -> bool:
    """Say whether a value that may not even be used can be written; code is taken at its word."""
    if isinstance(value, (types.ModuleType, types.FunctionType, type)):
        return not isinstance(value, types.ModuleType) or origin_of(value.__name__) != "project"
    try:
        cloudpickle.dumps(value)
    except UNWRITABLE:
        return False
    return not bound_to_process(value)


def read_carried(data: bytes) -> Any:
    """Return a written object; it runs the code in it, so the bytes have to be known to be one's own.

    Raises:
        ImportError: A library that it needs is not installed; so do `AttributeError` and the others of `UNREADABLE`.
    """
    return _Unpickler(io.BytesIO(data)).load()[1]


class _Unpickler(pickle.Unpickler):
    """Reads code into a world of its own, in which the project's modules are those that were written."""

    def __init__(self, source: io.BytesIO) -> None:
        super().__init__(source)
        self._modules: dict[str, types.ModuleType] = {}
        self._builtins = {**vars(builtins), "__import__": self._import}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return a global by name: of a carried module the one that was carried, of a library the installed one."""
        if module_name == _cloud.__name__ and global_name in _MAKERS:
            return getattr(self, global_name)
        if module_name == __name__ and global_name == "_make_module":
            return self._make_module
        if module_name in self._modules:
            return functools.reduce(getattr, global_name.split("."), self._modules[module_name])
        return super().find_class(module_name, global_name)

    def _make_module(self, name: str, package: str) -> types.ModuleType:
        module = types.ModuleType(name)
        module.__package__ = package
        vars(module)["__builtins__"] = self._builtins
        self._modules[name] = module
        return module

    def _make_function(self, code: types.CodeType, space: dict[str, Any], name: Any, defaults: Any, cells: Any) -> Any:
        space["__builtins__"] = self._builtins
        return types.FunctionType(code, space, name, defaults, cells)

    def _function_setstate(self, function: types.FunctionType, state: Any) -> None:
        _cloud._function_setstate(function, state)
        function.__globals__["__builtins__"] = self._builtins

    # a class that this process knows already is not touched: it may belong to the notebook, or to another version
    def _make_skeleton_class(self, kind: Any, name: str, bases: Any, extra: Any, tracker: Any, more: Any) -> Any:
        return _cloud._make_skeleton_class(kind, name, bases, extra, None, more)

    def _make_skeleton_enum(
        self, bases: Any, name: str, qualname: str, members: Any, module: str, tracker: Any, more: Any
    ) -> Any:
        return _cloud._make_skeleton_enum(bases, name, qualname, members, module, None, more)

    def _import(
        self, name: str, space: Any = None, local: Any = None, wanted: Any = (), level: int = 0
    ) -> types.ModuleType:
        full = name
        if level:
            package = (space or {}).get("__package__") or ""
            full = importlib.util.resolve_name("." * level + name, package)
        if full not in self._modules:
            return builtins.__import__(name, space, local, wanted, level)
        for one in wanted or ():
            child = self._modules.get(f"{full}.{one}")
            if child is not None and not hasattr(self._modules[full], one):
                setattr(self._modules[full], one, child)
        return self._modules[full] if wanted else self._top(full)

    def _top(self, full: str) -> types.ModuleType:
        """Return what `import package.module` binds: the package, with its modules in it."""
        above = full
        while "." in above:
            above, _, last = above.rpartition(".")
            parent = self._modules.get(above) or self._make_module(above, above)
            setattr(parent, last, self._modules[f"{above}.{last}"])
        return self._modules[above]


def _make_module(name: str, package: str) -> types.ModuleType:
    raise pickle.UnpicklingError(f"the module {name} can be read by interlock only")


def _fill(module: types.ModuleType, contents: dict[str, Any]) -> None:
    vars(module).update(contents)


def _cached(function: Any, size: int | None, typed: bool) -> Any:
    return functools.lru_cache(size, typed)(function)


def _cached_property(function: Any, name: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def _import(name: str) -> types.ModuleType:
    __import__(name)
    return sys.modules[name]
