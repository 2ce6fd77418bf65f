"""Take real flights data round both loops, station by station; a demo that was killed goes on where it stood."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from interlock.core.refs import Ref
from interlock.core.settings import FOLDER
from interlock.core.units import human_count, human_seconds
from interlock.demo import modelling, plan, preparing
from interlock.demo.endpoint_process import serve_endpoint
from interlock.demo.narrator import Narrator
from interlock.demo.replay import Replay
from interlock.demo.report import Outcome, month_table, summarise
from interlock.loop.tracing import TraceStep
from interlock.pipelines.outcomes import PipelineRun
from interlock.ports.dataset_store import Snapshot
from interlock.ports.run_store import RunFilter
from interlock.server.up import PORT
from interlock.workspace import Workspace, open_workspace

FOLDER_NAME = "interlock-demo"
TOLD = (
    "answered_by deployment",
    "computed_by model",
    "asked_with dataset",
    "produced run",
    "trained_on dataset",
    "derived_from labels",
    "judged_in verdict",
    "set_off alert",
)
"""Which steps of a trace the demo tells, the first of each; `interlock trace` shows all."""


def run_demo(uri: str | None = None, *, quick: bool = False, narrator: Narrator | None = None) -> Outcome:
    """Run the demo, or what is left of it, and return what it came to.

    Args:
        uri: The workspace; by default the folder `interlock-demo` here.
        quick: Two months instead of the year, in a workspace of its own.
        narrator: Who tells the story.

    Raises:
        MissingExtra: The demo's libraries are not installed.
        InterlockError: Something else went wrong, with what to do about it.
    """
    begun = time.perf_counter()
    where = uri or str(Path(FOLDER_NAME + ("-quick" if quick else "")) / FOLDER)
    span = plan.QUICK if quick else plan.FULL
    with open_workspace(where, actor="demo") as workspace:
        return _Demo(workspace, span, narrator or Narrator()).run(begun)


class _Demo:
    """The stations in order; each leaves in the workspace what the next one takes."""

    def __init__(self, workspace: Workspace, span: plan.Span, narrator: Narrator) -> None:
        self._workspace = workspace
        self._span = span
        self._narrator = narrator
        self._leak: dict[str, float] = {}

    def run(self, begun: float) -> Outcome:
        self._close_killed_runs()
        flights = self._data()
        features = self._features(flights)
        self._pipeline(modelling.copy_project(self._workspace), features)
        training, strength = self._runs(features)
        self._registry(training, strength)
        self._live(features)
        outcome = summarise(self._workspace, self._span, leak=self._leak, begun=begun)
        self._trace(outcome)
        self._end(outcome)
        return outcome

    def _close_killed_runs(self) -> None:
        """Close what a killed demo left open; an unfinished study stays open and is taken up again."""
        runs = self._workspace.stores.runs
        for run in runs.runs(where=RunFilter(status="running"), limit=1000):
            if run.kind != "study":
                now = self._workspace.clock.now()
                runs.end(run.id, status="killed", ended_at=now, error="its process was killed")

    def _data(self) -> Snapshot:
        with self._narrator.station("data") as said:
            snapshots = preparing.commit_sources(self._workspace, self._span)
            said += [preparing.describe_snapshot(snapshot) for snapshot in snapshots]
        return snapshots[0]

    def _features(self, flights: Snapshot) -> Snapshot:
        with self._narrator.station("features") as said:
            preparing.commit_delays(self._workspace, flights)
            features = preparing.commit_features(self._workspace, flights)
            self._leak = preparing.leak_figures(self._workspace, features, flights, self._span)
            said.append(
                f"{len(plan.VIEWS)} views joined to {human_count(features.rows)} flights, each as it was known "
                "an hour before departure"
            )
            said.append(
                f"a join by schedule would promise AUC {self._leak['naive']:.3f}, because it looks ahead; "
                f"the honest figure is {self._leak['honest']:.3f}"
            )
        return features

    def _pipeline(self, file: Path, features: Snapshot) -> None:
        with self._narrator.station("pipeline") as said:
            first = self._train(file, features)
            second = self._train(file, features)
            before = modelling.edit(file)
            try:
                edited = self._train(file, features)
            finally:
                file.write_text(before, encoding="utf-8")
            said.append(f"{modelling.describe_run(first)}; again: {modelling.describe_run(second)}")
            said.append(f"after an edit to a helper: {modelling.describe_run(edited)}")
            said += [f"  {step.step}: {step.reason}" for step in edited.steps]

    def _train(self, file: Path, features: Snapshot) -> PipelineRun:
        return modelling.run_training(self._workspace, modelling.load_project(file), features, self._span)

    def _runs(self, features: Snapshot) -> tuple[Snapshot, float]:
        with self._narrator.station("runs") as said:
            training = modelling.commit_training_data(self._workspace, features, self._span)
            study = modelling.run_study(self._workspace, training, self._span, trials=4)
            strength = float(study.best_params["strength"])
            said.append(
                f"a study of {len(study.trials)} trials chose strength {strength:.3g} (AUC {study.best_value:.3f}); "
                "each run keeps params, metrics, code, diff and libraries"
            )
        return training, strength

    def _registry(self, training: Snapshot, strength: float) -> None:
        with self._narrator.station("registry") as said:
            champion = self._workspace.stores.models.find(plan.MODEL, alias="champion")
            if champion is None:
                champion, verdict = modelling.first_model(self._workspace, training, self._span, strength=strength)
                said.append(f"{champion.ref}, served by {champion.engine}; the gate: {verdict.reason}")
            else:
                said.append(f"{champion.ref} is the champion already")
            modelling.set_up_monitors(self._workspace)

    def _live(self, features: Snapshot) -> None:
        with serve_endpoint(self._workspace, plan.ENDPOINT) as client:
            with self._narrator.station("serve") as said:
                said.append(f"endpoint:{plan.ENDPOINT} answers at {client.url} (Open Inference Protocol, MLflow)")
            self._narrator.say(" 7 monitor, 8 loop: the year goes by, truths come hours later")
            Replay(self._workspace, client, features, self._span).run(self._narrator)

    def _trace(self, outcome: Outcome) -> None:
        trace = self._workspace.loop.trace(outcome.example)
        self._narrator.say(f" 9 trace      {trace.ref}: {trace.title}")
        firsts: dict[str, TraceStep] = {}
        for step in trace.back:
            firsts.setdefault(f"{step.relation} {Ref.parse(step.ref).kind}", step)
        for step in (firsts[kind] for kind in TOLD if kind in firsts):
            self._narrator.note(f"{step.relation.replace('_', ' ')} {step.ref}: {step.title}")
            for name in ("code", "library lock"):
                if name in step.facts:
                    self._narrator.note(f"  {name}: {step.facts[name]}", style="dim")

    def _end(self, outcome: Outcome) -> None:
        narrator = self._narrator
        narrator.say()
        narrator.table(month_table(outcome))
        narrator.say(
            f"{human_count(outcome.predictions)} predictions, {human_count(outcome.truths)} truths, "
            f"{outcome.reports} reports, {outcome.alerts} alerts, {len(outcome.promotions)} promotions, "
            f"{len(outcome.refusals)} refusals in {human_seconds(outcome.seconds)}"
        )
        command = f"{_program()} --dir {self._workspace.project or outcome.workspace}"
        narrator.say(f"Explore:  {command} up     then open http://127.0.0.1:{PORT}")
        narrator.say(f"          {command} trace {outcome.example}")


def _program() -> str:
    """Return how this program was started, as short as a shell takes it."""
    started = Path(sys.argv[0])
    if started.name != "interlock":
        return "interlock"
    return str(started.relative_to(Path.cwd()) if started.is_relative_to(Path.cwd()) else started)
