"""Give a run the libraries that it had: this environment if it has them, else one made by uv from the recorded lock."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from interlock.core.errors import MissingExtra, NotFound, Refused, Unavailable
from interlock.ports.run_store import Run
from interlock.ports.stores import Stores

LOCK_FILE = "environment/requirements.txt"
OURS = "interlock"
_ROOT = Path(__file__).resolve().parents[3]


def differing(run: Run, lock: str = "") -> list[str]:
    """Say in which libraries, and in which Python, this environment is not as the run's was; more may be here.

    Args:
        run: The run, with the libraries that it had imported when it began.
        lock: All that were installed, as lines `name==version`.
    """
    pinned = dict(line.split("==", 1) for line in lock.splitlines() if "==" in line)
    pinned.pop(OURS, None)
    found = []
    python = str(run.environment.get("python", ""))
    if python and python != platform.python_version():
        found.append(f"python {python} → {platform.python_version()}")
    for name, version in sorted({**pinned, **_as_pinned(run.libraries)}.items()):
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            here = "absent"
        if here != version:
            found.append(f"{name} {version} → {here}")
    return found


def interpreter(run: Run, stores: Stores, into: Path, *, here: bool, told: Callable[[str], None]) -> tuple[Path, str]:
    """Return a Python that has the run's libraries, and in a word which one it is: `here` or `uv`.

    Args:
        run: The run.
        stores: Its workspace.
        into: Where an environment is made, if one is.
        here: Take this environment or none.
        told: Called with a line about what is being done.

    Raises:
        Refused: This environment was asked for, and it differs.
        NotFound: The run kept no lock.
        MissingExtra: There is no uv.
        Unavailable: uv could not make the environment.
    """
    locks = [entry.digest for entry in stores.runs.artifacts(run.id) if entry.path == LOCK_FILE]
    recorded = stores.artifacts.get(locks[0]).decode() if locks else ""
    differs = differing(run, recorded)
    if not differs:
        told("the libraries here are those of the run")
        return Path(sys.executable), "here"
    shown = ", ".join(differs[:8]) + (f" and {len(differs) - 8} more" if len(differs) > 8 else "")
    if here:
        raise Refused(
            "this environment is not that of the run",
            why=shown,
            fix=f"interlock reproduce run:{run.id} (without --here)",
        )
    if not locks:
        raise NotFound(f"run:{run.id} kept no lock of its libraries", why=f"it has no file {LOCK_FILE}; here: {shown}")
    told(f"uv makes the environment, as this one differs: {shown}")
    lock = into.with_name("requirements.txt")
    lock.write_text(_installable(recorded))
    python = into / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    version = str(run.environment.get("python", "")) or platform.python_version()
    _uv("venv", "--quiet", "--python", version, str(into))
    _uv("pip", "install", "--quiet", "--no-deps", "--python", str(python), "--requirement", str(lock))
    if _runs_from_sources():
        _lend_sources(into)
    return python, "uv"


def _as_pinned(libraries: dict[str, str]) -> dict[str, str]:
    """Name libraries as locks do."""
    return {name.replace("_", "-").lower(): version for name, version in libraries.items() if name != OURS}


def _installable(lock: str) -> str:
    """Have Interlock itself be the one that runs here; one that runs from its sources is no line of a lock."""
    lines = [line for line in lock.splitlines() if line.partition("==")[0] != OURS]
    if not _runs_from_sources():
        known = importlib.metadata.distribution(OURS)
        origin = known.read_text("direct_url.json")
        url = str(msgspec.json.decode(origin).get("url", "")) if origin else ""
        lines.append(f"{OURS} @ {url}" if url else f"{OURS}=={known.version}")
    return "".join(f"{line}\n" for line in lines)


def _runs_from_sources() -> bool:
    return not any(_ROOT.glob(f"{OURS}-*.dist-info"))


def _lend_sources(environment: Path) -> None:
    """Have an environment import Interlock from where it is imported from here."""
    for folder in (*environment.glob("lib/python*/site-packages"), *environment.glob("Lib/site-packages")):
        (folder / f"{OURS}.pth").write_text(f"{_ROOT}\n")


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.is_file() else shutil.which("uv")
    if program is None:
        raise MissingExtra("uv is needed to make the environment", why="there is no program uv", fix="pip install uv")
    done = subprocess.run([program, *arguments], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Unavailable(
            "uv could not make the environment of the run",
            why=done.stderr.decode(errors="replace").strip()[-1500:],
            fix="reach a package index (UV_INDEX_URL), or make the environment by hand and use --here",
        )
