"""What one running step touches: told by the audit hook, summed up when the step has ended.

What libraries do on their own account does not count: of the environment and programs only what the project's own code
reads, of files nothing below the installation, and nothing that a module does as it is imported.
"""

# ruff: noqa: PTH100, PTH109, PTH112, PTH116, PTH118, PTH119, PTH208
from __future__ import annotations

import logging
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

import msgspec

from interlock.core.origins import Origin, origin_of
from interlock.pipelines.suspects import Suspects, may_name_file
from interlock.pipelines.touched import ABSENT, UNSTEADY, folder_state, look, stamp_of, thing
from interlock.pipelines.witnesses import Witness, drawn, states_of_chance
from interlock.ports.step_cache import Touched

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_IMPORTER = "<frozen importlib"
_SOURCES = (".py", ".pyc", ".pyi", ".so", ".pyd", ".pth")
_DRAWN = "random: drawn from the shared generator of"
_KINDS = {"file": "the file", "folder": "the names in folder", "tree": "folder", "env": "the environment variable"}
_log = logging.getLogger("interlock.pipelines")
_told: set[tuple[str, str]] = set()


class Findings(msgspec.Struct, frozen=True):
    """What was seen while a step ran.

    Args:
        touched: What it read besides its inputs, and what that was like.
        undeclared: Those among them of which no argument speaks.
        doubts: Why executing it again might give something else.
    """

    touched: tuple[Touched, ...] = ()
    undeclared: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def tell(step: str, findings: Findings) -> None:
    """Warn, once per process, of each thing that a step read without having been given it."""
    for name in findings.undeclared:
        if (step, name) not in _told:
            _told.add((step, name))
            kind, _, what = name.partition(":")
            _log.warning(
                "step %s read %s %s, which is not among its arguments; its state is now part of what its result "
                "depends on. Pass it as an argument to say so.",
                step,
                _KINDS[kind],
                what,
            )


class Watch:
    """What one running step has touched so far.

    Args:
        project: Top-level package of the step.
        suspects: What its code makes suspicious.
        arguments: What it was called with.
        secrets: Environment variables that it was handed in confidence, of which nothing is noted.
        own: A folder that is the step's own, what it keeps there being no input.
    """

    def __init__(
        self,
        project: str,
        suspects: Suspects,
        arguments: Mapping[str, Any],
        *,
        secrets: Collection[str] = (),
        own: str = "",
    ) -> None:
        self._secrets = frozenset(secrets)
        self._own = own
        self.thread = threading.get_ident()
        self._origin_of: Callable[[str], Origin] = _origins(project)
        self._suspects = suspects
        self._given = {os.path.abspath(path): path for path in _paths_in(arguments)}
        self._stamps: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self._variables: dict[str, None] = {}
        self._trees: dict[str, None] = {}
        self._written: set[str] = set()
        self._doubts: dict[str, None] = {}
        self._named = {path: stamp for path in (*self._given, *suspects.paths) if (stamp := stamp_of(path))}
        self._forked = False
        self.witness = Witness(suspects.doubts)
        self._chance = states_of_chance()
        self._drawn: dict[str, None] = {}

    def findings(self) -> Findings:
        """Sum up what was seen; to be called when the step has ended."""
        touched = {one.name: one for one in self._files()}
        for path, state in self._folders.items():
            name = thing("folder", path)
            touched[name] = Touched(name, state)
        for name in (*(f"env:{variable}" for variable in self._variables), *self._trees):
            touched[name] = look(name)
        given = {thing(kind, path) for path in self._given for kind in ("file", "folder", "tree")}
        quiet = {thing("file", path) for path in self._named if os.path.abspath(path) not in self._stamps}
        doubts = [*self._doubts, *self.witness.reached(pessimistic=self._forked)]
        self.imported(states_of_chance(), {})
        doubts += [f"{_DRAWN} {name} without a seed" for name in self._drawn if name not in self._suspects.seeds]
        undeclared = tuple(name for name in touched if name not in given | quiet and name not in self._trees)
        return Findings(tuple(touched.values()), undeclared, tuple(dict.fromkeys(doubts)))

    def opened(self, path: Any, mode: Any, flags: Any) -> None:
        """Take note of a file that is being opened."""
        if isinstance(path, int) or not isinstance(path, (str, bytes, os.PathLike)):
            return
        whole = os.path.abspath(os.fsdecode(path))
        if _is_system(whole) or self._is_own(whole):
            return
        frame = self._who()
        if frame is None or (whole.endswith(_SOURCES) and self._origin(frame) != "project"):
            return
        if _writes(mode, flags):
            self._written.add(whole)
            if isinstance(mode, str) and "w" in mode and "+" not in mode:
                return
        if whole not in self._written or (_keeps(mode, flags) and stamp_of(whole)):
            self._stamps.setdefault(whole, stamp_of(whole))

    def listed(self, path: Any) -> None:
        """Take note of a folder whose names are being read."""
        if isinstance(path, int) or (path is not None and not isinstance(path, (str, bytes, os.PathLike))):
            return
        whole = os.path.abspath(os.fsdecode(path)) if path else os.getcwd()
        if not (_is_system(whole) or self._is_own(whole)) and whole not in self._folders and self._who() is not None:
            self._folders[whole] = folder_state(whole)

    def asked(self, variable: str) -> None:
        """Take note of an environment variable that is being read."""
        if variable in self._secrets:
            return
        frame = self._who()
        if frame is not None and self._origin(frame) == "project" and _speaks_of_environment(frame):
            self._variables[variable] = None

    def connected(self, where: str) -> None:
        """Take note of a connection to another machine."""
        frame = self._who()
        if frame is not None:
            self._doubts[f"network: {where}{_at(frame)}"] = None

    def started(self, program: str) -> None:
        """Take note of a program that is being started."""
        self._forked = True
        frame = self._who()
        if frame is not None and self._origin(frame) == "project":
            self._doubts[f"program: {program}{_at(frame)}"] = None

    def imported(self, before: Mapping[str, Any], after: dict[str, Any]) -> None:
        """Take note that shared generators were left in one state, and that an import has brought them to another."""
        self._drawn.update(dict.fromkeys(drawn(self._chance, before)))
        self._chance = after

    def forked(self) -> None:
        """Take note that other processes do part of the work, which cannot be watched."""
        self._forked = True

    def randomised(self) -> None:
        """Take note of a seed taken from the machine's own source of chance."""
        frame = self._who()
        if frame is not None:
            self._doubts[f"random: drawn without a seed{_at(frame)}"] = None

    def declared(self, path: str) -> None:
        """Take note of a file or folder that the step says it reads."""
        self._trees[thing("tree" if os.path.isdir(path) else "file", path)] = None

    def _is_own(self, path: str) -> bool:
        return bool(self._own) and path.startswith(self._own)

    def _files(self) -> Iterator[Touched]:
        for path, stamp in self._stamps.items():
            name = thing("file", path)
            now = stamp_of(path)
            if now == stamp:
                yield look(name) if stamp else Touched(name, ABSENT)
            elif stamp and (now or path not in self._written):
                yield Touched(name, UNSTEADY)
            elif now and path not in self._written and not stamp:
                yield Touched(name, ABSENT)  # it was not there when the step looked for it
        for path, stamp in self._named.items():
            whole = os.path.abspath(path)
            # a reader written in C++ or Rust raises no event; a file that the step itself wrote is no input
            seen = whole in self._stamps or whole in self._written or _is_system(whole)
            if not seen and stamp_of(path) == stamp:
                yield look(thing("file", path))

    def _who(self) -> FrameType | None:
        """Return the frame outside of Python's own library that does this; None if it is not the step's doing."""
        frame: FrameType | None = sys._getframe(2)
        nearest = None
        while frame is not None:
            if frame.f_code.co_filename.startswith(_IMPORTER):
                return None
            module = frame.f_globals.get("__name__", "")
            origin = self._origin_of(module)
            if origin != "python" and module not in _OWN:
                if module.partition(".")[0] == "interlock" and origin == "library":
                    return None
                nearest = frame
                break
            frame = frame.f_back
        own = threading.get_ident() == self.thread
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if frame.f_code.co_filename.startswith(_IMPORTER):
                return None  # what a module does as it is imported is done once, and is in its constants
            if self._origin(frame) == "project":
                own = True  # in another thread it counts if the project's code is at work
            elif module.startswith("interlock.") and module not in _OWN:
                break
            frame = frame.f_back
        return nearest if own else None

    def _origin(self, frame: FrameType) -> Origin:
        return self._origin_of(frame.f_globals.get("__name__", ""))


@lru_cache(maxsize=64)
def _origins(project: str) -> Callable[[str], Origin]:
    @lru_cache(maxsize=4096)
    def origin(module: str) -> Origin:
        return origin_of(module, project=project) if module else "python"

    return origin


_OWN = frozenset(f"interlock.pipelines.{name}" for name in ("environs", "watches", "watching", "witnesses"))


@lru_cache(maxsize=1)
def _system() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if sys.prefix != sys.base_prefix:
        paths.add(sys.prefix)
    own = {path.rstrip(os.sep) + os.sep for path in paths if path}
    return (*sorted(own), "/proc/", "/sys/", "/dev/", "/etc/", "/usr/share/", "/usr/lib/", "/usr/lib64/")


def _is_system(path: str) -> bool:
    return path.startswith(_system()) or "site-packages" in path or "dist-packages" in path


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def _keeps(mode: Any, flags: Any) -> bool:
    """Say whether what was there can also be read."""
    if isinstance(mode, str):
        return "+" in mode and "w" not in mode
    return isinstance(flags, int) and bool(flags & os.O_RDWR) and not flags & os.O_TRUNC


def _at(frame: FrameType) -> str:
    return f" in {frame.f_globals.get('__name__', '?')} ({os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno})"


def _speaks_of_environment(frame: FrameType) -> bool:
    """Say whether a frame's own code reads the environment, and not a compiled library that it has called."""
    names = frame.f_code.co_names
    if "environ" in names or "getenv" in names:
        return True
    values = (*(frame.f_globals.get(name) for name in names), *frame.f_locals.values())
    return any(value is os.environ or value is os.getenv for value in values)


def _paths_in(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        if may_name_file(value):
            yield value
    elif isinstance(value, os.PathLike):
        yield os.fsdecode(value)
    elif depth < 3 and isinstance(value, (list, tuple, set, frozenset)) and len(value) <= 1000:
        for item in value:
            yield from _paths_in(item, depth + 1)
    elif depth < 3 and isinstance(value, Mapping) and len(value) <= 1000:
        for item in value.values():
            yield from _paths_in(item, depth + 1)
