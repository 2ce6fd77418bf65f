"""Name the installed distribution that a module belongs to, and its version."""

from __future__ import annotations

import inspect
import re
import sys
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

_NAME = re.compile(r"^Name:(.*)$", re.MULTILINE)
_FIRST_PART = re.compile(r"^([^/,\n]+)", re.MULTILINE)
_KNOWN = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Modules whose distribution has another name; anything else that differs costs one scan of the environment."""


def is_installed_file(path: str) -> bool:
    """Say whether a file lies where installers put distributions."""
    return "site-packages" in path or "dist-packages" in path


def is_standard(name: str) -> bool:
    """Say whether a module belongs to Python itself, by its dotted name."""
    return name.partition(".")[0] in sys.stdlib_module_names


@lru_cache(maxsize=4096)
def distribution_of(module: str) -> tuple[str, str] | None:
    """Return the name and version of the distribution that brings a module, or None for project code.

    Cost: 0.1 ms; a tenth of a second once if a distribution is not named after its module.
    """
    root = module.partition(".")[0]
    name = _KNOWN.get(root, root)
    try:
        return name, metadata.version(name)
    except metadata.PackageNotFoundError:
        loaded = sys.modules.get(root)
    if loaded is not None and not is_installed_file(module_file(loaded)):
        return None
    if loaded is not None and getattr(loaded, "__file__", None) is None:
        for part in [name for name in list(sys.modules) if name.startswith(f"{root}.") and name.count(".") == 1]:
            with suppress(metadata.PackageNotFoundError):  # what shares a folder is often named with it: `zope.event`
                return part, metadata.version(part)
    owners = _owners().get(root) or (_slowly_found().get(root) if loaded is not None else None) or []
    return next(((owner, metadata.version(owner)) for owner in owners), None)


@lru_cache(maxsize=1)
def _owners() -> dict[str, list[str]]:
    """Return the distributions that bring each top-level module, as their lists of files say.

    Cost: 10 ms for a hundred distributions, a tenth of what `packages_distributions` takes.
    """
    owners: dict[str, set[str]] = {}
    for folder in {*sys.path}:
        for info in Path(folder or ".").glob("*.dist-info"):
            name = _first_match(_NAME, info / "METADATA")
            for root in _roots(info) if name else ():
                owners.setdefault(root, set()).add(name)
    return {root: sorted(names) for root, names in owners.items()}


@lru_cache(maxsize=1)
def _slowly_found() -> dict[str, list[str]]:
    """Return the same for every form in which distributions are installed."""
    return {root: sorted(set(names)) for root, names in metadata.packages_distributions().items()}


def _roots(info: Path) -> set[str]:
    try:
        firsts = set(_FIRST_PART.findall((info / "RECORD").read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return set()
    return {name for first in firsts if (name := first if "." not in first else inspect.getmodulename(first) or "")}


def _first_match(pattern: re.Pattern[str], path: Path) -> str:
    try:
        found = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found[1].strip() if found else ""


def module_file(module: ModuleType) -> str:
    """Return the file or, for a namespace package, the folder of a module; empty if it has none."""
    path = getattr(module, "__file__", None)
    if path:
        return str(path)
    return str(next(iter(getattr(module, "__path__", ())), ""))


def imported_libraries() -> dict[str, str]:
    """Return every distribution that this process has imported something from, with its version."""
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        if "." in name or name.startswith("_") or is_standard(name) or not isinstance(module, ModuleType):
            continue
        if is_installed_file(module_file(module)) or name == "interlock":
            owner = distribution_of(name)
            if owner is not None:
                found[owner[0]] = owner[1]
    return dict(sorted(found.items()))
