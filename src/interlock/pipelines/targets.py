"""Find a pipeline by the words a person types: a file or a module, and a name in it."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from interlock.core.errors import InvalidInput, NotFound, did_you_mean
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.steps import Step

_HOW = "interlock pipeline run train.py:nightly"


def load_pipeline(target: str, *, folder: Path | None = None) -> Pipeline[..., Any]:
    """Import a pipeline.

    Args:
        target: `train.py:nightly`, `package.module:nightly`, or without the name where there is one pipeline only.
        folder: Where a relative path begins, and modules are looked for first; the current folder if not given.

    Returns:
        The pipeline; a step or a plain function of that name as a pipeline of its own.

    Raises:
        NotFound: There is no such file, module or name.
        InvalidInput: The code cannot be imported, or the name says something else than a pipeline.
    """
    home = (folder or Path.cwd()).resolve()
    place, _, name = target.rpartition(":") if ":" in target[2:] else (target, "", "")
    module = _module_of_file(home / place) if place.endswith(".py") else _module(place, home)
    return _pick(module, name, target)


def _pick(module: ModuleType, name: str, target: str) -> Pipeline[..., Any]:
    there = {key: value for key, value in vars(module).items() if isinstance(value, Pipeline)}
    own = {key: value for key, value in there.items() if value.__module__ == module.__name__}
    if not name:
        found = list((own or there).values())
        if len(found) == 1:
            return found[0]
        why = f"it has {', '.join(own or there)}" if found else "it has none: mark a function with @pipeline"
        raise InvalidInput(
            f"'{target}' does not say which pipeline", why=why, fix=f"{_HOW.rpartition(' ')[0]} {target}:NAME"
        )
    if not hasattr(module, name):
        raise NotFound(f"there is no '{name}' in {module.__file__}", why=did_you_mean(name, there or _public(module)))
    value = getattr(module, name)
    if isinstance(value, Pipeline):
        return value
    if isinstance(value, Step):
        return _alone(value)
    if inspect.isfunction(value):
        return Pipeline(value, name=None, experiment=None)
    raise InvalidInput(
        f"'{target}' is no pipeline", why=f"it is a {type(value).__name__}", fix="@pipeline above a `def`"
    )


def _alone(step: Step[..., Any]) -> Pipeline[..., Any]:
    """Return a pipeline that is one step."""

    def body(*args: Any, **kwargs: Any) -> Any:
        return step(*args, **kwargs)

    body.__name__, body.__qualname__, body.__module__ = step.name, step.__qualname__, step.__module__
    body.__doc__ = step.__wrapped__.__doc__
    body.__signature__ = step.signature  # type: ignore[attr-defined]
    body.__annotations__ = step.__wrapped__.__annotations__
    return Pipeline(body, name=step.name, experiment=None)


def _public(module: ModuleType) -> list[str]:
    return [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]


def _module_of_file(path: Path) -> ModuleType:
    """Import a file under the name that its folder and the packages above it give, so that workers import the same."""
    if not path.is_file():
        near = sorted(one.name for one in path.parent.glob("*.py")) if path.parent.is_dir() else []
        raise NotFound(f"there is no file {path}", why=did_you_mean(path.name, near))
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if parts[-1] == "__init__":
        parts.pop()
    module = _module(".".join(parts), root)
    if module.__file__ is None or Path(module.__file__).resolve() != path.resolve():
        raise InvalidInput(
            f"{path} cannot be imported as '{module.__name__}'",
            why=f"that name is {module.__file__} already",
            fix="give the file a name of its own",
        )
    return module


def _module(name: str, home: Path) -> ModuleType:
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise NotFound(
                f"there is no module '{name}'", why=f"looked in {home} and in what is installed", fix=_HOW
            ) from None
        raise _broken(name, error) from error
    except Exception as error:  # noqa: BLE001 (the code is the user's and may raise anything while it is imported)
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> InvalidInput:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}"
    else:
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else name
    return InvalidInput(
        f"'{name}' cannot be imported",
        why=f"{type(error).__name__}: {error} ({place})",
        fix=f"python -c 'import {name}'",
    )
