from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from interlock.core.errors import NotFound
from interlock.loop.retraining import RetrainPolicy
from interlock.loop.rollouts import RolloutPolicy
from interlock.ports.monitor_store import Monitor
from tests.unit.loop import test_retraining
from tests.unit.loop.world import DAY, START, World

WEEK = 7 * DAY


@pytest.fixture(autouse=True)
def skilled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the recipe train good candidates, whatever a test before asked of it."""
    monkeypatch.setattr(test_retraining, "skill", 0.9)


def set_up(world: World) -> None:
    rng = np.random.default_rng(0)
    rows = pa.table({"x": rng.normal(size=500), "origin": [("EWR", "JFK", "LGA")[n % 3] for n in range(500)]})
    snapshot = world.data.commit("training", rows)
    world.deploy(world.add_model(0.3, trained_on=snapshot.ref))
    world.monitoring.apply(
        Monitor(
            "drift",
            "delay",
            "drift",
            "psi",
            0.25,
            window_s=86_400.0,
            min_rows=100,
            settings={"start": START.isoformat()},
        )
    )
    world.monitoring.apply(
        Monitor(
            "auc",
            "delay",
            "performance",
            "auc",
            0.9,
            "below",
            window_s=86_400.0,
            min_rows=100,
            settings={"start": START.isoformat(), "delay_s": 43_200.0},
        )
    )
    policy = RetrainPolicy(
        endpoint="delay",
        model="delay",
        recipe=test_retraining.train.path,
        rollout=RolloutPolicy(shadow_s=86_400, canary_s=86_400, truth_delay_s=43_200, min_rows=50),
    )
    world.loop.retrain_on_alert("retrain", policy, monitor="auc")


def test_the_loop_turns_from_a_weak_window_to_a_promotion_by_itself(world: World) -> None:
    set_up(world)
    heard: list[str] = []
    world.loop.on_routed(heard.append)
    turns = []
    for day in range(8):
        world.serve(START + day * DAY, seed=day)
        turns.append(world.loop.tick(upto=START + (day + 1) * DAY))
    alerts = [alert for turn in turns for alert in turn.alerts]
    actions = [line for turn in turns for line in turn.actions]
    moves = [line for turn in turns for line in turn.moves]
    assert len(alerts) >= 1
    assert "goes into the shadow" in actions[0]
    assert moves == ["model:delay@2 is canary at endpoint:delay", "model:delay@2 is promoted at endpoint:delay"]
    assert heard == ["delay"] * 3
    assert world.stores.models.aliases("delay") == {"champion": 2}
    assert sum(len(turn.reports) for turn in turns) >= 14


def test_a_drift_monitor_compares_with_what_the_live_version_was_trained_on(world: World) -> None:
    set_up(world)
    world.serve(START)
    world.loop.tick(upto=START + DAY)
    (report,) = world.stores.monitors.reports("drift")
    assert report.value is not None
    assert report.value < 0.25
    assert not report.breached


def test_without_training_data_there_is_nothing_to_compare_with(world: World) -> None:
    world.deploy(world.add_model(0.3))
    with pytest.raises(NotFound, match="nothing to compare with"):
        world.loop.reference(Monitor("drift", "delay", "drift", "psi", 0.25))


def test_the_face_asks_its_parts(world: World) -> None:
    set_up(world)
    assert world.loop.trace("dataset:training").ref == "dataset:training@1"
    assert len(world.loop.stations()) == 13
    assert world.loop.missing_artifacts() == []
