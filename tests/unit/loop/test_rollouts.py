from __future__ import annotations

import pytest
from msgspec.structs import replace

from interlock.core.errors import Conflict
from interlock.core.ids import new_id
from interlock.loop.rollouts import Rollout, RolloutPolicy, Rollouts
from interlock.ports.deployment_store import Deployment
from interlock.ports.model_store import ModelVersion, Verdict
from interlock.ports.prediction_log import Feedback
from tests.unit.loop.world import DAY, START, World

POLICY = RolloutPolicy(shadow_s=86_400, canary_s=86_400, truth_delay_s=43_200, min_rows=20)


def passed(candidate: ModelVersion) -> Verdict:
    return Verdict(
        id=new_id(),
        model="delay",
        candidate=candidate.ref,
        champion=None,
        passed=True,
        checks=(),
        reason="better",
        data=None,
        created_at=START,
    )


def begin(world: World, *, champion: float, candidate: float) -> tuple[Rollouts, ModelVersion, ModelVersion]:
    old, new = world.add_model(champion), world.add_model(candidate)
    world.deploy(old)
    rollouts = Rollouts(world)  # type: ignore[arg-type]
    rollouts.start("delay", candidate=new.ref, verdict=passed(new), at=START, policy=POLICY, cause="alert:a")
    return rollouts, old, new


def roles(world: World) -> dict[str, str]:
    return {d.model: d.role for d in world.stores.deployments.get("delay").deployments}


def stage(rollout: Rollout | None) -> str:
    assert rollout is not None
    return rollout.stage


def test_a_better_candidate_goes_through_shadow_and_canary_to_live(world: World) -> None:
    rollouts, old, new = begin(world, champion=0.2, candidate=0.9)
    assert roles(world) == {old.ref: "live", new.ref: "shadow"}
    world.serve(START)
    assert stage(rollouts.advance("delay", upto=START + DAY)) == "shadow", "truths are still awaited"
    assert stage(rollouts.advance("delay", upto=START + 1.5 * DAY)) == "canary"
    assert roles(world) == {old.ref: "live", new.ref: "canary"}
    world.serve(START + 1.5 * DAY, seed=1)
    assert stage(rollouts.advance("delay", upto=START + 3 * DAY)) == "promoted"
    assert roles(world) == {new.ref: "live"}
    assert world.stores.models.aliases("delay") == {"champion": new.version}
    assert [v.stage for v in world.stores.models.verdicts()] == ["canary", "shadow"]
    move = world.stores.models.alias_history("delay")[0]
    assert move.verdict == world.stores.models.verdicts()[0].id


def test_a_worse_candidate_is_rolled_back_from_the_shadow(world: World) -> None:
    rollouts, old, _ = begin(world, champion=0.9, candidate=-0.5)
    world.serve(START)
    assert stage(rollouts.advance("delay", upto=START + 2 * DAY)) == "rolled_back"
    assert roles(world) == {old.ref: "live"}
    assert world.stores.models.aliases("delay") == {"champion": old.version}
    verdict = world.stores.models.verdicts()[0]
    assert not verdict.passed
    assert "may lose more" in verdict.reason


def test_a_candidate_that_fails_only_on_callers_is_rolled_back_from_the_canary(world: World) -> None:
    rollouts, old, new = begin(world, champion=0.6, candidate=0.9)
    world.serve(START)
    rollouts.advance("delay", upto=START + 2 * DAY)
    world.skills[new.ref] = -0.9
    world.serve(START + 2 * DAY, seed=1)
    assert stage(rollouts.advance("delay", upto=START + 4 * DAY)) == "rolled_back"
    assert roles(world) == {old.ref: "live"}
    assert "clearly worse" in world.stores.models.verdicts()[0].reason


def test_with_too_few_judged_rows_a_stage_goes_on(world: World) -> None:
    rollouts, _, _ = begin(world, champion=0.2, candidate=0.9)
    world.serve(START, rows=10)
    assert stage(rollouts.advance("delay", upto=START + 5 * DAY)) == "shadow"


def test_where_only_one_class_was_seen_a_stage_goes_on(world: World) -> None:
    rollouts, _, _ = begin(world, champion=0.2, candidate=0.9)
    world.serve(START)
    kept = world.stores.predictions.window("delay", start=START, end=START + DAY)
    world.stores.predictions.feedback(
        [Feedback(row.prediction.id, 0, row.prediction.event_time + 10**12, "later") for row in kept]
    )
    assert stage(rollouts.advance("delay", upto=START + 2 * DAY)) == "shadow"


def test_only_one_rollout_of_an_endpoint_at_a_time(world: World) -> None:
    rollouts, _, new = begin(world, champion=0.2, candidate=0.9)
    other = world.add_model(0.5)
    with pytest.raises(Conflict) as caught:
        rollouts.start("delay", candidate=other.ref, verdict=passed(other), at=START, policy=POLICY, cause=None)
    assert new.ref in caught.value.what


def test_a_killed_process_is_made_good_by_the_next_advance(world: World) -> None:
    """Whatever was recorded last, the routing and the alias follow it."""
    rollouts, old, new = begin(world, champion=0.2, candidate=0.9)
    begun = world.stores.deployments.get("delay")
    for recorded, wanted in (
        ("canary", {old.ref: "live", new.ref: "canary"}),
        ("promoted", {new.ref: "live"}),
    ):
        now = rollouts.current("delay")
        assert now is not None
        rollouts._record(replace(now, stage=recorded), reason="killed here")
        rollouts.advance("delay", upto=START)
        assert roles(world) == wanted
    assert world.stores.deployments.get("delay").revision > begun.revision
    assert world.stores.models.aliases("delay")["champion"] == new.version


def test_a_record_of_a_shadow_without_its_routing_is_aligned(world: World) -> None:
    rollouts, old, new = begin(world, champion=0.2, candidate=0.9)
    world.stores.deployments.route("delay", [Deployment(old.ref, "live", 1.0)])
    rollouts.advance("delay", upto=START)
    assert roles(world) == {old.ref: "live", new.ref: "shadow"}


def test_without_a_rollout_there_is_nothing_to_advance(world: World) -> None:
    world.deploy(world.add_model(0.5))
    rollouts = Rollouts(world)  # type: ignore[arg-type]
    assert rollouts.advance("delay", upto=START) is None
    assert rollouts.current("delay") is None


def test_a_host_hears_of_every_routing(world: World) -> None:
    heard: list[str] = []
    old, new = world.add_model(0.2), world.add_model(0.9)
    world.deploy(old)
    rollouts = Rollouts(world, on_routed=heard.append)  # type: ignore[arg-type]
    rollouts.start("delay", candidate=new.ref, verdict=passed(new), at=START, policy=POLICY, cause=None)
    rollouts.advance("delay", upto=START)
    assert heard == ["delay"]
