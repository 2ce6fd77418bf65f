"""Make the environments that steps ask for: one virtual environment per list of requirements, made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from interlock.core.errors import InvalidInput, StepFailed

_LINES_SHOWN = 12


class EnvironmentFolder:
    """Makes virtual environments with uv, and finds them again.

    Each lies under the hash of what it was made from: the file, and the version of Python. Two processes that make the
    same one at once both get a whole one, and one of the two is kept.

    Args:
        folder: Where they are kept; `interlock/environments` in the user's cache if not given.
        options: More arguments for `uv pip install`, such as `--offline` or `--find-links=…`.
    """

    def __init__(self, folder: Path | None = None, *, options: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._options = options

    def __call__(self, file: str) -> Path:
        """Return the interpreter of an environment, made now if it is not there.

        Raises:
            InvalidInput: The file is not there, or uv is not.
            StepFailed: Its libraries could not be installed.
        """
        path = Path(file)
        if not path.is_file():
            raise InvalidInput(f"the environment file '{file}' is not there", fix="uv export -o requirements.txt")
        version = f"{sys.implementation.cache_tag} {' '.join(self._options)}".encode()
        digest = hashlib.blake2b(version + b"\0" + path.read_bytes(), digest_size=10).hexdigest()
        home = (self._folder or _cache_folder()) / digest
        if not _python_in(home).exists():
            self._make(path, home)
        return _python_in(home)

    def _make(self, file: Path, home: Path) -> None:
        uv = _find_uv()
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".making-") as folder:
            fresh = Path(folder) / "environment"
            _run(file, uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh))
            if file.name == "uv.lock":
                needs = Path(folder) / "requirements.txt"
                project = str(file.resolve().parent)
                export = ("export", "--quiet", "--frozen", "--no-emit-project", "--project", project)
                _run(file, uv, *export, "--output-file", str(needs))
            else:
                needs = file
            python = str(_python_in(fresh))
            _run(
                file, uv, "pip", "install", "--quiet", "--python", python, *self._options, "--requirements", str(needs)
            )
            try:
                fresh.rename(home)
            except OSError:
                # another process was first, and its environment is the same
                if not _python_in(home).exists():
                    raise


def _run(file: Path, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(
            f"the environment of '{file.name}' could not be made",
            why="\n".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:]),
            fix=f"uv pip install --requirements {file}",
        )


def _find_uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise InvalidInput(
            "an environment of its own needs the program 'uv', which makes it",
            why="it is neither on the PATH nor beside this Python",
            fix="pip install uv",
        )
    return found


def _python_in(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "interlock" / "environments"
