"""List studies and their trials."""

from __future__ import annotations

from cyclopts import App

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, listing
from interlock.cli.run import took
from interlock.core.errors import NotFound
from interlock.ports.run_store import RunFilter
from interlock.workspace import open_workspace

app = App(name="study", help="List studies and their trials.")


@app.command(name="list")
def list_(*, limit: int = 20, session: Here) -> Answer:
    """List studies, newest first.

    Args:
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        studies = workspace.stores.runs.runs(where=RunFilter(kind="study"), limit=limit)
    columns = {
        "study": lambda run: run.id,
        "name": lambda run: run.name,
        "experiment": lambda run: run.experiment,
        "status": lambda run: run.status,
        "started": lambda run: run.started_at,
        "took": took,
        "params": lambda run: run.params,
    }
    return listing(studies, columns, empty="no studies yet: workspace.tuning.optimize(…) makes one")


@app.command
def show(study: str, /, *, limit: int = 100, session: Here) -> Answer:
    """List the trials of a study, newest first.

    Args:
        study: Its id or Ref.
        limit: At most so many.
    """
    study_id = name_of(study.removeprefix("study:"), kind="run")
    with open_workspace(session.uri, create=False) as workspace:
        run = workspace.stores.runs.get(study_id)
        if run.kind != "study":
            raise NotFound(f"run:{study_id} is no study", why=f"it is a {run.kind}", fix="interlock study list")
        trials = workspace.stores.runs.runs(where=RunFilter(parent=study_id, kind="trial"), limit=limit)
    columns = {
        "trial": lambda run: run.id,
        "status": lambda run: run.status,
        "params": lambda run: run.params,
        "metrics": lambda run: {key: summary.last for key, summary in sorted(run.metrics.items())},
    }
    return listing(trials, columns, empty="this study has no trials")
