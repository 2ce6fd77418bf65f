"""Watch what a step really touches while it runs: files, folders, environment, network, programs, chance.

One audit hook is put in at the first step and does nothing unless a step is running. Files that a step reads without
having been given them become part of what its record depends on; the network, the clock and unseeded random numbers
make its result one that is not reused.
"""

from __future__ import annotations

import builtins
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from interlock.pipelines.code_keys import suspects_of
from interlock.pipelines.environs import watch_environment
from interlock.pipelines.watches import Watch
from interlock.pipelines.witnesses import Witness, states_of_chance

_active: list[Watch] = []
_inside = threading.local()


@contextmanager
def watched(
    function: Callable[..., Any], arguments: Mapping[str, Any], *, secrets: Collection[str] = (), own: str = ""
) -> Iterator[Watch]:
    """Watch a step's function, and threads that it starts, until the block ends.

    Args:
        function: What is about to be called in this thread.
        arguments: What with.
        secrets: Environment variables that it is handed in confidence.
        own: A folder that is the step's own.

    Cost: 30 µs where nothing is touched.
    """
    _install()
    watch = Watch(function.__module__.partition(".")[0], suspects_of(function), arguments, secrets=secrets, own=own)
    _active.append(watch)
    watch.witness.start()
    try:
        yield watch
    finally:
        watch.witness.stop()
        _active.remove(watch)


def reads(*paths: str | os.PathLike[str]) -> None:
    """Say inside a step that its result depends on files, or on all files of folders, that nobody can see it read.

    Example:
        >>> reads("data/weather")  # read by a program or a library of which Python hears nothing
    """
    for watch in _mine():
        for path in paths:
            watch.declared(os.fspath(path))


def _mine() -> list[Watch]:
    """Return the watches of this thread; of a thread that no step runs in, all of them."""
    own = [watch for watch in _active if watch.thread == threading.get_ident()]
    return own[-1:] or list(_active)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _active:
        return
    handler = _EVENTS.get(event)
    if handler is None or getattr(_inside, "hook", False):
        return
    _inside.hook = True
    try:
        for watch in _mine():
            handler(watch, args)
    finally:
        _inside.hook = False


_hook.__cantrace__ = True  # type: ignore[attr-defined]  # so that debuggers and coverage tools see it


def _on_variable(variable: str) -> None:
    if _active and not getattr(_inside, "hook", False):
        _inside.hook = True
        try:
            for watch in _mine():
                watch.asked(variable)
        finally:
            _inside.hook = False


def _on_entropy() -> None:
    if _active:
        for watch in _mine():
            watch.randomised()


def _import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """Import, and keep what modules draw at random as they are imported apart from what the step draws."""
    if not _active or getattr(_inside, "imports", False) or (level == 0 and not fromlist and name in sys.modules):
        return _real_import(name, globals, locals, fromlist, level)
    _inside.imports = True
    before = states_of_chance()
    try:
        return _real_import(name, globals, locals, fromlist, level)
    finally:
        _inside.imports = False
        after = states_of_chance()
        if after != before:
            for watch in _mine():
                watch.imported(before, dict(after))


_real_import = builtins.__import__


def _on_connect(watch: Watch, args: tuple[Any, ...]) -> None:
    address = args[1]
    if isinstance(address, tuple) and len(address) >= 2:
        watch.connected(f"{address[0]}:{address[1]}")


def _on_database(watch: Watch, args: tuple[Any, ...]) -> None:
    path = args[0]
    if isinstance(path, (str, bytes)) and os.fsdecode(path) not in ("", ":memory:"):
        name = os.fsdecode(path)
        if name.startswith("file:"):
            name = name[5:].partition("?")[0]
        watch.opened(name, "r", 0)


def _on_program(watch: Watch, args: tuple[Any, ...]) -> None:
    program = args[0]
    if not isinstance(program, (str, bytes, os.PathLike)) and len(args) > 1 and args[1]:
        program = args[1][0] if isinstance(args[1], (list, tuple)) else args[1]
    watch.started(PurePath(os.fsdecode(program)).name if isinstance(program, (str, bytes, os.PathLike)) else "?")


_EVENTS: dict[str, Callable[[Watch, tuple[Any, ...]], None]] = {
    "open": lambda watch, args: watch.opened(*args[:3]),
    "os.listdir": lambda watch, args: watch.listed(args[0] if args else None),
    "os.scandir": lambda watch, args: watch.listed(args[0] if args else None),
    "sqlite3.connect": _on_database,
    "socket.connect": _on_connect,
    "subprocess.Popen": _on_program,
    "os.system": _on_program,
    "os.posix_spawn": _on_program,
    "os.fork": lambda watch, _: watch.forked(),
    "os.forkpty": lambda watch, _: watch.forked(),
}


@lru_cache(maxsize=1)
def _install() -> None:
    """Put in the audit hook and the watched environment, once per process; neither can be taken out again."""
    sys.addaudithook(_hook)
    builtins.__import__ = _import
    watch_environment(_on_variable)
    Witness.on_entropy(_on_entropy)
