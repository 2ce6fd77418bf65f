"""Wrappers go on when a library is imported, and come off without a trace."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from interlock.experiments.autolog.patching import Imports, Patches


class Owner:
    """A class with a method, and one below it without."""

    def fit(self, x: int) -> int:
        """Fit."""
        return x


class Below(Owner):
    """Inherits."""


class Own(Owner):
    """Has its own."""

    def fit(self, x: int) -> int:
        return 10 * x


def doubled(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return 2 * original(*args, **kwargs)


def test_a_wrapper_keeps_name_and_words_and_comes_off() -> None:
    before = vars(Owner)["fit"]
    patches = Patches()
    patches.wrap(Owner, "fit", doubled)
    patches.wrap(Owner, "fit", doubled)
    patches.wrap(Below, "fit", doubled)
    patches.wrap(Owner, "absent", doubled)
    assert (Owner().fit(3), Below().fit(3)) == (6, 6)
    assert (Owner.fit.__name__, Owner.fit.__doc__) == ("fit", "Fit.")
    patches.undo()
    assert vars(Owner)["fit"] is before
    assert "fit" not in vars(Below)


def test_what_somebody_else_wrapped_meanwhile_stays_and_passes_on() -> None:
    before = vars(Owner)["fit"]
    patches = Patches()
    patches.wrap(Owner, "fit", doubled)
    ours = Owner.fit
    try:
        Owner.fit = lambda self, x: ours(self, x) + 1  # type: ignore[method-assign]
        assert Owner().fit(3) == 7
        patches.undo()
        assert Owner().fit(3) == 4
    finally:
        Owner.fit = before  # type: ignore[method-assign]


def test_a_family_is_wrapped_where_it_has_its_own_now_and_later() -> None:
    patches = Patches()
    patches.wrap_family(Owner, "fit", doubled, unless=lambda cls: cls.__name__ == "Spared")

    class Later(Own):
        def fit(self, x: int) -> int:
            return 100 * x

    class Spared(Own):
        def fit(self, x: int) -> int:
            return x

    assert (Own().fit(1), Later().fit(1), Spared().fit(1)) == (20, 200, 1)
    patches.undo()
    assert (Own().fit(1), Later().fit(1)) == (10, 100)
    assert "__init_subclass__" not in vars(Owner)


def test_a_root_with_its_own_hook_keeps_it() -> None:
    seen: list[str] = []

    class Root:
        def __init_subclass__(cls, **kwargs: Any) -> None:
            seen.append(cls.__name__)

        def fit(self) -> int:
            return 1

    patches = Patches()
    patches.wrap_family(Root, "fit", doubled, unless=lambda cls: False)

    class Child(Root):
        def fit(self) -> int:
            return 3

    patches.undo()

    class Other(Root):
        """Made after all is over."""

    assert seen == ["Child", "Other"]
    assert (Child().fit(), Root().fit()) == (3, 1)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "some_library.py").write_text("def train():\n    return 1\n\nREADY = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "some_library"
    sys.modules.pop("some_library", None)


def test_a_module_is_patched_when_it_has_been_imported(library: str) -> None:
    imports, seen = Imports(), []

    def note(module: ModuleType) -> None:
        seen.append((module.__name__, module.READY))

    imports.when_imported(library, note)
    imports.when_imported("absent_library", note)
    assert seen == []
    module = importlib.import_module(library)
    assert seen == [(library, True)]
    assert module.train() == 1
    imports.when_imported(library, note)
    assert len(seen) == 2
    with pytest.raises(ImportError):
        importlib.import_module("absent_library")
    imports.forget()
    assert imports not in sys.meta_path


def test_what_is_forgotten_is_not_waited_for(library: str) -> None:
    imports, seen = Imports(), []
    imports.when_imported(library, seen.append)
    imports.forget()
    importlib.import_module(library)
    assert seen == []
