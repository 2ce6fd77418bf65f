from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from interlock.core.errors import InvalidInput
from interlock.loop.recipes import Candidate, Request, recipe
from interlock.loop.retraining import RetrainPolicy, bootstrap, retrain_params
from interlock.loop.rollouts import RolloutPolicy
from interlock.ports.journal import Event
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.trigger_store import Trigger
from tests.unit.loop.test_gates import held_back
from tests.unit.loop.world import DAY, START, World

asked: list[Request] = []
skill = 0.9


@recipe
def train(world: Any, request: Request) -> Candidate:
    """Register a candidate of the skill the test asked for."""
    asked.append(request)
    known = world.stores.datasets.find("training")
    version = world.add_model(skill, trained_on=known.ref if known else None)
    return Candidate(version, held_back=held_back(), label="truth", data="dataset:held@1")


POLICY = RetrainPolicy(endpoint="delay", model="delay", recipe=train.path, rollout=RolloutPolicy(min_rows=10))


@pytest.fixture(autouse=True)
def fresh() -> None:
    global skill
    asked.clear()
    skill = 0.9


@pytest.fixture
def live(world: World) -> World:
    world.deploy(world.add_model(0.3))
    world.stores.monitors.apply(Monitor("delay-auc", "delay", "performance", "auc", 0.7, "below"))
    world.loop.retrain_on_alert("retrain", POLICY)
    return world


def alert(world: World, day: int) -> str:
    start = START + day * DAY
    report = Report(f"r{day}", "delay-auc", start, start + DAY, 900, 0.6, 0.5, 0.65, True, "model:delay@1")
    _, opened = world.stores.monitors.add_report(report, reason="AUC 0.600 is below 0.700")
    assert opened is not None
    return opened.id


def fire(world: World, day: int) -> list[str]:
    upto = START + (day + 1) * DAY
    return world.loop.triggers.run_due(now=upto, upto=upto)


def newest(world: World, kind: str) -> Event:
    return world.stores.journal.events(kinds=[kind], newest_first=True, limit=1)[0]


def test_an_alert_becomes_a_candidate_in_the_shadow(live: World) -> None:
    opened = alert(live, 0)
    (line,) = fire(live, 0)
    assert "passed the gate and goes into the shadow" in line
    assert [(one.as_of, one.cause) for one in asked] == [(START + DAY, f"alert:{opened}")]
    assert [d.role for d in live.stores.deployments.get("delay").deployments] == ["live", "shadow"]
    closed = live.stores.monitors.get_alert(opened)
    assert closed.closed_at == START + DAY
    assert closed.resolution is not None
    assert "model:delay@2" in closed.resolution
    back = live.stores.journal.walk("model:delay@2", direction="back", depth=1)
    assert f"alert:{opened}" in {edge.source for edge in back}


def test_a_refused_candidate_changes_nothing_and_says_why(live: World) -> None:
    global skill
    skill = 0.3
    opened = alert(live, 0)
    before = live.stores.deployments.get("delay")
    (line,) = fire(live, 0)
    assert "refused: AUC gain" in line
    assert live.stores.deployments.get("delay") == before
    assert newest(live, "retrain.finished").payload["passed"] is False
    resolution = live.stores.monitors.get_alert(opened).resolution
    assert resolution is not None
    assert "is not surely above" in resolution


def test_an_alert_during_a_rollout_waits_for_it(live: World) -> None:
    alert(live, 0)
    fire(live, 0)
    second = alert(live, 1)
    (line,) = fire(live, 1)
    assert "waits: model:delay@2 is in its shadow stage" in line
    assert len(asked) == 1
    assert live.stores.monitors.get_alert(second).closed_at is not None


def test_two_retrains_keep_their_distance(live: World) -> None:
    global skill
    skill = 0.3
    for day, expected in ((0, 1), (7, 1), (15, 2)):
        alert(live, day)
        fire(live, day)
        assert len(asked) == expected


def test_a_failing_recipe_is_recorded(live: World) -> None:
    live.loop.retrain_on_alert("retrain", replace(POLICY, recipe="no_such_module:train"))
    opened = alert(live, 0)
    (line,) = fire(live, 0)
    assert "failed: there is no recipe" in line
    assert live.stores.monitors.get_alert(opened).closed_at is None


@pytest.mark.parametrize(
    "params", [{}, {"endpoint": "delay"}, {"nope": 1}, {**retrain_params(POLICY), "cooldown_s": "long"}]
)
def test_params_that_are_no_policy_are_refused_before_they_are_stored(live: World, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="no retrain policy"):
        live.loop.triggers.apply(Trigger(name="odd", action="retrain", on="x.y", params=params))
    assert [trigger.name for trigger in live.stores.triggers.triggers()] == ["retrain"]


def test_bootstrap_is_done_once(world: World) -> None:
    first, second = world.add_model(0.5), world.add_model(0.6)
    for version in (first, first, second):
        bootstrap(world, candidate=version.ref, endpoint="delay", reason="first")  # type: ignore[arg-type]
    assert world.stores.models.aliases("delay") == {"champion": 1}
    assert world.stores.deployments.get("delay").revision == 1


def test_a_schedule_can_retrain_without_an_alert(live: World) -> None:
    live.loop.triggers.apply(Trigger(name="weekly", action="retrain", cron="0 4 * * *", params=retrain_params(POLICY)))
    live.loop.triggers.run_due(now=START, upto=START)
    live.loop.triggers.run_due(now=START + DAY, upto=START + DAY + timedelta(hours=1))
    assert [one.cause for one in asked] == [None]
