"""Find in a step's code what may make its result depend on more than its inputs: the clock, chance, and files by name.

The walk over the code hands in every name that is used; what is noted here is only suspected. Whether the lines with
the clock are reached, and whether the files are read, is seen when the step runs.
"""

from __future__ import annotations

import datetime
import dis
import importlib
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import PurePath
from types import BuiltinFunctionType, BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Literal

import msgspec

from interlock.core.bytecode import Import, Reading, Use

Chance = Literal["clock", "random"]

_SOURCES: dict[Any, tuple[Chance, str]] = {
    time.time: ("clock", "time.time"),
    time.time_ns: ("clock", "time.time_ns"),
    time.localtime: ("clock", "time.localtime"),
    time.gmtime: ("clock", "time.gmtime"),
    time.ctime: ("clock", "time.ctime"),
    datetime.datetime.now: ("clock", "datetime.now"),
    datetime.datetime.utcnow: ("clock", "datetime.utcnow"),
    datetime.datetime.today: ("clock", "datetime.today"),
    datetime.date.today: ("clock", "date.today"),
    os.urandom: ("random", "os.urandom"),
    uuid.uuid1: ("random", "uuid.uuid1"),
    uuid.uuid4: ("random", "uuid.uuid4"),
    secrets.token_bytes: ("random", "secrets.token_bytes"),
    secrets.token_hex: ("random", "secrets.token_hex"),
    secrets.token_urlsafe: ("random", "secrets.token_urlsafe"),
    random.Random: ("random", "random.Random"),
}
"""What gives another answer each time; durations (`perf_counter`, `monotonic`) are for logs and do not count."""

_UNLESS_SEEDED = frozenset({"random.Random", "time.localtime", "time.gmtime", "time.ctime"})
"""Counts only when called with nothing: with an argument it says the same every time."""

_MODULES = frozenset({"datetime", "numpy", "os", "pandas", "random", "secrets", "time", "uuid"})
_HASHABLE = (BuiltinFunctionType, BuiltinMethodType, FunctionType, MethodType, type)
_SKIPPED = ("CACHE", "PRECALL", "PUSH_NULL", "RESUME", "EXTENDED_ARG")
_LONGEST_PATH = 1024


class Doubt(msgspec.Struct, frozen=True):
    """A line that makes a result differ from one run to the next, if it is reached.

    Args:
        kind: What it depends on.
        what: The function that is called.
        symbol: The function of the project that the line is in.
        file: Its file, as the code names it.
        line: The line.
    """

    kind: Chance
    what: str
    symbol: str
    file: str
    line: int


class Suspects(msgspec.Struct, frozen=True):
    """What to look at while a step runs.

    Args:
        doubts: Lines that read the clock or draw at random.
        seeds: Global generators that the code seeds: `random`, `numpy`.
        paths: Texts and paths among the constants that could name a file.
    """

    doubts: tuple[Doubt, ...] = ()
    seeds: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Suspecting:
    """Gathers suspects during one walk over code."""

    def __init__(self) -> None:
        self._doubts: dict[Doubt, None] = {}
        self._seeds: set[str] = set()
        self._paths: dict[str, None] = {}

    def gathered(self) -> Suspects:
        """Return what was found."""
        return Suspects(tuple(self._doubts), tuple(sorted(self._seeds)), tuple(self._paths))

    def look(self, symbol: str, function: FunctionType, reading: Reading) -> None:
        """Look at one function of the project."""
        space = function.__globals__
        for use in reading.globals:
            if use.name in space:
                self._weigh(symbol, function, use, space[use.name])
        bound = dict(_bound_imports(reading.imports))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                bound.setdefault(name, cell.cell_contents)
            except ValueError:  # not filled yet
                continue
        if bound:
            for use in reading.locals:
                if use.name in bound:
                    self._weigh(symbol, function, use, bound[use.name])
        for constant in reading.constants:
            self.constant(constant)

    def constant(self, value: Any) -> None:
        """Note a constant that could name a file."""
        if isinstance(value, PurePath):
            self._paths[str(value)] = None
        elif type(value) is str and may_name_file(value):
            self._paths[value] = None

    def _weigh(self, symbol: str, function: FunctionType, use: Use, value: Any) -> None:
        for attribute in use.chain:
            if not isinstance(value, (ModuleType, type)):
                break
            if isinstance(value, ModuleType) and value.__name__ in ("random", "numpy.random") and attribute == "seed":
                self._seeds.add(value.__name__.partition(".")[0])
                return
            value = getattr(value, attribute, None)
        if not isinstance(value, _HASHABLE):
            return
        try:
            found = _SOURCES.get(value) or _timestamp(value)
        except TypeError:  # a class whose metaclass takes hashing away
            return
        if found is not None:
            kind, what = found
            for line in _lines(function.__code__, use, bare=what in _UNLESS_SEEDED):
                self._doubts[Doubt(kind, what, symbol, function.__code__.co_filename, line)] = None
        elif value == random.seed:
            self._seeds.add("random")


def may_name_file(text: str) -> bool:
    """Say whether a text looks like a path: it has a separator or a suffix, and neither lines nor blanks around."""
    if not 0 < len(text) <= _LONGEST_PATH or not text.isprintable() or text != text.strip():
        return False
    if os.sep in text or "/" in text:
        return "://" not in text
    stem, dot, suffix = text.rpartition(".")
    return bool(stem and dot) and suffix.isalnum() and len(suffix) <= 10


def _timestamp(value: Any) -> tuple[Chance, str] | None:
    pandas = sys.modules.get("pandas")
    if pandas is None or value not in (pandas.Timestamp.now, pandas.Timestamp.today, pandas.Timestamp.utcnow):
        return None
    return "clock", f"Timestamp.{value.__name__}"


def _bound_imports(imports: tuple[Import, ...]) -> Iterator[tuple[str, Any]]:
    for one in imports:
        if one.level or not one.bound or one.module.partition(".")[0] not in _MODULES:
            continue
        module = sys.modules.get(one.module) or _imported(one.module)
        if module is not None:
            yield one.bound, module if one.name is None else getattr(module, one.name, None)


def _imported(module: str) -> ModuleType | None:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _lines(code: CodeType, use: Use, *, bare: bool) -> Iterator[int]:
    """Yield the lines on which a code object, or one nested in it, uses a name; if `bare`, calls it with nothing."""
    instructions = [one for one in dis.get_instructions(code) if one.opname not in _SKIPPED]
    wanted = (use.name, *use.chain)
    line = code.co_firstlineno
    for index, one in enumerate(instructions):
        position = one.positions.lineno if one.positions is not None else None
        line = position or line
        names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
        if isinstance(one.argval, CodeType):
            yield from _lines(one.argval, use, bare=bare)
        if not one.opname.startswith("LOAD_") or names[-1] != wanted[0]:
            continue
        after = instructions[index + 1 : index + 1 + len(use.chain)]
        if [next_.argval for next_ in after] == list(use.chain) and (
            not bare or _called_with_nothing(instructions, index + len(wanted))
        ):
            yield line


def _called_with_nothing(instructions: list[dis.Instruction], index: int) -> bool:
    call = instructions[index] if index < len(instructions) else None
    return call is None or not call.opname.startswith("LOAD_") or call.argval is None
