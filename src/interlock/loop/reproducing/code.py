"""Recreate the code of a run: its commit in a scratch clone, and the uncommitted changes it ran with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from interlock.core.errors import Conflict, InvalidInput, MissingExtra, NotFound
from interlock.ports.run_store import DIFF_FILE, Run
from interlock.ports.stores import Stores

_NOTEBOOKS = ("ipykernel_launcher", "colab_kernel_launcher", "ipykernel")


class Command(NamedTuple):
    """What a run was started with: arguments for a Python interpreter, and the folder to start it in."""

    arguments: tuple[str, ...]
    folder: Path


def recreate(run: Run, stores: Stores, into: Path, *, repository: Path | None = None) -> tuple[Path, Command]:
    """Put the code of a run into a folder that is not there yet; return the repository's root and the command.

    Args:
        run: The run.
        stores: Its workspace.
        into: Where the clone goes.
        repository: The git repository, where it is no longer where the run found it.

    Raises:
        InvalidInput: The run cannot be started again: no commit, a notebook, no command.
        NotFound: The repository or the commit is gone.
        Conflict: The uncommitted changes do not fit the commit.
    """
    commit = _commit_of(run)
    recorded = Path(str(run.environment.get("folder", "")))
    root = _root(run, repository or recorded)
    _git(root, "clone", "--quiet", "--no-checkout", "--shared", "--", str(root), str(into))
    try:
        _git(into, "checkout", "--quiet", "--detach", commit)
    except NotFound as error:
        raise NotFound(
            f"commit {commit[:12]} of run:{run.id} is not in {root}",
            why=error.why,
            fix=f"git -C {root} fetch origin {commit}",
        ) from error
    _apply(run, stores, into)
    return into, _command(run, recorded=recorded, root=root, moved=repository is not None, into=into)


def _commit_of(run: Run) -> str:
    commit = str(run.code.get("commit", ""))
    if not commit:
        raise InvalidInput(
            f"run:{run.id} has no commit to go back to",
            why="it ran outside a git repository, or before the first commit",
            fix="git commit the code, and run it again: the next run can be reproduced",
        )
    if "diff_cut_at_bytes" in run.code:
        raise InvalidInput(
            f"the uncommitted changes of run:{run.id} were not kept whole",
            why=f"they were cut at {run.code['diff_cut_at_bytes']} bytes",
            fix="commit large changes before a run",
        )
    return commit


def _root(run: Run, folder: Path) -> Path:
    """Return the root of the repository that holds a folder."""
    fix = f"interlock reproduce run:{run.id} --repository FOLDER"
    if not folder.is_dir():
        raise NotFound(f"the code of run:{run.id} is gone", why=f"there is no folder {folder}", fix=fix)
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except NotFound as error:
        raise NotFound(f"{folder} is in no git repository", why=error.why, fix=fix) from error


def _apply(run: Run, stores: Stores, into: Path) -> None:
    digests = [entry.digest for entry in stores.runs.artifacts(run.id) if entry.path == DIFF_FILE]
    if not digests:
        if run.code.get("dirty"):
            raise NotFound(f"run:{run.id} ran with changes that were not kept", why=f"it has no file {DIFF_FILE}")
        return
    patch = into.with_name("uncommitted.diff")
    patch.write_bytes(stores.artifacts.get(digests[0]))
    try:
        _git(into, "apply", "--binary", "--whitespace=nowarn", str(patch))
    except NotFound as error:
        raise Conflict(f"the uncommitted changes of run:{run.id} do not fit its commit", why=error.why) from error


def _command(run: Run, *, recorded: Path, root: Path, moved: bool, into: Path) -> Command:
    """Return the recorded command, its paths led from the repository into the clone."""
    argv: Sequence[str] = run.environment.get("argv") or ()
    entry = str(run.code.get("entry_point", ""))
    if any(Path(word).stem in _NOTEBOOKS for word in argv[:1]) or any(name in entry for name in _NOTEBOOKS):
        raise InvalidInput(
            f"run:{run.id} was made in a notebook",
            why="which of its cells ran, and in which order, is not recorded",
            fix="jupyter nbconvert --to script NOTEBOOK, commit the script, and run that",
        )
    if not argv or entry in ("", "interactive"):
        raise InvalidInput(
            f"no command is recorded of run:{run.id}",
            why="it was made at a prompt, or by a client that does not tell",
            fix="run a script: python train.py …",
        )
    was_at = _where_it_was(root, recorded) if moved else root
    if entry.startswith("-m "):
        words = ("-m", entry[3:], *argv[1:])
        return Command(words, _inside(recorded, was_at, into) or into)
    script = Path(entry) if Path(entry).is_absolute() else recorded / entry
    here = _inside(script, was_at, into)
    if here is None or not here.is_file():
        raise NotFound(
            f"the script of run:{run.id} is not in its repository",
            why=f"{entry} is not among the files of commit {str(run.code['commit'])[:12]}",
            fix="git add the script, and run it again: the next run can be reproduced",
        )
    started = _started_in(script, argv[0]) or recorded
    return Command((str(here), *argv[1:]), _inside(started, was_at, into) or into)


def _where_it_was(root: Path, recorded: Path) -> Path:
    """Return where the root of a moved repository was: its folder of the same name, else where the run was."""
    named = [folder for folder in (recorded, *recorded.parents) if folder.name == root.name]
    return named[0] if named else recorded


def _started_in(script: Path, first: str) -> Path | None:
    """Return the folder from which a script was called by a relative path."""
    words = Path(first).parts
    if Path(first).is_absolute() or ".." in words or script.parts[-len(words) :] != words:
        return None
    return Path(*script.parts[: -len(words)])


def _inside(path: Path, root: Path, into: Path) -> Path | None:
    if path.is_relative_to(root):
        return into / path.relative_to(root)
    real, real_root = path.resolve(), root.resolve()
    return into / real.relative_to(real_root) if real.is_relative_to(real_root) else None


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints.

    Raises:
        NotFound: It fails, with its own words as the reason.
        MissingExtra: It is not installed.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            check=False,
        )
    except FileNotFoundError as error:
        raise MissingExtra("git is needed", why="there is no program git", fix="install git") from error
    if done.returncode:
        raise NotFound(f"git {arguments[0]} failed", why=done.stderr.decode(errors="replace").strip()[:500])
    return done.stdout.decode(errors="replace")
