"""Run and schedule pipelines, list their runs, and say why steps ran."""

from __future__ import annotations

from cyclopts import App

from interlock.cli import pipeline_running, pipeline_schedules
from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, listing
from interlock.cli.run import took
from interlock.core.units import human_seconds
from interlock.ports.run_store import RunFilter
from interlock.workspace import open_workspace

app = App(name="pipeline", help="Run pipelines, schedule them, and see why steps ran.")
pipeline_running.add_to(app)
pipeline_schedules.add_to(app)


@app.command(name="list")
def list_(*, limit: int = 20, session: Here) -> Answer:
    """List pipeline runs, newest first.

    Args:
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        runs = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"), limit=limit)
    columns = {
        "run": lambda run: run.id,
        "pipeline": lambda run: run.name,
        "status": lambda run: run.status,
        "started": lambda run: run.started_at,
        "took": took,
        "arguments": lambda run: run.params,
    }
    return listing(runs, columns, empty="no pipeline has run yet: workspace.pipelines.run(pipeline, …)")


@app.command
def show(run: str, /, *, session: Here) -> Answer:
    """Show what became of each step of one pipeline run.

    Args:
        run: Its id or Ref.
    """
    run_id = name_of(run, kind="run")
    with open_workspace(session.uri, create=False) as workspace:
        workspace.stores.runs.get(run_id)
        steps = workspace.pipelines.outcomes(run_id)
    columns = {
        "step": lambda step: step.step,
        "reused": lambda step: step.reused,
        "took": lambda step: human_seconds(step.duration_s),
        "why": lambda step: step.reason,
    }
    return listing(steps, columns, empty=f"run:{run_id} has no steps")


@app.command
def why(step: str, /, *, session: Here) -> Answer:
    """Say why a step ran or was reused in the newest pipeline run that called it.

    Args:
        step: Its name.
    """
    with open_workspace(session.uri, create=False) as workspace:
        reason = workspace.pipelines.why(step)
    return Answer({"step": step, "why": reason}, (reason,))
