"""A workspace with something at every station, for the pages to show: few records, through the real stores.

Run `python -m tests.journeys.lived_in` to look at it: it serves the web interface and keeps on having events.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa

from interlock.core.clock import to_micros
from interlock.core.ids import new_id
from interlock.core.schema import Column, Signature
from interlock.data.rules import in_range, not_null
from interlock.loop.stations import stations
from interlock.loop.tracing import trace
from interlock.pipelines.outcomes import STEPS_FILE, StepOutcome
from interlock.ports.deployment_store import Deployment
from interlock.ports.feature_store import FeatureView
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation
from interlock.ports.model_store import GateCheck, ModelVersion, PackageFile, Verdict
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.prediction_log import Feedback, Prediction
from interlock.ports.run_store import DIFF_FILE, ArtifactEntry, MetricPoint, Run, RunBatch
from interlock.server.app import create_app
from interlock.server.serve import listen, serving
from interlock.workspace import Workspace, open_workspace

START = datetime(2013, 1, 7, tzinfo=UTC)
WEEK = timedelta(days=7)
CARD = """# delay

Says how likely a flight leaves **late**; see [the tower](https://example.org/tower).

| metric | value |
|---|---|
| auc | 0.735 |

<img src=x onerror="document.title = 'owned'"> [not a link](javascript:alert(1))
"""
DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-depth = 3\n+depth = 5\n"
SIGNATURE = Signature(
    (Column("carrier", "string", nullable=False), Column("wind_speed", "double", unit="mph")),
    (Column("probability", "double", nullable=False),),
)


def fill(workspace: Workspace) -> None:
    """Put something at every station."""
    _commit(workspace)
    runs = [_train(workspace, depth) for depth in (3, 4, 5)]
    _search(workspace)
    _run_pipeline(workspace)
    for run in runs:
        _register(workspace, run)
    _judge(workspace, 2, 0.011)
    _judge(workspace, 2, 0.004, stage="shadow")
    _judge(workspace, 3, -0.004)
    _route(workspace)
    _predict(workspace)
    _watch(workspace)
    workspace.stores.journal.append(
        "retrain.finished", "model:delay@3", payload={"candidate": "model:delay@3", "passed": False}
    )


def _commit(workspace: Workspace) -> None:
    draw = random.Random(1)
    table = pa.table(
        {
            "carrier": [draw.choice(["UA", "B6", "DL"]) for _ in range(400)],
            "wind_speed": [draw.gauss(11, 5) for _ in range(400)],
            "dep_delay": [None if place % 50 == 0 else draw.expovariate(0.1) for place in range(400)],
        }
    )
    rules = [not_null("dep_delay"), in_range("wind_speed", 0, 60)]
    workspace.data.commit("flights", table, rules=rules, message="the first weeks", source="invented")
    served = pa.table({"flight": ["UA8", "UA9"], "carrier": ["UA", "UA"], "wind_speed": [3.0, 11.5]})
    workspace.data.commit("features", served, message="point-in-time join", derived_from=["dataset:flights@1"])
    said = [Annotation(f"a{place}", f"flight:{place}", place % 2, "feedback:delay", START) for place in range(20)]
    workspace.stores.labels.add("late", said)
    workspace.stores.labels.freeze("late", as_of=START + WEEK)
    view = FeatureView("weather", ("carrier",), (Column("wind_speed", "double"),), "time", source="dataset:flights@1")
    workspace.stores.features.apply(view)


def _train(workspace: Workspace, depth: int) -> Run:
    stores, now = workspace.stores, datetime.now(UTC)
    diff = stores.artifacts.put(DIFF.encode())
    run = stores.runs.create(
        Run(
            id=new_id(),
            experiment="flight-delay",
            kind="training",
            name=f"depth {depth}",
            status="running",
            started_at=now,
            params={"depth": depth, "learning_rate": 0.1},
            code={"commit": "9f2c1e7", "dirty": True},
            libraries={"scikit-learn": "1.9.0", "numpy": "2.4.1"},
            environment={"python": "3.13"},
        ),
        edges=[Edge("dataset:flights@1", "", "trained_on")],
    )
    curve = [0.735 - 0.2 * math.exp(-step / 10) for step in range(50)]
    points = [MetricPoint("auc", value, step, to_micros(now) + step) for step, value in enumerate(curve)]
    single = MetricPoint("log_loss", 0.41, 0, to_micros(now))
    kept = tuple(ArtifactEntry(path, diff.digest, diff.size_bytes) for path in (DIFF_FILE, "plots/calibration.txt"))
    stores.runs.log(run.id, RunBatch(metrics=(*points, single), artifacts=kept))
    return stores.runs.end(run.id, status="finished", ended_at=now + timedelta(seconds=31))


def _search(workspace: Workspace) -> None:
    runs, now = workspace.stores.runs, datetime.now(UTC)
    kinds = (("study", "depths", None), ("pipeline", "nightly", None))
    study, _ = (runs.create(Run(new_id(), "flight-delay", kind, name, "running", now)) for kind, name, _ in kinds)
    for number in range(3):
        params = {"depth": 4 - 2 * number}
        trial = runs.create(
            Run(new_id(), "flight-delay", "trial", f"trial {number}", "running", now, parent=study.id, params=params)
        )
        runs.log(trial.id, RunBatch(metrics=(MetricPoint("auc", 0.7 - number / 50, 0, 0),)))
        status, error = ("failed", "ValueError: depth 0") if number == 2 else ("finished", None)
        runs.end(trial.id, status=status, ended_at=now, error=error)
    runs.end(study.id, status="finished", ended_at=now)


def _run_pipeline(workspace: Workspace) -> None:
    """A pipeline whose first step was taken from an earlier run, and whose second ran again."""
    stores, now = workspace.stores, datetime.now(UTC)
    pipeline = stores.runs.create(Run(new_id(), "weekly", "pipeline", "training", "running", now))
    step = stores.runs.create(Run(new_id(), "weekly", "step", "train", "running", now, parent=pipeline.id))
    outcomes = [
        StepOutcome("prepare", "k1", True, f"reused: same code, inputs and libraries as run {step.id}", 2.5, step.id),
        StepOutcome("train", "k2", False, "re-ran: constant `train.DEPTH` 3 → 5", 0.4, step.id),
    ]
    blob = stores.artifacts.put(msgspec.json.encode(outcomes))
    kept = ArtifactEntry(STEPS_FILE, blob.digest, blob.size_bytes)
    stores.runs.log(pipeline.id, RunBatch(artifacts=(kept,)))
    for run in (step, pipeline):
        stores.runs.end(run.id, status="finished", ended_at=now + timedelta(seconds=1))


def _register(workspace: Workspace, run: Run) -> None:
    card = workspace.stores.artifacts.put(CARD.encode())
    workspace.stores.models.add_version(
        ModelVersion(
            model="delay",
            version=0,
            created_at=datetime.now(UTC),
            files=(PackageFile("MLmodel", card.digest, card.size_bytes),),
            signature=SIGNATURE,
            flavor="sklearn",
            engine="onnx",
            run=run.id,
            metrics={"auc": 0.735},
            card=card.digest,
            facts={"speed_up": 38.2},
        )
    )


def _judge(workspace: Workspace, version: int, better_by: float, *, stage: str = "gate") -> None:
    slices = ("", " where origin=EWR", " where origin=JFK")
    checks = tuple(
        GateCheck(
            f"auc vs champion{name}", better_by > 0, better_by, better_by - 0.006, better_by + 0.006, 0.0, "by DeLong"
        )
        for name in slices
    )
    verdict = Verdict(
        id=new_id(),
        model="delay",
        candidate=f"model:delay@{version}",
        champion=f"model:delay@{version - 1}",
        passed=better_by > 0,
        checks=checks,
        reason=f"auc {better_by:+.3f} against delay@{version - 1}",
        data="dataset:flights@1",
        created_at=datetime.now(UTC),
        stage=stage,
    )
    workspace.stores.models.add_verdict(verdict)


def _route(workspace: Workspace) -> None:
    stores = workspace.stores
    stores.models.set_alias("delay", "champion", version=1, reason="the first")
    stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)], reason="the first")
    both = [Deployment("model:delay@1", "live", 0.9), Deployment("model:delay@2", "canary", 0.1)]
    stores.deployments.route("delay", both, reason="delay@2 passed the gate")


def _predict(workspace: Workspace) -> None:
    log, draw = workspace.stores.predictions, random.Random(2)
    asked = [
        Prediction(
            id=f"UA{number}-2013-12-23",
            endpoint="delay",
            model="model:delay@2" if number % 9 == 0 else "model:delay@1",
            role="canary" if number % 9 == 0 else "live",
            event_time=to_micros(START + WEEK * 50),
            served_at=to_micros(datetime.now(UTC)) + number,
            inputs=("UA", 11.5),
            outputs={"probability": round(draw.random(), 4)},
            revision=2,
            context={"features": "dataset:features@1", "entity": f"flight=UA{number}"},
        )
        for number in range(30)
    ]
    log.append(asked)
    log.feedback([Feedback(one.id, int(draw.random() > 0.7), one.served_at + 1) for one in asked[:20]])


def _watch(workspace: Workspace) -> None:
    store, draw = workspace.stores.monitors, random.Random(3)
    store.apply(Monitor("delay-auc", "delay", "performance", "auc", 0.7, direction="below"))
    store.apply(Monitor("delay-drift", "delay", "drift", "psi", 0.25))
    for week in range(26):
        auc = 0.724 + 0.015 * math.sin(week / 5) + draw.gauss(0, 0.005)
        psi = 0.31 if week == 25 else 0.1 + 0.04 * math.sin(week / 4)
        for name, value, broken in (("delay-auc", auc, auc < 0.7), ("delay-drift", psi, psi > 0.25)):
            start = START + WEEK * week
            report = Report(
                new_id(), name, start, start + WEEK, 6000, value, value - 0.01, value + 0.01, broken, "model:delay@1"
            )
            watched = [Edge(report.model, f"report:{report.id}", "watched_in")]
            store.add_report(report, reason=f"{name} is {value:.2f}" if broken else "", edges=watched)


@contextmanager
def served(workspace: Workspace, *, port: int = 0, token: str | None = None) -> Iterator[str]:
    """Serve a workspace with the web interface; give the address."""
    app = create_app(
        workspace, stations=lambda: stations(workspace), trace=lambda ref: trace(workspace, ref), token=token
    )
    try:
        with listen("127.0.0.1", port) as listener, serving(app, listener, on_stop=app.stop_streams) as url:
            yield url
    finally:
        app.close()


def main() -> None:
    """Serve, and let something happen every two seconds, until interrupted."""
    with open_workspace("memory:") as workspace, served(workspace, port=8899) as url:
        if "--empty" not in sys.argv:
            fill(workspace)
        print(url)
        for number in itertools.count():
            time.sleep(2)
            if "--empty" in sys.argv:
                continue
            kinds = (
                ("feedback.received", "endpoint:delay"),
                ("run.started", f"run:{new_id()}"),
                ("gate.passed", "model:delay@2"),
            )
            kind, subject = kinds[number % len(kinds)]
            workspace.stores.journal.append(kind, subject, payload={"accepted": 840} if kind.startswith("f") else {})


if __name__ == "__main__":
    main()
