"""Name how a model is trained again, so that a trigger can ask for it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, NotFound, StepFailed
from interlock.loop.ground import Ground
from interlock.ports.model_store import ModelVersion

if TYPE_CHECKING:
    import pyarrow as pa


class Request(msgspec.Struct, frozen=True):
    """What a recipe is asked for.

    Args:
        endpoint: Name of the endpoint that wants a new model.
        model: Name of the registered model.
        as_of: Event time up to which truths are known; nothing later may be used.
        cause: Ref of what set it off, if anything did.
    """

    endpoint: str
    model: str
    as_of: datetime
    cause: str | None


class Candidate:
    """What a recipe gives back.

    Args:
        version: The registered version.
        held_back: Rows that it was not trained on, with the label.
        label: Name of the label column.
        data: Ref of the snapshot that holds those rows, if one does.
    """

    def __init__(self, version: ModelVersion, *, held_back: pa.Table, label: str, data: str | None = None) -> None:
        self.version = version
        self.held_back = held_back
        self.label = label
        self.data = data


class Recipe:
    """A function that trains a candidate; only what is wrapped like this can be named by a trigger.

    Example:
        >>> @recipe
        ... def again(ground, request): ...
        >>> again.path
        'interlock.loop.recipes:again'
    """

    def __init__(self, function: Callable[[Any, Request], Candidate]) -> None:
        self.function = function
        self.path = f"{function.__module__}:{function.__qualname__}"

    def __call__(self, ground: Ground, request: Request) -> Candidate:
        """Train a candidate.

        Raises:
            StepFailed: The function raised something that is not Interlock's own.
        """
        try:
            return self.function(ground, request)
        except InterlockError:
            raise
        except Exception as error:  # noqa: BLE001 (the edge to a user's code; what it raised is the cause)
            raise StepFailed(
                f"the recipe '{self.path}' failed",
                why=f"{type(error).__name__}: {error}",
                fix="run the recipe by hand with the same request",
            ) from error


def recipe(function: Callable[[Any, Request], Candidate]) -> Recipe:
    """Mark a function as a recipe."""
    return Recipe(function)


def load_recipe(path: str) -> Recipe:
    """Return the recipe at `module:name`.

    Raises:
        InvalidInput: The path has another form, or names something that is no recipe.
        NotFound: There is no such module or name.
    """
    module_name, colon, name = path.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise InvalidInput(f"'{path}' does not name a recipe", why="expected module:name", fix="my_project.train:again")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise NotFound(
            f"there is no recipe '{path}'", why=str(error), fix="run where the module is importable"
        ) from error
    if not isinstance(found, Recipe):
        raise InvalidInput(f"'{path}' is a {type(found).__name__}", why="expected a function marked with @recipe")
    return found
