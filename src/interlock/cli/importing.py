"""Bring runs, models and their files over from other trackers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from cyclopts import App, Parameter

from interlock.cli.noun import Here
from interlock.cli.output import Answer, Table, fields, table
from interlock.cli.session import Session
from interlock.core.errors import InvalidInput, Refused
from interlock.core.units import human_bytes
from interlock.loop.importing.aim import Aim
from interlock.loop.importing.mlflow_folder import MlflowFolder
from interlock.loop.importing.mlflow_http import MlflowHttp
from interlock.loop.importing.mlflow_sql import MlflowSql
from interlock.loop.importing.records import Source
from interlock.loop.importing.report import ImportReport
from interlock.loop.importing.tensorboard import TensorBoard
from interlock.loop.importing.trackio import Trackio
from interlock.loop.importing.wandb_offline import WandbOffline
from interlock.loop.importing.writing import import_source
from interlock.workspace import open_workspace

app = App(name="import", help="Bring runs, models and their files over from other trackers.")
_MOST_SHOWN = 20
_SQL = ("sqlite", "postgresql", "postgres")
Folders = Annotated[tuple[Path, ...], Parameter(name="--artifacts", negative=())]


@app.command
def mlflow(source: str, /, *, artifacts: Folders = (), session: Here) -> Answer:
    """Bring over a whole MLflow store: experiments, runs, files, logged and registered models.

    May be broken off and repeated: what is here stays as it is. Exits with 1 if a part could not be brought.

    Args:
        source: A folder `mlruns`, `sqlite:///mlflow.db`, `postgresql://…` or the `http://…` of a server.
        artifacts: A further folder in which files may be read; the first is where `mlflow-artifacts:/` lies.
    """
    return _import(lambda: mlflow_source(source, artifacts=artifacts), session)


@app.command
def wandb(folder: Path = Path("wandb"), /, *, artifacts: Folders = (), session: Here) -> Answer:
    """Bring over the offline runs of Weights & Biases in a folder.

    Args:
        folder: A folder `wandb`, or one of its runs.
        artifacts: A folder to which links among the files may lead.
    """
    return _import(lambda: WandbOffline(folder, artifacts=artifacts), session)


@app.command
def tensorboard(folder: Path, /, *, experiment: str = "", session: Here) -> Answer:
    """Bring over the event files in a folder: each folder that holds some becomes a run.

    Args:
        folder: What `tensorboard --logdir` is given.
        experiment: The experiment here; by default the name of the folder.
    """
    return _import(lambda: TensorBoard(folder, experiment=experiment), session)


@app.command
def trackio(place: Path, /, *, session: Here) -> Answer:
    """Bring over projects of trackio.

    Args:
        place: Its folder (`~/.cache/huggingface/trackio`), or the `.db` file of one project.
    """
    return _import(lambda: Trackio(place), session)


@app.command
def aim(folder: Path, /, *, session: Here) -> Answer:
    """Bring over a repository of Aim; reads it through the package `aim`, which must be installed here.

    Args:
        folder: The folder that holds `.aim`.
    """
    return _import(lambda: Aim(folder), session)


def mlflow_source(source: str, *, artifacts: tuple[Path, ...] = ()) -> Source:
    """Open an MLflow store by its address."""
    scheme = urlsplit(source).scheme
    if scheme in ("http", "https"):
        return MlflowHttp(source, environ=os.environ)
    if scheme.partition("+")[0] in _SQL:
        return MlflowSql(source, artifacts=artifacts)
    if scheme not in ("", "file"):
        raise InvalidInput(
            f"'{source}' is no place of an MLflow store",
            why="expected a folder, sqlite:///…, postgresql://… or http://…",
            fix="interlock import mlflow ./mlruns",
        )
    return MlflowFolder(Path(unquote(urlsplit(source).path) if scheme else source), artifacts=artifacts)


def _import(open_source: Callable[[], Source], session: Session) -> Answer:
    source = open_source()
    with open_workspace(session.uri) as workspace, _progress() as told:
        report = import_source(source, workspace.stores, told=told)
    return Answer(report, tuple(_blocks(report)), exit_code=0 if report.is_whole else Refused.exit_code)


def _blocks(report: ImportReport) -> Iterator[str | Table]:
    yield fields({"from": f"{report.kind} {report.source}"})
    if report.experiments:
        yield table(report.experiments, _EXPERIMENTS)
    if report.models:
        yield table(report.models, _MODELS)
    if report.is_whole:
        yield "all of it is here, compared with its source"
        return
    shown = report.problems[:_MOST_SHOWN]
    yield table(shown, {"not brought": lambda one: one.thing, "because": lambda one: " ".join(one.why.split())})
    rest = len(report.problems) - len(shown) + report.more_problems
    if rest:
        yield f"and {rest} more: see --json"


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is being done on a terminal; elsewhere stay silent."""
    if not sys.stderr.isatty():
        yield lambda line: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda line: progress.update(task, description=line)


_EXPERIMENTS = {
    "experiment": lambda one: one.experiment,
    "runs": lambda one: one.runs,
    "written": lambda one: one.written,
    "unchanged": lambda one: one.unchanged,
    "failed": lambda one: one.failed,
    "points": lambda one: one.points,
    "params": lambda one: one.params,
    "tags": lambda one: one.tags,
    "files": lambda one: one.files,
    "size": lambda one: human_bytes(one.bytes),
    "logged models": lambda one: one.logged_models,
}
_MODELS = {
    "model": lambda one: one.model,
    "versions": lambda one: one.versions,
    "written": lambda one: one.written,
    "renumbered": lambda one: one.renumbered,
    "aliases": lambda one: one.aliases,
    "files": lambda one: one.files,
    "size": lambda one: human_bytes(one.bytes),
}
