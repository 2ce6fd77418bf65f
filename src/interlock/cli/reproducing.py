"""Run a recorded run again, and say whether the same comes out."""

from __future__ import annotations

import sys
from pathlib import Path

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, Table, fields, table
from interlock.core.errors import Refused
from interlock.loop.reproducing.judging import Judgement
from interlock.loop.reproducing.reproducing import Plan
from interlock.workspace import open_workspace


def reproduce(
    run: str,
    /,
    *,
    tolerance: float = 1e-9,
    here: bool = False,
    keep: bool = False,
    repository: Path | None = None,
    timeout: float | None = None,
    session: Here,
) -> Answer:
    """Run a run again from its commit, its uncommitted changes, its libraries and its command; compare what comes out.

    Exits with 0 if it is equal or within tolerance, with 1 if it differs.

    Args:
        run: Its id or Ref.
        tolerance: By how much, relative to the larger, values of metrics may differ.
        here: Use this environment, and refuse if its libraries are not those of the run.
        keep: Leave the folder with the code and the environment.
        repository: Where the git repository is, if no longer where the run found it.
        timeout: Stop the command after so many seconds.
    """
    plan = Plan(tolerance, here, keep, repository, timeout)
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.loop.reproduce(name_of(run, kind="run"), plan, told=_told)
    judgement = found.judgement
    blocks: list[str | Table] = [
        fields(
            {
                "run": found.run,
                "reproduced by": found.reproduced_by,
                "verdict": judgement.verdict,
                "first differing artifact": judgement.first_artifact,
                "compared": judgement.compared,
                "environment": found.environment,
                "kept in": found.kept,
            }
        )
    ]
    if judgement.deviations:
        blocks.append(table(judgement.deviations, _COLUMNS))
    blocks += found.notes
    return Answer(found, tuple(blocks), exit_code=_exit_code(judgement))


def _exit_code(judgement: Judgement) -> int:
    return Refused.exit_code if judgement.verdict == "different" else 0


def _told(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


_COLUMNS = {
    "part": lambda one: one.part,
    "name": lambda one: one.name,
    "before": lambda one: one.before,
    "now": lambda one: one.now,
    "within tolerance": lambda one: one.within_tolerance,
}
