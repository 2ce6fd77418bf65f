"""Read the technology radar, and say how ready a project is."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from interlock.advisor.landscape import tools
from interlock.advisor.readiness import readiness as judge
from interlock.cli.noun import Here
from interlock.cli.output import Answer, fields, listing, table
from interlock.workspace import open_workspace

app = App(name="advisor", help="Read the technology radar and your readiness.")


@app.command
def radar(*, station: str | None = None, kind: str | None = None, ring: str | None = None, session: Here) -> Answer:
    """List the tools of the field: what each is for, whether to adopt it, how Interlock joins it.

    Args:
        station: Only those that serve this station of the loop.
        kind: Only those of this kind.
        ring: Only `adopt`, `try`, `assess` or `hold`.
    """
    columns = {
        "tool": lambda tool: tool.name,
        "ring": lambda tool: tool.ring,
        "stations": lambda tool: tool.stations,
        "interlock": lambda tool: f"{tool.join}{' (planned)' if tool.planned else ''}",
        "why": lambda tool: tool.why,
    }
    return listing(tools(station=station, kind=kind, ring=ring), columns, empty="no such tools")


@app.command
def readiness(*, project: Path = Path(), session: Here) -> Answer:
    """Say how ready a project is to run models, and what to do next.

    Args:
        project: Its folder; by default the one you are in.
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = judge(workspace.stores, project.resolve())
    columns = {
        "stage": lambda practice: practice.stage,
        "practice": lambda practice: practice.title,
        "state": lambda practice: practice.state,
        "evidence": lambda practice: practice.evidence,
    }
    following = found.next_practice
    head = {"level": f"{found.level} of 5", "next": following.next_step if following else None}
    return Answer({"readiness": found, "next": following}, (fields(head), table(found.practices, columns)))
