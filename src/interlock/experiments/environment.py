"""Write down which distributions are installed, as a file that pip and uv read back."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

LOCK_FILE = "environment/requirements.txt"
"""Path of the artifact of a run that names every distribution that was installed, with its version."""

PROJECT_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "conda-lock.yml")
_SUFFIXES = (".dist-info", ".egg-info")


@lru_cache(maxsize=4)
def installed(path: tuple[str, ...]) -> bytes:
    """Return one line `name==version` for each distribution in these folders, by name.

    Cost: a look into each folder; no metadata is read.
    """
    found: dict[str, str] = {}
    for folder in path:
        try:
            entries = list(Path(folder or ".").iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.suffix in _SUFFIXES:
                name, _, version = entry.stem.partition("-")
                # the first on the path is the one that is imported
                found.setdefault(name.replace("_", "-").lower(), version.partition("-")[0])
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if version).encode()


def lock_files(project: Path | None) -> dict[str, bytes]:
    """Return the files that pin the libraries of this process, by their path within a run."""
    files = {LOCK_FILE: installed(tuple(sys.path))}
    folder = project or Path.cwd()
    for name in PROJECT_LOCKS:
        try:
            files[f"environment/{name}"] = (folder / name).read_bytes()
        except OSError:
            continue
    return files
