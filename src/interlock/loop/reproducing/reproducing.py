"""Run a recorded run again: its code, its libraries, its command; then judge what came out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from interlock.core.errors import InvalidInput, StepFailed
from interlock.core.refs import Ref
from interlock.core.settings import PROJECT_VARIABLE, REPRODUCES_VARIABLE
from interlock.loop.ground import Ground
from interlock.loop.reproducing.code import Command, recreate
from interlock.loop.reproducing.judging import Judgement, check_tolerance, judge_runs
from interlock.loop.reproducing.libraries import interpreter
from interlock.ports.journal import Edge
from interlock.ports.run_store import Run, RunFilter

REPRODUCES = "reproduces"
"""The tag of a run that was made to reproduce another: that one's Ref."""

_MOST = 1000
_OUTPUT_SHOWN = 1500


class Plan(NamedTuple):
    """How to reproduce.

    Args:
        tolerance: By how much, relative to the larger, values of metrics may differ.
        here: Take this environment or none.
        keep: Leave the code and the environment where they were made.
        repository: The git repository, where it is no longer where the run found it.
        timeout_s: Stop the command after so long; None for never.
    """

    tolerance: float = 1e-9
    here: bool = False
    keep: bool = False
    repository: Path | None = None
    timeout_s: float | None = None


class Reproduction(msgspec.Struct, frozen=True):
    """What came of running a run again.

    Args:
        run: Ref of the run.
        reproduced_by: Ref of the run that was made.
        judgement: How the two compare.
        environment: `here`, or `uv` where one was made.
        command: The arguments that Python was given.
        notes: What may explain a difference, in words.
        kept: The folder with code and environment, if it was to be kept.
    """

    run: str
    reproduced_by: str
    judgement: Judgement
    environment: str
    command: tuple[str, ...]
    notes: tuple[str, ...]
    kept: str | None = None


def reproduce(
    ground: Ground,
    run_id: str,
    plan: Plan = Plan(),  # noqa: B008 (frozen)
    *,
    told: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Run a run again from its commit, uncommitted changes, libraries and command line, in this workspace.

    Data are read by their Refs, so that the same snapshots are read again.

    Raises:
        NotFound: There is no such run, or its code is gone.
        InvalidInput: It cannot be started again.
        StepFailed: The command failed although the run did not, or recorded no run.
    """
    check_tolerance(plan.tolerance)
    before = ground.stores.runs.get(run_id)
    _check(ground, before)
    scratch = Path(tempfile.mkdtemp(prefix="interlock-reproduce-"))
    try:
        told(f"code: commit {str(before.code.get('commit', ''))[:12]}")
        root, command = recreate(before, ground.stores, scratch / "code", repository=plan.repository)
        python, environment = interpreter(before, ground.stores, scratch / "venv", here=plan.here, told=told)
        known = _made_for(ground, before)
        told(f"running: python {' '.join(command.arguments)}")
        _execute(ground, before, root, python, command, timeout_s=plan.timeout_s, known=known)
    finally:
        if not plan.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    now = _counterpart(before, [run for one, run in _made_for(ground, before).items() if one not in known])
    told("comparing")
    judgement = judge_runs(ground.stores, before, now, tolerance=plan.tolerance)
    refs = f"run:{before.id}", f"run:{now.id}"
    payload = {"by": refs[1], "verdict": judgement.verdict, "first_artifact": judgement.first_artifact or ""}
    ground.stores.journal.append("run.reproduced", refs[0], payload=payload, edges=[Edge(*refs, "reproduced_by")])
    return Reproduction(
        *refs,
        judgement=judgement,
        environment=environment,
        command=command.arguments,
        notes=tuple(_notes(ground, before)),
        kept=str(scratch) if plan.keep else None,
    )


def _check(ground: Ground, run: Run) -> None:
    if ground.uri.startswith("memory:"):
        raise InvalidInput("a workspace in memory cannot be shared with the run", why="it is of this process alone")
    if run.status in ("running", "scheduled"):
        raise InvalidInput(f"run:{run.id} has not ended", why=f"it is {run.status}", fix="wait for its end")
    if run.parent is not None:
        raise InvalidInput(
            f"run:{run.id} is a part of run:{run.parent}",
            why="a command is started as a whole",
            fix=f"interlock reproduce run:{run.parent}",
        )


def _execute(
    ground: Ground,
    run: Run,
    root: Path,
    python: Path,
    command: Command,
    *,
    timeout_s: float | None,
    known: dict[str, Run],
) -> None:
    uri = ground.uri if "://" in ground.uri else str(Path(ground.uri).resolve())
    environ = {
        **os.environ,
        "INTERLOCK_URI": uri,
        PROJECT_VARIABLE: str(root),
        REPRODUCES_VARIABLE: f"run:{run.id}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environ.pop("PYTHONHOME", None)
    try:
        done = subprocess.run(
            [str(python), *command.arguments],
            cwd=command.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"the command of run:{run.id} did not end", why=f"within {timeout_s:g} s") from error
    made = any(one not in known for one in _made_for(ground, run))
    if made and (done.returncode == 0 or run.status != "finished"):
        return
    output = done.stdout.decode(errors="replace").strip()[-_OUTPUT_SHOWN:]
    untracked = ", ".join(str(name) for name in run.code.get("untracked", ())[:10])
    raise StepFailed(
        f"the command of run:{run.id} " + (f"failed with {done.returncode}" if done.returncode else "recorded no run"),
        why=output or "it printed nothing",
        fix=f"it may have needed files that git does not know: {untracked}" if untracked else "--keep, and look there",
    )


def _made_for(ground: Ground, run: Run) -> dict[str, Run]:
    where = RunFilter(tags={REPRODUCES: f"run:{run.id}"})
    return {one.id: one for one in ground.stores.runs.runs(where=where, limit=_MOST)}


def _counterpart(run: Run, made: list[Run]) -> Run:
    """Return which of the runs that a command made is the one to compare: alike in kind, then name, then params."""

    def alike(one: Run) -> tuple[bool, ...]:
        return (one.kind == run.kind, one.experiment == run.experiment, one.name == run.name, one.params == run.params)

    return max(sorted(made, key=lambda one: one.id), key=alike)


def _notes(ground: Ground, run: Run) -> list[str]:
    """Say what may explain a difference: files that git does not know, data that went on upstream."""
    notes = []
    untracked = [str(name) for name in run.code.get("untracked", ())]
    if untracked:
        names = ", ".join(untracked[:5]) + (f" and {len(untracked) - 5} more" if len(untracked) > 5 else "")
        notes.append(f"git did not know these files, which were therefore not here: {names}")
    for edge in ground.stores.journal.walk(f"run:{run.id}", direction="back", depth=1):
        if edge.source.startswith("dataset:"):
            ref = Ref.parse(edge.source, kind="dataset")
            newest = ground.stores.datasets.snapshots(ref.name, limit=1)
            if newest and ref.number is not None and newest[0].version > ref.number:
                notes.append(f"{edge.source} was read; upstream, dataset:{ref.name} is at @{newest[0].version} now")
    return notes
