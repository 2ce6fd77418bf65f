from __future__ import annotations

from interlock.core.ids import new_id
from interlock.loop.stations import PLAN, Station, stations
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.run_store import Run
from tests.unit.loop.test_gates import held_back
from tests.unit.loop.world import DAY, START, World


def by_id(world: World) -> dict[str, Station]:
    return {station.id: station for station in stations(world)}  # type: ignore[arg-type]


def test_an_empty_workspace_has_thirteen_empty_stations(world: World) -> None:
    found = stations(world)  # type: ignore[arg-type]
    assert [station.id for station in found] == [plan.id for plan in PLAN]
    assert {station.state for station in found} == {"empty"}
    assert {station.headline for station in found} == {"nothing yet"}


def test_a_used_station_counts_shows_its_last_event_and_calms_down(world: World) -> None:
    world.data.commit("flights", held_back(30))
    data = by_id(world)["data"]
    assert (data.state, data.count, data.headline) == ("active", 1, "1 datasets, 30 rows")
    assert data.last is not None
    assert data.last.kind == "dataset.committed"
    world.clock.advance(61)
    assert by_id(world)["data"].state == "idle"


def test_predictions_truths_and_versions_are_counted(world: World) -> None:
    world.deploy(world.add_model(0.5))
    world.serve(START, rows=20)
    found = by_id(world)
    assert (found["serve"].count, found["feedback"].count, found["registry"].count) == (20, 20, 1)
    assert found["deploy"].headline == "live delay@1"


def test_answers_of_the_last_minute_make_serving_active(world: World) -> None:
    world.deploy(world.add_model(0.5))
    world.serve(START, rows=20, days=0.0001)
    assert by_id(world)["serve"].state == "active"
    world.clock.advance(120)
    assert by_id(world)["serve"].state == "idle"


def test_trials_are_the_last_event_of_tuning(world: World) -> None:
    for kind in ("study", "trial", "training"):
        run = Run(id=new_id(), experiment="e", kind=kind, name=kind, status="running", started_at=START)
        world.stores.runs.create(run)
    found = by_id(world)
    assert found["tuning"].last is not None
    assert found["tuning"].last.payload["kind"] == "trial"
    assert found["runs"].last is not None
    assert found["runs"].last.payload["kind"] == "training"
    assert (found["runs"].count, found["tuning"].count) == (3, 1)


def test_an_open_alert_wants_attention(world: World) -> None:
    world.deploy(world.add_model(0.5))
    world.stores.monitors.apply(Monitor("auc", "delay", "performance", "auc", 0.7, "below"))
    report = Report("r", "auc", START, START + DAY, 900, 0.6, None, None, True, "model:delay@1")
    _, alert = world.stores.monitors.add_report(report, reason="AUC fell")
    assert (by_id(world)["monitor"].state, by_id(world)["monitor"].headline) == ("attention", "open: AUC fell")
    assert alert is not None
    world.stores.monitors.resolve(alert.id, resolution="retrained", at=START + DAY)
    assert by_id(world)["monitor"].headline == "last: AUC fell"


def test_gate_and_retrain_say_how_the_last_one_came_out(world: World) -> None:
    from interlock.loop.gates import GatePolicy, judge

    candidate = world.add_model(0.9)
    judge(
        world,  # type: ignore[arg-type]
        candidate=candidate,
        champion=None,
        table=held_back(),
        label="truth",
        policy=GatePolicy(),
    )
    world.stores.journal.append(
        "retrain.finished",
        "endpoint:delay",
        payload={"candidate": candidate.ref, "passed": False},
    )
    found = by_id(world)
    assert found["gate"].headline == "passed delay@1"
    assert found["retrain"].headline == "refused delay@1"
