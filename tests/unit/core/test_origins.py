"""Project code is told from libraries and Python."""

from __future__ import annotations

import functools
import sys
from types import ModuleType

import pytest

from interlock.core.origins import is_wrapper, origin_of
from interlock.pipelines.steps import step


@pytest.mark.parametrize(
    ("module", "origin"),
    [
        ("json", "python"),
        ("os.path", "python"),
        ("builtins", "python"),
        ("numpy.linalg", "library"),
        ("sklearn", "library"),
        ("interlock.core.refs", "library"),
        ("interlock.demo.steps", "project"),
        ("tests.unit.pipelines", "project"),
        ("__main__", "project"),
        ("nowhere_to_be_found", "project"),
    ],
)
def test_modules_have_origins(module: str, origin: str) -> None:
    assert origin_of(module) == origin


def test_a_steps_own_package_is_project_even_where_installed() -> None:
    assert origin_of("numpy.linalg", project="numpy") == "project"
    assert origin_of("interlock.core", project="interlock") == "library"


def test_a_module_without_a_file_is_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typed_in_a_notebook", ModuleType("typed_in_a_notebook"))
    assert origin_of("typed_in_a_notebook") == "project"


def test_wrappers_are_steps_and_caches() -> None:
    def function() -> None: ...

    assert is_wrapper(step(function))
    assert is_wrapper(functools.lru_cache(function))
    assert not is_wrapper(function)
    assert not is_wrapper(3)
