"""Put wrappers around functions of other libraries, as soon as those are imported, and take them off again."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Around = Callable[..., Any]
"""Called with the original function, its positional and its keyword arguments; returns what the caller gets."""


class Patches:
    """The wrappers around the functions of one library."""

    def __init__(self) -> None:
        self.active = True
        self._undo: list[Callable[[], None]] = []
        self._wrapped: set[tuple[int, str]] = set()

    def wrap(self, owner: Any, name: str, around: Around) -> None:
        """Have a function of a class or module go through another one; once, and only where it is the owner's own."""
        original = vars(owner).get(name)
        if original is None or not callable(original) or (id(owner), name) in self._wrapped:
            return

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not self.active:
                return original(*args, **kwargs)
            return around(original, args, kwargs)

        self._wrapped.add((id(owner), name))
        setattr(owner, name, wrapper)

        def restore() -> None:
            # somebody who wrapped this wrapper keeps it; inactive it only passes on
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)

        self._undo.append(restore)

    def wrap_family(self, root: type, name: str, around: Around, *, unless: Callable[[type], bool]) -> None:
        """Have a method of a class and of all classes below it, now and later, go through a function."""

        def visit(cls: type) -> None:
            if self.active and not unless(cls):
                self.wrap(cls, name, around)

        waiting = [root]
        seen: set[type] = set()
        while waiting:
            cls = waiting.pop()
            if cls not in seen:
                seen.add(cls)
                visit(cls)
                waiting += type.__subclasses__(cls)
        self._watch_subclasses(root, visit)

    def _watch_subclasses(self, root: Any, visit: Callable[[type], None]) -> None:
        own = vars(root).get("__init_subclass__")

        def init_subclass(cls: Any, /, **kwargs: Any) -> None:
            if own is not None:
                own.__get__(None, cls)(**kwargs)
            else:
                super(root, cls).__init_subclass__(**kwargs)
            visit(cls)

        root.__init_subclass__ = classmethod(init_subclass)

        def restore() -> None:
            if own is not None:
                root.__init_subclass__ = own
            else:
                del root.__init_subclass__

        self._undo.append(restore)

    def undo(self) -> None:
        """Take all wrappers off."""
        self.active = False
        while self._undo:
            self._undo.pop()()
        self._wrapped.clear()


class Imports(MetaPathFinder):
    """Calls back when modules have been imported; for those that are there already, at once."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Callable[[ModuleType], None]]] = {}

    def when_imported(self, name: str, then: Callable[[ModuleType], None]) -> None:
        """Call with the module, now or when it has been imported."""
        module = sys.modules.get(name)
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            then(module)
            return
        self._waiting.setdefault(name, []).append(then)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def forget(self) -> None:
        """Wait for nothing any more."""
        self._waiting.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that is waited for as everybody else does, and see to it that its import is noticed."""
        then = self._waiting.pop(fullname, None)
        if then is None:
            return None
        spec = importlib.util.find_spec(fullname)
        loader: Any = spec.loader if spec is not None else None
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for one in then:
                one(module)

        loader.exec_module = exec_module
        return spec
