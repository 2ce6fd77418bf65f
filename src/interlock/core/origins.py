"""Tell a project's own modules from libraries and from Python itself."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Literal

from interlock.core.libraries import is_installed_file, is_standard, module_file

Origin = Literal["project", "library", "python"]


def origin_of(module: str, *, project: str = "") -> Origin:
    """Say where a module comes from.

    Interlock's own rooms are a library wherever they lie; its demo is a project like a user's.

    Args:
        module: Dotted name.
        project: Top-level package that counts as project even where it is installed: the step's own.
    """
    root = module.partition(".")[0]
    if root == "interlock":
        return "project" if module.startswith("interlock.demo") else "library"
    if root in ("__main__", project):
        return "project"
    if is_standard(root):
        return "python"
    path = _path(root)
    if path is None:
        return "python" if root in sys.builtin_module_names else "project"
    return "library" if is_installed_file(path) else "project"


def is_wrapper(value: Any) -> bool:
    """Say whether a value only stands for the function it wraps, as a step or an `lru_cache` does.

    A decorator object of the project's own is more than what it wraps.
    """
    return callable(getattr(value, "__wrapped__", None)) and origin_of(type(value).__module__) != "project"


def _path(root: str) -> str | None:
    loaded = sys.modules.get(root)
    if loaded is not None:
        return module_file(loaded) or None
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)
