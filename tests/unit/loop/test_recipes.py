from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound, StepFailed
from interlock.loop.recipes import Candidate, Recipe, Request, load_recipe, recipe
from tests.unit.loop.world import START


@recipe
def again(ground: Any, request: Request) -> Candidate:
    """Return what it was given."""
    return ground(request)  # type: ignore[no-any-return]


def plain() -> None:
    """Not a recipe."""


def test_a_recipe_is_found_by_its_path() -> None:
    found = load_recipe(again.path)
    assert isinstance(found, Recipe)
    request = Request(endpoint="e", model="m", as_of=START, cause=None)
    assert found(lambda given: given, request) is request  # type: ignore[arg-type,comparison-overlap]


@pytest.mark.parametrize("path", ["", "json", "os.system", "os:", ":x", "a b:c", "json:loads;x", "../x:y"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        load_recipe(path)


def test_what_a_users_code_raises_is_named() -> None:
    @recipe
    def broken(ground: Any, request: Request) -> Candidate:
        raise ZeroDivisionError("no rows")

    with pytest.raises(StepFailed) as caught:
        broken(None, Request(endpoint="e", model="m", as_of=START, cause=None))  # type: ignore[arg-type]
    assert caught.value.why == "ZeroDivisionError: no rows"


def test_an_error_of_our_own_passes_through() -> None:
    @recipe
    def missing(ground: Any, request: Request) -> Candidate:
        raise NotFound("no data")

    with pytest.raises(NotFound):
        missing(None, Request(endpoint="e", model="m", as_of=START, cause=None))  # type: ignore[arg-type]


def test_only_recipes_can_be_named() -> None:
    for path in ("os:system", f"{__name__}:plain"):
        with pytest.raises(InvalidInput, match="is a "):
            load_recipe(path)


@pytest.mark.parametrize("path", ["no_such_module:x", f"{__name__}:absent"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        load_recipe(path)
