"""Note under which code and in which environment a run happens; outside git that is what is noted."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from interlock.core.libraries import imported_libraries
from interlock.experiments.hardware import machine
from interlock.ports.run_store import Provenance

LARGEST_DIFF_BYTES = 8 * 1024 * 1024
_GIT_TIMEOUT_S = 5.0


def capture(project: Path | None = None) -> Provenance:
    """Return what can be known of the running program, as it is now.

    Cost: two calls of git, about 12 ms, and a look at the imported modules.
    """
    folder = project or Path.cwd()
    code, diff = _git_facts(folder)
    environment = {
        "host": platform.node(),
        "user": _user(),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "argv": list(sys.argv),
        "folder": str(folder),
        **machine(),
    }
    return Provenance(
        code={**code, "entry_point": _entry_point()},
        environment=environment,
        libraries=imported_libraries(),
        diff=diff,
    )


def _git_facts(folder: Path) -> tuple[dict[str, Any], bytes]:
    status = _git(folder, "status", "--porcelain=v2", "--branch", "-z")
    if status is None:
        return {"vcs": "none"}, b""
    facts: dict[str, Any] = {"vcs": "git", "commit": "", "branch": "", "dirty": False, "untracked": []}
    for line in status.decode("utf-8", "replace").split("\0"):
        if line.startswith("# branch.oid "):
            facts["commit"] = line.removeprefix("# branch.oid ").replace("(initial)", "")
        elif line.startswith("# branch.head "):
            facts["branch"] = line.removeprefix("# branch.head ")
        elif line.startswith("? "):
            facts["untracked"].append(line[2:])
        elif line[:2] in ("1 ", "2 ", "u "):
            facts["dirty"] = True
    diff = b""
    if facts["dirty"]:
        base = "HEAD" if facts["commit"] else "--cached"
        diff = _git(folder, "diff", "--no-color", "--no-ext-diff", "--binary", base) or b""
    if len(diff) > LARGEST_DIFF_BYTES:
        facts["diff_cut_at_bytes"] = LARGEST_DIFF_BYTES
        diff = diff[:LARGEST_DIFF_BYTES]
    return facts, diff


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what git prints, or None where it is missing, slow, or there is no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_GIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _entry_point() -> str:
    """Return the script or module that was started."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return f"-m {spec.name.removesuffix('.__main__')}"
    return str(getattr(main, "__file__", "") or "interactive")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
