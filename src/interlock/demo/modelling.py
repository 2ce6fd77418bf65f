"""Stations three to five: a pipeline that reuses its work, runs and a study, a first model through its gate."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.settings import FOLDER
from interlock.demo import flight_delay, plan
from interlock.demo.recipe import fit_and_register
from interlock.loop.outcomes import ID, TIME, TRUTH
from interlock.pipelines.outcomes import PipelineRun
from interlock.ports.dataset_store import Snapshot
from interlock.ports.model_store import ModelVersion, Verdict
from interlock.tuning.spaces import Float
from interlock.tuning.studies import Study
from interlock.workspace import Workspace

EDIT = ("max_iter=300", "max_iter=200")
PROJECT_FILE = "flight_delay.py"


def copy_project(workspace: Workspace) -> Path:
    """Put the researcher's project beside the workspace, under git where git is there; return its file."""
    folder = workspace.project or workspace.folder / "project"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / PROJECT_FILE
    shutil.copyfile(flight_delay.__file__, file)
    if shutil.which("git") and not (folder / ".git").exists():
        (folder / ".gitignore").write_text(f"{FOLDER}/\n__pycache__/\n", encoding="utf-8")
        identity = ["-c", "user.name=Interlock demo", "-c", "user.email=demo@example.invalid"]
        for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "The first version"]):
            subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)
    return file


def load_project(file: Path) -> ModuleType:
    """Import the project file afresh, as a new process would."""
    name = file.stem
    sys.modules.pop(name, None)
    # byte-code caches go by whole seconds, and an edit may come within one
    shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def edit(file: Path) -> str:
    """Change one helper of the project; return the text that was there."""
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace(*EDIT), encoding="utf-8")
    return before


def run_training(workspace: Workspace, project: ModuleType, features: Snapshot, span: plan.Span) -> PipelineRun:
    """Run the project's training pipeline on January."""
    table = workspace.data.read(features.ref)
    january = table.filter(pc.less(table["asked_at"], pa.scalar(span.live)))
    return workspace.pipelines.run(
        project.training,
        january,
        start=plan.YEAR.isoformat(),
        split=span.split.isoformat(),
        end=span.live.isoformat(),
        strength=1.0,
        source=features.ref,
    )


def describe_run(result: PipelineRun) -> str:
    """Count what was executed and what was reused."""
    return f"{result.executed} steps executed, {result.reused} reused"


def commit_training_data(workspace: Workspace, features: Snapshot, span: plan.Span) -> Snapshot:
    """Commit January's rows with their outcomes: what the first model is trained on."""
    table = flight_delay.labelled(workspace.data.read(features.ref))
    table = table.filter(pc.less(table["asked_at"], pa.scalar(span.live)))
    rows = table.select(flight_delay.INPUTS)
    rows = rows.append_column(ID, table["flight_id"]).append_column(TIME, table["asked_at"])
    return workspace.data.commit(
        plan.TRAINING,
        rows.append_column(TRUTH, table["truth"]),
        source="flight-features, January",
        derived_from=[features.ref],
    )


def run_study(workspace: Workspace, training: Snapshot, span: plan.Span, *, trials: int) -> Study:
    """Look for the best strength of regularisation."""
    table = workspace.data.read(training.ref)
    early = pc.less(table[TIME], pa.scalar(span.split))
    rows, held_back = table.filter(early), table.filter(pc.invert(early))

    def objective(params: dict[str, Any]) -> float:
        model = flight_delay.train(rows, strength=params["strength"])
        return flight_delay.evaluate(model, held_back)["auc"]

    return workspace.tuning.optimize(
        "strength",
        objective,
        {"strength": Float(0.001, 10.0, log=True)},
        n_trials=trials,
        experiment=plan.EXPERIMENT,
        inputs=[training.ref],
    )


def first_model(
    workspace: Workspace, training: Snapshot, span: plan.Span, *, strength: float
) -> tuple[ModelVersion, Verdict]:
    """Train, register and judge the first version, and put it behind the endpoint."""
    table = workspace.data.read(training.ref)
    version = fit_and_register(
        workspace, table, data=training.ref, until=span.split, strength=strength, why="first model"
    )
    held_back = table.filter(pc.greater_equal(table[TIME], pa.scalar(span.split)))
    verdict = workspace.loop.gate(
        candidate=version, champion=None, table=held_back, label=TRUTH, policy=plan.RETRAIN.gate, data=training.ref
    )
    if verdict.passed:
        workspace.loop.bootstrap(
            candidate=version.ref, endpoint=plan.ENDPOINT, verdict=verdict.id, reason="the first model that passed"
        )
    return version, verdict


def set_up_monitors(workspace: Workspace) -> None:
    """Watch the endpoint, and have alerts start a retrain."""
    for monitor in plan.MONITORS:
        workspace.monitoring.apply(monitor)
    workspace.loop.retrain_on_alert("retrain-on-alert", plan.RETRAIN)
