"""A workspace with a little of everything in it, and a way to run commands on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from interlock.cli.main import main
from interlock.core.clock import FrozenClock, to_micros
from interlock.core.schema import Column, Signature
from interlock.data.rules import not_null
from interlock.ports.deployment_store import Deployment
from interlock.ports.feature_store import FeatureView, OnlineRow
from interlock.ports.label_store import Annotation
from interlock.ports.model_store import GateCheck, ModelVersion, PackageFile, Verdict
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.prediction_log import Prediction
from interlock.ports.run_store import ArtifactEntry, MetricPoint, Run, RunBatch
from interlock.workspace import Workspace, open_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Result:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


Runner = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """Run a command line in this process, with `--dir` set to the seeded workspace's folder."""
    monkeypatch.delenv("INTERLOCK_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        code = main([*words, "--dir", str(tmp_path / "ws")])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    yield run


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """The workspace that `cli` opens, empty."""
    with open_workspace(tmp_path / "ws", clock=FrozenClock(NOW)) as opened:
        yield opened


@pytest.fixture
def seeded(workspace: Workspace) -> Workspace:
    """The same with a little of everything."""
    _data(workspace)
    _runs(workspace)
    _models(workspace)
    _serving(workspace)
    return workspace


def _data(workspace: Workspace) -> None:
    rows = {"id": [1, 2, 3], "delay": [4.0, None, 31.0], "origin": ["EWR", "JFK", "JFK"]}
    workspace.data.commit("flights", rows, rules=[not_null("delay")], message="first")
    workspace.data.commit("flights", {"id": [1, 9], "delay": [4.0, 8.0], "origin": ["EWR", "LGA"]}, message="second")
    workspace.labels.add("late", [Annotation("1", "a", True, "person:ada", NOW), Annotation("2", "a", False, "x", NOW)])
    workspace.labels.freeze("late")
    columns = (Column("seats", "long"), Column("age", "double", unit="years"))
    view = workspace.stores.features.apply(
        FeatureView(name="planes", entity=("tail",), features=columns, known_at="built", source="dataset:flights")
    )
    workspace.stores.online.write(view.name, [OnlineRow(("N1",), NOW, {"seats": 100})])


def _runs(workspace: Workspace) -> None:
    runs = workspace.stores.runs

    def record(run_id: str, kind: str, *, parent: str | None = None, **params: Any) -> None:
        run = Run(
            id=run_id, experiment="delay", kind=kind, name=f"a {kind}", status="running", started_at=NOW, parent=parent
        )
        runs.create(run)
        point = MetricPoint("auc", 0.5 + params.get("alpha", 0.0), 1, to_micros(NOW))
        files = (ArtifactEntry("notes.txt", workspace.stores.artifacts.put(run_id.encode()).digest, len(run_id)),)
        runs.log(run_id, RunBatch(metrics=(point,), params=params, artifacts=files))
        runs.end(run_id, status="finished", ended_at=NOW + timedelta(seconds=90))

    record("run-1", "training", alpha=0.1)
    record("run-2", "training", alpha=0.2, depth=3)
    record("study-1", "study")
    record("trial-1", "trial", parent="study-1", alpha=0.25)
    record("pipeline-1", "pipeline")


def _models(workspace: Workspace) -> None:
    put = workspace.stores.artifacts.put
    signature = Signature((Column("x", "double"),), (Column("probability", "double"),))
    for number in (1, 2):
        workspace.stores.models.add_version(
            ModelVersion(
                model="delay",
                version=0,
                created_at=NOW,
                files=(PackageFile("MLmodel", put(b"flavors: {}").digest, 11),),
                signature=signature,
                flavor="sklearn",
                engine="onnx",
                run="run-1",
                metrics={"auc": 0.7 + number / 100},
                card=put(f"# delay {number}\n".encode()).digest,
                facts={"speedup": 40.0},
            )
        )
    workspace.stores.models.set_alias("delay", "champion", version=1, reason="the first")
    check = GateCheck("auc", passed=False, value=0.7)
    workspace.stores.models.add_verdict(
        Verdict(
            id="v1",
            model="delay",
            candidate="model:delay@2",
            champion="model:delay@1",
            passed=False,
            checks=(check,),
            reason="it is worse",
            data="dataset:flights@1",
            created_at=NOW,
        )
    )


def _serving(workspace: Workspace) -> None:
    store = workspace.stores.deployments
    store.route("delay", [Deployment("model:delay@1", "live", 1.0)], reason="the first")
    store.route("delay", [Deployment("model:delay@1", "live", 1.0), Deployment("model:delay@2", "shadow", 0.0)])
    micros = to_micros(NOW)
    workspace.stores.predictions.append(
        [Prediction("p1", "delay", "model:delay@1", "live", micros, micros, (0.5,), {"probability": 0.25})]
    )
    workspace.stores.predictions.flush()
    monitors = workspace.stores.monitors
    monitors.apply(Monitor(name="delay-auc", endpoint="delay", kind="performance", metric="auc", threshold=0.7))
    monitors.add_report(
        Report(
            id="r1",
            monitor="delay-auc",
            start=NOW - timedelta(days=7),
            end=NOW,
            rows=900,
            value=0.61,
            low=0.58,
            high=0.64,
            breached=True,
            model="model:delay@1",
        ),
        reason="auc 0.61 is below 0.7",
    )
