"""Run and schedule pipelines, list their runs, and say why steps ran."""

from __future__ import annotations

from cyclopts import App

from interlock.cli import pipeline_mending, pipeline_running, pipeline_schedules
from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, Table, listing, table
from interlock.cli.run import took
from interlock.core.units import human_seconds
from interlock.pipelines.drawing import drawn
from interlock.ports.run_store import RunFilter
from interlock.workspace import open_workspace

_MOST_LISTED = 100
app = App(name="pipeline", help="Run pipelines, schedule them, and see why steps ran.")
pipeline_running.add_to(app)
pipeline_schedules.add_to(app)
pipeline_mending.add_to(app)


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
def show(run: str, /, *, steps: bool = False, session: Here) -> Answer:
    """Draw the graph of one pipeline run, and say what became of each step.

    Args:
        run: Its id or Ref.
        steps: List every step call, however many they are.
    """
    run_id = name_of(run, kind="run")
    with open_workspace(session.uri, create=False) as workspace:
        workspace.stores.runs.get(run_id)
        nodes = workspace.pipelines.graph(run_id)
    if not nodes:
        return Answer([], (f"run:{run_id} has no steps",))
    columns = {
        "call": lambda node: node.node,
        "step": lambda node: node.group + node.step,
        "status": lambda node: node.status,
        "took": lambda node: human_seconds(node.duration_s),
        "why": lambda node: node.error or node.reason,
    }
    graph = "\n".join(line.line for line in drawn(nodes))
    listed = nodes if steps else nodes[:_MOST_LISTED]
    blocks: tuple[str | Table, ...] = (graph, table(listed, columns))
    if len(nodes) > len(listed):
        blocks = (*blocks, f"and {len(nodes) - len(listed):,} more: --steps lists them all")
    return Answer(nodes, blocks)


@app.command
def why(step: str, /, *, run: str | None = None, session: Here) -> Answer:
    """Say why a step ran or was reused.

    Args:
        step: Its name.
        run: The pipeline run; the newest that called the step if not given.
    """
    with open_workspace(session.uri, create=False) as workspace:
        reason = workspace.pipelines.why(step, run and name_of(run, kind="run"))
    return Answer({"step": step, "why": reason}, (reason,))
