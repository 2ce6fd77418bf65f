"""What a Python model needs is found, and what cannot travel is named."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from interlock.core.carrying import read_carried
from interlock.core.errors import InvalidInput
from interlock.registry.travelling import carried

LOCK = threading.Lock()
NESTED: dict[str, Any] = {"a": [1, (x for x in "abc")]}
RATE = 3
COUNT = 0


def helper(x: Any) -> Any:
    return x * RATE


class Parent:
    def scaled(self, x: Any) -> Any:
        return helper(x)


class Model(Parent):
    offset = 1
    names = ("a", "b")

    def __init__(self) -> None:
        self.weights = np.ones(3)
        self.function = helper

    @property
    def doubled(self) -> int:
        return 2 * self.offset

    @functools.cached_property
    def tripled(self) -> int:
        return 3

    @staticmethod
    def plain(x: Any) -> Any:
        return x

    def predict(self, x: Any) -> Any:
        return self.scaled(x) + self.plain(self.doubled) + self.tripled


def locked(rows: Any) -> Any:
    with LOCK:
        return [NESTED["a"][0] for _ in rows]


def locked_inside(rows: Any) -> Any:
    return [locked(rows) for _ in range(2)]


def counting(rows: Any) -> Any:
    global COUNT
    COUNT += 1
    return rows


def nested_counting(rows: Any) -> Any:
    def inner() -> None:
        global COUNT
        COUNT = 2

    inner()
    return rows


def test_a_function_travels_with_what_it_uses() -> None:
    def answer(x: Any, *, by: int = 2) -> Any:
        return np.sum([helper(x) * by])

    written = carried(answer, name="answer")
    assert read_carried(written.data)(2) == 12
    assert "numpy" in written.libraries
    assert written.python == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_object_travels_with_its_classes() -> None:
    written = carried(Model(), name="Model")
    copy = read_carried(written.data)
    assert copy.predict(2) == 11
    assert type(copy) is not Model


def test_lambdas_local_classes_closures_and_partials_travel() -> None:
    factor = 5

    class Local:
        def predict(self, x: Any) -> Any:
            return x * factor

    assert read_carried(carried(Local, name="Local").data)().predict(2) == 10
    assert read_carried(carried(lambda x: x * factor, name="f").data)(2) == 10
    assert read_carried(carried(functools.partial(pow, 2), name="f").data)(3) == 8
    assert read_carried(carried(Model().predict, name="f").data)(2) == 11


def test_a_function_may_call_itself() -> None:
    def count(n: int) -> int:
        return 0 if n == 0 else 1 + count(n - 1)

    assert read_carried(carried(count, name="count").data)(4) == 4


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], ModuleType]]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> ModuleType:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_modules_of_the_project_are_named(project: Callable[[str, str], ModuleType]) -> None:
    (project("regb_one", "import numpy\ndef f(x):\n    return numpy.abs(x)\n"))
    module = project(
        "regb_two",
        "import regb_one\n"
        "def late(x):\n    from regb_one import f\n    return f(x)\n"
        "def whole(x):\n    import regb_one as one\n    return getattr(one, 'f')(x)\n"
        "def both(x):\n    import json, not_there_at_all if False else json\n".replace(
            "    import json, not_there_at_all if False else json\n", "    return late(x) + whole(x) + regb_one.f(x)\n"
        ),
    )
    written = carried(module.both, name="both")
    assert "regb_one" in written.modules
    assert "numpy" in written.libraries
    for name in ("regb_one", "regb_two"):
        del sys.modules[name]
    assert read_carried(written.data)(-2) == 6


def test_an_import_that_is_not_there_is_left_alone() -> None:
    def careful(x: Any) -> Any:
        try:
            import regb_nowhere
        except ImportError:
            return x
        return regb_nowhere.f(x)

    assert read_carried(carried(careful, name="careful").data)(2) == 2


@pytest.mark.parametrize("function", [locked, locked_inside])
def test_everything_that_cannot_travel_is_named_with_its_place(function: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        carried(function, name="predict")
    said = caught.value
    assert said.what == "'predict' cannot travel: it uses 2 things that exist only in this process"
    assert "'LOCK' is a lock (in locked, test_travelling.py:" in said.why
    assert "\"NESTED['a'][1]\"" in said.why or "'NESTED['a'][1]' is a generator" in said.why
    assert "load(self)" in said.fix


def test_an_object_that_holds_a_lock_is_named_by_its_attribute() -> None:
    model = Model()
    model.lock = threading.RLock()  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="something that exists only") as caught:
        carried(model, name="Model")
    assert caught.value.why == "'Model.lock' is a lock (in the model itself)"


def test_a_default_that_cannot_travel_is_named() -> None:
    def answer(rows: Any, held: Any = LOCK) -> Any:
        return rows

    with pytest.raises(InvalidInput, match="cannot travel") as caught:
        carried(answer, name="answer")
    assert "a default of answer" in caught.value.why


def test_what_nobody_knows_is_named_by_its_type() -> None:
    import sqlite3

    class Stubborn:
        def __reduce__(self) -> Any:
            raise TypeError("never")

    held = Stubborn()
    with pytest.raises(InvalidInput) as caught:
        carried(lambda rows: (rows, held), name="f")
    assert "Stubborn, which cannot be written" in caught.value.why
    connection = sqlite3.connect(":memory:")
    with pytest.raises(InvalidInput, match="cannot travel") as caught:
        carried(lambda rows: connection, name="f")
    assert "'connection' is a live connection" in caught.value.why
    connection.close()


@pytest.mark.parametrize("function", [counting, nested_counting])
def test_a_global_that_changes_is_refused(function: Any) -> None:
    with pytest.raises(InvalidInput, match="changes the global 'COUNT'") as caught:
        carried(function, name=function.__name__)
    assert "test_travelling.py:" in caught.value.what
