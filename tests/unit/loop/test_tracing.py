from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from msgspec.structs import replace

from interlock.core.errors import InvalidInput, NotFound
from interlock.core.ids import new_id
from interlock.core.schema import Column
from interlock.loop.gates import GatePolicy, judge
from interlock.loop.tracing import Trace, trace
from interlock.ports.feature_store import FeatureView
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.prediction_log import Prediction
from interlock.ports.run_store import MetricPoint, Run, RunBatch
from tests.unit.loop.test_gates import held_back
from tests.unit.loop.world import DAY, START, World


def way(world: World, ref: str) -> Trace:
    return trace(world, ref)  # type: ignore[arg-type]


@pytest.fixture
def told(world: World) -> World:
    """Flights → training run → version → verdict and endpoint → predictions, one of them with a feature row."""
    flights = world.data.commit("flights", held_back(600))
    run = Run(
        id=new_id(),
        experiment="e",
        kind="training",
        name="january",
        status="running",
        started_at=START,
        params={"strength": 0.1, "note": "x" * 80},
        code={"commit": "0123456789abcdef", "dirty": True},
        libraries={f"lib{n}": "1.0" for n in range(10)},
    )
    world.stores.runs.create(run, edges=[Edge(flights.ref, f"run:{run.id}", "trained_on")])
    world.stores.runs.log(run.id, RunBatch(metrics=(MetricPoint("auc", 0.7, 0, 0),)))
    version = world.add_model(0.9, trained_on=f"run:{run.id}")
    judge(
        world,  # type: ignore[arg-type]
        candidate=version,
        champion=None,
        table=held_back(),
        label="truth",
        policy=GatePolicy(),
        data=flights.ref,
    )
    world.deploy(version)
    world.serve(START, rows=30)
    asked = pa.table({"flight_id": ["f1", "f2"], "x": [0.5, float("nan")], "origin": ["EWR", None]})
    world.data.commit("features", asked)
    return world


def ask(world: World, name: str, inputs: tuple[Any, ...], context: dict[str, str]) -> None:
    world.stores.predictions.append(
        [Prediction(name, "delay", "model:delay@1", "live", 0, 0, inputs, {"probability": 0.25}, 1, context)]
    )


def test_a_prediction_leads_back_to_everything_that_made_it(told: World) -> None:
    found = way(told, "prediction:0101-00000")
    kinds = [step.ref.partition(":")[0] for step in found.back]
    assert kinds[:2] == ["deployment", "model"]
    assert {"run", "dataset", "verdict"} <= set(kinds)
    run = next(step for step in found.back if step.ref.startswith("run:"))
    assert run.facts["code"] == "commit 0123456789 with uncommitted changes"
    assert run.facts["library lock"].startswith("b3:")
    assert run.facts["library lock"].endswith("lib7 1.0 and 2 more")
    assert run.facts["metrics"] == "auc 0.7"
    assert "…" in run.facts["params"]
    assert found.facts["inputs"].startswith("x=")
    assert "truth" in found.forward[0].title


def test_the_feature_row_is_compared_with_what_was_served(told: World) -> None:
    context = {"features": "dataset:features@1", "entity": "flight_id=f1", "channel": "app"}
    ask(told, "same", (0.5, "EWR"), context)
    ask(told, "gaps", (None, None), {**context, "entity": "flight_id=f2"})
    ask(told, "other", (0.75, "EWR"), context)
    ask(told, "gone", (0.5, "EWR"), {**context, "entity": "flight_id=f9"})
    ask(told, "odd", (0.5, "EWR"), {**context, "entity": "tail=f9"})
    ask(told, "lost", (0.5, "EWR"), {**context, "features": "dataset:nowhere@1"})
    ask(told, "junk", (0.5, "EWR"), {**context, "features": "\x00 not a ref"})
    titles = {
        name: next(step.title for step in way(told, f"prediction:{name}").back if step.relation == "asked_with")
        for name in ("same", "gaps", "other", "gone", "odd", "lost", "junk")
    }
    assert titles["same"].endswith("equal to what was served")
    assert titles["gaps"].endswith("equal to what was served")
    assert titles["other"].endswith("NOT what was served")
    assert titles["gone"].startswith("no row with")
    assert "has no column 'tail'" in titles["odd"]
    assert "there is no dataset 'nowhere'" in titles["lost"]
    assert "not a" in titles["junk"]
    assert way(told, "prediction:same").facts["channel"] == "app"


def test_without_a_truth_it_says_so(told: World) -> None:
    ask(told, "new", (0.5, "EWR"), {})
    found = way(told, "prediction:new")
    assert "truth not known yet" in found.title
    assert found.forward == ()


def test_shadows_are_shown_beside_the_answer(told: World) -> None:
    ask(told, "p", (0.5, "EWR"), {})
    answer = told.stores.predictions.find("p")[0].prediction
    told.add_model(0.1)
    told.stores.predictions.append([replace(answer, model="model:delay@2", role="shadow")])
    assert way(told, "prediction:p").facts["in the shadow model:delay@2"] == "0.25"


def test_a_snapshot_leads_forward(told: World) -> None:
    found = way(told, "dataset:flights")
    assert found.ref == "dataset:flights@1"
    assert found.title == "600 rows × 3 columns"
    forward = [step.ref for step in found.forward]
    assert "model:delay@1" in forward
    assert "endpoint:delay" in forward
    assert found.back == ()


def test_every_kind_of_thing_is_described(told: World) -> None:
    told.stores.monitors.apply(Monitor("auc", "delay", "performance", "auc", 0.7, "below"))
    report = Report("r", "auc", START, START + DAY, 900, 0.6, None, None, True, "model:delay@1")
    _, alert = told.stores.monitors.add_report(report, reason="AUC fell")
    assert alert is not None
    assert way(told, f"alert:{alert.id}").title == "AUC fell"
    told.stores.monitors.resolve(alert.id, resolution="retrained", at=START + DAY)
    assert way(told, f"alert:{alert.id}").facts == {"resolution": "retrained"}
    assert way(told, "model:delay@champion").ref == "model:delay@1"
    assert way(told, "endpoint:delay").facts == {"behind it": "live model:delay@1 100%"}
    assert way(told, "deployment:delay/1").facts["behind it"] == "live model:delay@1 100%"
    verdict = told.stores.models.verdicts()[0]
    assert "gate passed" in way(told, f"verdict:{verdict.id}").title
    assert way(told, "report:r").title == "report"
    assert way(told, "monitor:auc").title == "performance: fires where auc is below 0.7"
    told.labels.add("truths", [Annotation(id="a", item="prediction:p", value=1, annotator="ada", time=START)])
    told.labels.freeze("truths", as_of=START)
    assert way(told, "labels:truths@1").title == "1 labels"
    view = FeatureView("weather", ("origin",), (Column("temp", "double"),), "observed", description="the weather")
    told.stores.features.apply(view)
    assert way(told, "feature:weather@1").facts == {"features": "temp", "by": "origin"}


def test_quarantined_rows_are_told(world: World) -> None:
    from interlock.data.rules import in_range

    world.data.commit("flights", held_back(50), rules=[in_range("x", -1, 1, name="x is small")])
    assert way(world, "dataset:flights").facts["quarantined"].startswith("x is small ")


def test_a_run_outside_git_shows_where_it_began(world: World) -> None:
    run = Run(
        id=new_id(),
        experiment="e",
        kind="training",
        name="r",
        status="running",
        started_at=START,
        code={"entry_point": "train.py"},
    )
    world.stores.runs.create(run)
    assert way(world, f"run:{run.id}").facts["code"] == "train.py"


@pytest.mark.parametrize("ref", ["prediction:none", "dataset:none", "report:none", "deployment:delay/9", "run:none"])
def test_unknown_things_are_not_found(told: World, ref: str) -> None:
    with pytest.raises(NotFound):
        way(told, ref)


def test_what_is_no_ref_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput):
        way(world, "nonsense")
