"""Take a candidate from the gate to the callers: shadow, then canary, then live, or back.

The state of a rollout is the newest `rollout.*` event of its endpoint, so it survives a killed process: the
next `advance` brings the routing in line with the stage and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
import numpy as np

from interlock.core.clock import from_micros, to_micros
from interlock.core.errors import Conflict
from interlock.core.ids import new_id
from interlock.core.refs import Ref
from interlock.loop.gates import SCORE, checked
from interlock.loop.ground import Ground
from interlock.loop.outcomes import judged_rows
from interlock.monitoring.auc import delong, delong_paired
from interlock.ports.deployment_store import Deployment
from interlock.ports.model_store import GateCheck, Verdict
from interlock.serving.rollout import begin_canary, begin_shadow, promote, roll_back

Stage = Literal["shadow", "canary", "promoted", "rolled_back"]
ALIAS = "champion"


class RolloutPolicy(msgspec.Struct, frozen=True):
    """How carefully a candidate is let in. Times go by the predictions' event time.

    Args:
        shadow_s: How long it answers in the shadow.
        canary_s: How long it answers a share of the callers.
        canary_share: That share.
        truth_delay_s: How long after a prediction its truth is waited for.
        tolerance: Largest loss in AUC against the champion that is borne, at the interval's lower end in the
            shadow (paired), at the intervals' nearest ends in the canary (unpaired).
        level: Confidence level of the intervals.
        min_rows: With fewer judged rows a stage goes on.
    """

    shadow_s: float = 604_800.0
    canary_s: float = 604_800.0
    canary_share: float = 0.2
    truth_delay_s: float = 86_400.0
    tolerance: float = 0.01
    level: float = 0.95
    min_rows: int = 500


class Rollout(msgspec.Struct, frozen=True):
    """Where a candidate stands.

    Args:
        endpoint: Name of the endpoint.
        candidate: Ref of the version that wants in.
        champion: Ref of the version it would replace.
        stage: Where it stands.
        since: Event time at which the stage began, microseconds since 1970 UTC.
        policy: How it is let in.
        verdict: Id of the verdict that let it into this stage.
        cause: Ref of what set it off (an alert), if anything did.
    """

    endpoint: str
    candidate: str
    champion: str
    stage: Stage
    since: int
    policy: RolloutPolicy
    verdict: str | None = None
    cause: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has yet to end."""
        return self.stage in ("shadow", "canary")


class Rollouts:
    """Starts rollouts and moves them on.

    Args:
        ground: The workspace.
        on_routed: Called with an endpoint's name after its routing changed, so that a host can reload at once.
    """

    def __init__(self, ground: Ground, *, on_routed: Callable[[str], None] | None = None) -> None:
        self._ground = ground
        self.on_routed = on_routed

    def current(self, endpoint: str) -> Rollout | None:
        """Return the newest rollout of an endpoint, open or ended."""
        events = self._ground.stores.journal.events(
            kinds=["rollout."], subject=f"endpoint:{endpoint}", limit=1, newest_first=True
        )
        return msgspec.convert(events[0].payload, Rollout) if events else None

    def start(
        self, endpoint: str, *, candidate: str, verdict: Verdict, at: datetime, policy: RolloutPolicy, cause: str | None
    ) -> Rollout:
        """Put a candidate that passed its gate into the shadow.

        Raises:
            Conflict: Another rollout of the endpoint is open.
        """
        running = self.current(endpoint)
        if running is not None and running.is_open:
            raise Conflict(
                f"endpoint '{endpoint}' has a rollout of {running.candidate} under way",
                why=f"it is in its {running.stage} stage",
                fix=f"interlock endpoint show {endpoint}",
            )
        live = next(d for d in self._ground.stores.deployments.get(endpoint).deployments if d.role == "live")
        rollout = Rollout(
            endpoint=endpoint,
            candidate=candidate,
            champion=live.model,
            stage="shadow",
            since=to_micros(at),
            policy=policy,
            verdict=verdict.id,
            cause=cause,
        )
        self._record(rollout, reason=verdict.reason)
        self._align(rollout)
        return rollout

    def advance(self, endpoint: str, *, upto: datetime) -> Rollout | None:
        """Move the open rollout on if its stage is over; return it where it stands, or None."""
        rollout = self.current(endpoint)
        if rollout is None:
            return None
        self._align(rollout)
        if not rollout.is_open:
            return rollout
        policy = rollout.policy
        begun = from_micros(rollout.since)
        length = policy.shadow_s if rollout.stage == "shadow" else policy.canary_s
        ends = begun + timedelta(seconds=length)
        if upto < ends + timedelta(seconds=policy.truth_delay_s):
            return rollout
        check = self._compare(rollout, begun, ends)
        if check is None:
            return rollout
        verdict = self._ground.stores.models.add_verdict(
            Verdict(
                id=new_id(),
                model=Ref.parse(rollout.candidate).name,
                candidate=rollout.candidate,
                champion=rollout.champion,
                passed=check.passed,
                checks=(check,),
                reason=check.detail,
                data=None,
                created_at=self._ground.clock.now(),
                stage=rollout.stage,
            )
        )
        following: Stage = "rolled_back"
        if check.passed:
            following = "canary" if rollout.stage == "shadow" else "promoted"
        moved = msgspec.structs.replace(rollout, stage=following, since=to_micros(upto), verdict=verdict.id)
        self._record(moved, reason=check.detail)
        self._align(moved)
        return moved

    def _record(self, rollout: Rollout, *, reason: str) -> None:
        kinds = {"shadow": "shadow_started", "canary": "canary_started"}
        self._ground.stores.journal.append(
            f"rollout.{kinds.get(rollout.stage, rollout.stage)}",
            f"endpoint:{rollout.endpoint}",
            payload={**msgspec.to_builtins(rollout), "reason": reason},
            actor="loop",
        )

    def _align(self, rollout: Rollout) -> None:
        """Bring routing and alias in line with the stage; nothing happens where they are already."""
        stores = self._ground.stores
        endpoint = stores.deployments.get(rollout.endpoint)
        wanted = self._routing(rollout, endpoint.deployments)
        if wanted is not None:
            stores.deployments.route(
                rollout.endpoint,
                wanted,
                expect=endpoint.revision,
                reason=f"{rollout.stage.replace('_', ' ')}: {rollout.candidate}",
            )
            if self.on_routed is not None:
                self.on_routed(rollout.endpoint)
        if rollout.stage == "promoted":
            ref = Ref.parse(rollout.candidate)
            if stores.models.aliases(ref.name).get(ALIAS) != ref.number:
                stores.models.set_alias(
                    ref.name, ALIAS, version=ref.number, reason="held in canary", verdict=rollout.verdict
                )

    def _routing(self, rollout: Rollout, now: tuple[Deployment, ...]) -> tuple[Deployment, ...] | None:
        roles = {deployment.model: deployment.role for deployment in now}
        role = roles.get(rollout.candidate)
        if rollout.stage == "shadow" and role is None:
            return begin_shadow(now, rollout.candidate)
        if rollout.stage == "canary" and role != "canary":
            return begin_canary(now, rollout.candidate, share=rollout.policy.canary_share)
        if rollout.stage == "promoted" and role in ("shadow", "canary"):
            return promote(now, rollout.candidate)
        if rollout.stage == "rolled_back" and role in ("shadow", "canary"):
            return roll_back(now, rollout.candidate)
        return None

    def _compare(self, rollout: Rollout, start: datetime, end: datetime) -> GateCheck | None:
        ours = self._judged(rollout.endpoint, rollout.candidate, start, end)
        theirs = self._judged(rollout.endpoint, rollout.champion, start, end)
        if min(len(ours), len(theirs)) < rollout.policy.min_rows and rollout.stage == "shadow":
            return None
        if rollout.stage == "shadow":
            return _paired_check(ours, theirs, rollout.policy)
        return _unpaired_check(ours, theirs, rollout.policy)

    def _judged(self, endpoint: str, model: str, start: datetime, end: datetime) -> dict[str, tuple[int, float]]:
        """Return truth and score by prediction id, for those whose truth is known."""
        rows = judged_rows(self._ground, endpoint, start=start, end=end, model=model)
        return {
            row.prediction.id: (int(row.feedback.truth), float(row.prediction.outputs[SCORE]))
            for row in rows
            if row.feedback is not None
        }


def _paired_check(
    ours: dict[str, tuple[int, float]], theirs: dict[str, tuple[int, float]], policy: RolloutPolicy
) -> GateCheck | None:
    both = sorted(ours.keys() & theirs.keys())
    truth = np.array([ours[one][0] for one in both])
    gain = delong_paired(
        truth,
        np.array([ours[one][1] for one in both]),
        np.array([theirs[one][1] for one in both]),
        level=policy.level,
    )
    if gain is None:
        return None
    return checked(
        "shadow: auc gain over live",
        gain,
        threshold=-policy.tolerance,
        passed=gain.low >= -policy.tolerance,
        told=f"in the shadow AUC gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] "
        f"on {len(both):,} live requests",
        failing=f" may lose more than {policy.tolerance:.3f}",
    )


def _unpaired_check(
    ours: dict[str, tuple[int, float]], theirs: dict[str, tuple[int, float]], policy: RolloutPolicy
) -> GateCheck | None:
    ends = []
    for answers in (ours, theirs):
        pairs: list[tuple[int, float]] = list(answers.values())
        interval: Any = delong(
            np.array([truth for truth, _ in pairs]), np.array([score for _, score in pairs]), level=policy.level
        )
        if interval is None:
            return None
        ends.append(interval)
    mine, live = ends
    return checked(
        "canary: auc beside live",
        mine,
        threshold=live.low - policy.tolerance,
        passed=mine.high >= live.low - policy.tolerance,
        told=f"as canary AUC {mine.value:.3f} [{mine.low:.3f}, {mine.high:.3f}] on {len(ours):,} answers, "
        f"live {live.value:.3f}",
        failing=": clearly worse",
    )
