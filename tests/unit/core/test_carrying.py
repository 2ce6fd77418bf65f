"""Code of a project is read back where the project is not."""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from interlock.core.carrying import UNREADABLE, Bound, _make_module, bound_to_process, carry, read_carried


class Colour(Enum):
    RED = 1


class Holding:
    """An object of a class of the project."""

    factor = 3

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, value: int) -> int:
        return value * self.by * self.factor


@functools.lru_cache(maxsize=7)
def remembered(value: int) -> int:
    return value + 1


Project = Callable[..., ModuleType]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Return what writes modules of a project and imports the last of them."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules: str) -> ModuleType:
        for name, text in modules.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(list(modules)[-1].replace("__", "."))

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def copied(value: Any, **used: Any) -> Any:
    return read_carried(carry(value, used)[0])


def test_functions_and_classes_of_a_project_are_copies() -> None:
    copy = copied(Holding(2))
    assert type(copy) is not Holding
    assert copy(5) == 30
    assert type(copy).__name__ == "Holding"


def test_reading_leaves_the_class_in_memory_as_it_is() -> None:
    before = Holding.__call__
    type(copied(Holding(2))).factor = 100
    assert Holding.__call__ is before
    assert Holding(2)(5) == 30


def test_enums_and_caches_travel() -> None:
    assert copied(Colour.RED).value == 1
    again = copied(remembered)
    assert again(1) == 2
    assert again.cache_parameters()["maxsize"] == 7


def test_modules_travel_with_the_names_that_are_used(project: Project) -> None:
    module = project(
        regb_helpers="""
            import threading
            LOCK = threading.Lock()
            RATE = 4
            def scaled(x):
                return x * RATE
        """
    )
    data, _ = carry(lambda x: module.scaled(x), {"regb_helpers": ["scaled"]})
    del sys.modules["regb_helpers"]
    sys.path_importer_cache.clear()
    assert read_carried(data)(2) == 8
    assert "regb_helpers" not in sys.modules


def test_a_module_of_which_anything_may_be_used_travels_without_what_cannot(project: Project) -> None:
    module = project(regb_whole="import threading\nLOCK = threading.Lock()\nRATE = 4\ndef f():\n    return RATE\n")
    copy = copied(module, regb_whole=None)
    assert copy.f() == 4
    assert copy.RATE == 4
    assert not hasattr(copy, "LOCK")


def test_imports_inside_functions_find_what_travelled(project: Project) -> None:
    module = project(
        regb_pack__deep="ONE = 1\ndef tripled(x):\n    return 3 * x\n",
        regb_asking="""
            def answer(x):
                import regb_pack.deep
                from regb_pack import deep
                from regb_pack.deep import tripled
                return tripled(x) + regb_pack.deep.ONE + deep.ONE
        """,
    )
    assert module.answer(2) == 8
    names = ["regb_pack", "regb_pack.deep"]
    data, _ = carry(module.answer, {"regb_pack": [], "regb_pack.deep": ["ONE", "tripled"]}, names)
    for name in (*names, "regb_asking"):
        del sys.modules[name]
    assert read_carried(data)(2) == 8
    assert not set(names) & set(sys.modules)


def test_two_versions_of_a_module_live_side_by_side(project: Project) -> None:
    project(regb_twice="RATE = 1\n")
    first, _ = carry(sys.modules["regb_twice"], {"regb_twice": ["RATE"]})
    sys.modules["regb_twice"].RATE = 2
    second, _ = carry(sys.modules["regb_twice"], {"regb_twice": ["RATE"]})
    assert (read_carried(first).RATE, read_carried(second).RATE) == (1, 2)


def test_what_was_carried_is_read_in_another_process(project: Project, tmp_path: Path) -> None:
    module = project(regb_apart="import json\ndef f(x):\n    return json.dumps([x, json.loads('1')])\n")
    data, homes = carry(module.f, {})
    assert "json" in homes
    (tmp_path / "data.bin").write_bytes(data)
    code = (
        "import sys; from interlock.core.carrying import read_carried; "
        "print(read_carried(open(sys.argv[1], 'rb').read())(3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data.bin")], capture_output=True, text=True, cwd="/", check=True
    )
    assert done.stdout == "[3, 1]\n"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: io.BufferedReader(io.FileIO("/dev/null")), "an open file"),
        (threading.Lock, "a lock"),
        (lambda: (x for x in "abc"), "a generator"),
        (lambda: sys._getframe(), "a part of a running program"),
    ],
)
def test_what_lives_in_its_process_is_named(make: Callable[[], Any], what: str) -> None:
    value = make()
    assert bound_to_process(value) == what
    with pytest.raises(Bound) as caught:
        carry({"held": [value]}, {})
    assert (caught.value.value is value, caught.value.what) == (True, what)
    if isinstance(value, io.IOBase):
        value.close()


def test_workspaces_connections_and_gpus_are_named() -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    assert bound_to_process(connection) == "a live connection"
    connection.close()
    opened = type("Workspace", (), {"__module__": "interlock.workspace"})()
    assert bound_to_process(opened) == "an open workspace"
    array = type("Tensor", (), {"__module__": "torch", "device": "cuda:0"})()
    assert bound_to_process(array) == "an array on a GPU"
    assert bound_to_process(type("Stream", (), {"__module__": "torch.cuda.streams"})()) == "a GPU handle"
    assert bound_to_process(io.StringIO("x")) == ""


def test_a_compiled_module_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("regb_compiled")
    module.__file__ = "/somewhere/regb_compiled.so"
    monkeypatch.setitem(sys.modules, "regb_compiled", module)
    with pytest.raises(Bound, match="compiled module"):
        carry(module, {})


def test_a_library_that_is_missing_is_told_at_once() -> None:
    data, _ = carry(lambda: pytest.approx(1), {})
    with pytest.raises(UNREADABLE):
        read_carried(data.replace(b"pytest", b"pytesu").replace(b"_pytest", b"_pytesu"))


def test_a_module_can_be_made_by_the_reader_only() -> None:
    with pytest.raises(pickle.UnpicklingError):
        _make_module("a", "")
