"""Close the loop: an alert becomes a candidate, the candidate meets its gate, and the gate decides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from interlock.core.clock import from_micros, to_micros
from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref
from interlock.loop.gates import GatePolicy, judge
from interlock.loop.ground import Ground
from interlock.loop.recipes import Request, load_recipe
from interlock.loop.rollouts import ALIAS, RolloutPolicy, Rollouts
from interlock.loop.triggers import Firing
from interlock.ports.journal import Edge
from interlock.serving.rollout import begin


class RetrainPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When and how a model is trained again; the `params` of a trigger whose action is `retrain`.

    Args:
        endpoint: Name of the endpoint.
        model: Name of the registered model.
        recipe: Where the recipe is, as `module:name`.
        gate: What a candidate must show.
        rollout: How carefully it is let in.
        cooldown_s: Least event time between two retrains.
    """

    endpoint: str
    model: str
    recipe: str
    gate: GatePolicy = GatePolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    cooldown_s: float = 1_209_600.0


def retrain_params(policy: RetrainPolicy) -> dict[str, Any]:
    """Return a policy as the `params` of a trigger."""
    params: dict[str, Any] = msgspec.to_builtins(policy)
    return params


class Retraining:
    """The action `retrain`."""

    def __init__(self, ground: Ground, rollouts: Rollouts) -> None:
        self._ground = ground
        self._rollouts = rollouts

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse params that are no policy.

        Raises:
            InvalidInput: A field is missing, unknown or of the wrong type.
        """
        _policy(params)

    def __call__(self, firing: Firing) -> str:
        """Train a candidate, judge it, and start its rollout or refuse it; close the alert that asked."""
        policy = _policy(firing.trigger.params)
        cause = firing.event.subject if firing.event and firing.event.kind == "alert.opened" else None
        waiting = self._reason_to_wait(policy, firing, cause)
        if waiting is not None:
            self._resolve(cause, waiting, firing)
            return waiting
        outcome = self._retrain(policy, firing, cause)
        self._resolve(cause, outcome, firing)
        return outcome

    def _reason_to_wait(self, policy: RetrainPolicy, firing: Firing, cause: str | None) -> str | None:
        rollout = self._rollouts.current(policy.endpoint)
        if rollout is not None and rollout.is_open:
            return f"waits: {rollout.candidate} is in its {rollout.stage} stage"
        last = self._ground.stores.journal.events(
            kinds=["retrain.finished"], subject=f"endpoint:{policy.endpoint}", limit=1, newest_first=True
        )
        if last and last[0].payload["cause"] != cause:
            again = from_micros(last[0].payload["as_of"]) + timedelta(seconds=policy.cooldown_s)
            if firing.upto < again:
                return f"waits: the last retrain was less than {policy.cooldown_s / 86_400:.0f} days before"
        return None

    def _retrain(self, policy: RetrainPolicy, firing: Firing, cause: str | None) -> str:
        ground, journal = self._ground, self._ground.stores.journal
        subject = f"endpoint:{policy.endpoint}"
        journal.append("retrain.started", subject, payload={"cause": cause}, actor=f"trigger:{firing.trigger.name}")
        request = Request(endpoint=policy.endpoint, model=policy.model, as_of=firing.upto, cause=cause)
        candidate = load_recipe(policy.recipe)(ground, request)
        verdict = judge(
            ground,
            candidate=candidate.version,
            champion=ground.stores.models.find(policy.model, alias=ALIAS),
            table=candidate.held_back,
            label=candidate.label,
            policy=policy.gate,
            data=candidate.data,
        )
        if verdict.passed:
            self._rollouts.start(
                policy.endpoint,
                candidate=candidate.version.ref,
                verdict=verdict,
                at=firing.upto,
                policy=policy.rollout,
                cause=cause,
            )
        word = "passed the gate and goes into the shadow" if verdict.passed else "refused"
        journal.append(
            "retrain.finished",
            subject,
            payload={
                "cause": cause,
                "candidate": candidate.version.ref,
                "verdict": verdict.id,
                "passed": verdict.passed,
                "reason": verdict.reason,
                "as_of": to_micros(firing.upto),
            },
            actor=f"trigger:{firing.trigger.name}",
            edges=[Edge(cause, candidate.version.ref, "set_off")] if cause else [],
        )
        return f"{candidate.version.ref} {word}: {verdict.reason}"

    def _resolve(self, cause: str | None, outcome: str, firing: Firing) -> None:
        if cause is None:
            return
        alert = Ref.parse(cause).name
        if self._ground.stores.monitors.get_alert(alert).closed_at is None:
            self._ground.stores.monitors.resolve(alert, resolution=outcome, at=firing.upto)


def _policy(params: Mapping[str, Any]) -> RetrainPolicy:
    try:
        return msgspec.convert(params, RetrainPolicy)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            "the params of the trigger are no retrain policy",
            why=str(error),
            fix="retrain_params(RetrainPolicy(endpoint=…, model=…, recipe='module:name'))",
        ) from error


def bootstrap(
    ground: Ground, *, candidate: str, endpoint: str, alias: str = ALIAS, verdict: str | None = None, reason: str
) -> None:
    """Make a first version the champion and put it behind an endpoint; doing it again changes nothing."""
    ref = Ref.parse(candidate, kind="model")
    stores = ground.stores
    if stores.models.aliases(ref.name).get(alias) is None:
        stores.models.set_alias(ref.name, alias, version=ref.number, expect=0, reason=reason, verdict=verdict)
    if stores.deployments.find(endpoint) is None:
        stores.deployments.route(endpoint, begin(candidate), expect=0, reason=reason)
