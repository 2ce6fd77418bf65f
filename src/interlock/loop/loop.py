"""The loop of one workspace: what `tick` turns, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.errors import NotFound
from interlock.loop.gates import GatePolicy, judge
from interlock.loop.ground import Ground
from interlock.loop.integrity import missing_artifacts
from interlock.loop.querying import query
from interlock.loop.reproducing.reproducing import Plan, Reproduction, reproduce
from interlock.loop.retention import Collection, Policy, collect
from interlock.loop.retraining import Retraining, RetrainPolicy, bootstrap, retrain_params
from interlock.loop.rollouts import Rollouts
from interlock.loop.starting import PIPELINE, PipelineStarts
from interlock.loop.stations import Station, stations
from interlock.loop.tracing import Trace, trace
from interlock.loop.triggers import Action, Triggers
from interlock.loop.turns import TurnRight
from interlock.monitoring.reference import Reference
from interlock.ports.artifact_store import Damage
from interlock.ports.model_store import ModelVersion, Verdict
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.trigger_store import Trigger

if TYPE_CHECKING:
    import pyarrow as pa


class Turn(msgspec.Struct, frozen=True):
    """What one turn of the loop did.

    Args:
        reports: Refs of the reports that were made.
        alerts: Reasons of the alerts that were opened.
        actions: One line per trigger that fired.
        moves: One line per rollout that moved on.
    """

    reports: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()


class Loop:
    """Where the stations lock.

    Args:
        ground: The workspace.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    @cached_property
    def right(self) -> TurnRight:
        """The right to turn; whoever replays history holds it all the while."""
        return TurnRight(self._ground.stores.leases, self._ground.clock)

    @cached_property
    def rollouts(self) -> Rollouts:
        """Shadow, canary and promotion."""
        return Rollouts(self._ground)

    @cached_property
    def triggers(self) -> Triggers:
        """Events and times that turn into actions."""
        actions: dict[str, Action] = {
            "retrain": Retraining(self._ground, self.rollouts),
            PIPELINE: PipelineStarts(self._ground.uri),
        }
        return Triggers(self._ground.stores.triggers, self._ground.stores.journal, actions)

    def tick(self, *, upto: datetime) -> Turn:
        """Turn the loop once: reports that are due, triggers that are due, rollouts that can move.

        Args:
            upto: Event time up to which the world is known; the present, or a moment of a replay.

        Raises:
            Conflict: Another process turns it.
        """
        with self.right.held():
            return self._turn(upto)

    def _turn(self, upto: datetime) -> Turn:
        reports: list[Report] = []
        moves = []
        endpoints = self._ground.stores.deployments.endpoints(limit=1000)
        for endpoint in endpoints:
            reports += self._ground.monitoring.evaluate_due(endpoint.name, upto=upto)
        made = {report.id for report in reports}
        opened = [alert for alert in self._ground.stores.monitors.alerts(is_open=True) if alert.report in made]
        before = {endpoint.name: self.rollouts.current(endpoint.name) for endpoint in endpoints}
        actions = self.triggers.run_due(now=self._ground.clock.now(), upto=upto)
        for name, then in before.items():
            now = self.rollouts.advance(name, upto=upto)
            if now is not None and then is not None and now.stage not in (then.stage, "shadow"):
                moves.append(f"{now.candidate} is {now.stage.replace('_', ' ')} at endpoint:{name}")
        return Turn(
            reports=tuple(f"report:{report.id}" for report in reports),
            alerts=tuple(alert.reason for alert in reversed(opened)),
            actions=tuple(actions),
            moves=tuple(moves),
        )

    def gate(
        self,
        *,
        candidate: ModelVersion,
        champion: ModelVersion | None,
        table: pa.Table,
        label: str,
        policy: GatePolicy,
        data: str | None = None,
    ) -> Verdict:
        """Judge a candidate; see `gates.judge`."""
        return judge(
            self._ground, candidate=candidate, champion=champion, table=table, label=label, policy=policy, data=data
        )

    def bootstrap(self, *, candidate: str, endpoint: str, verdict: str | None, reason: str) -> None:
        """Make a first version the champion behind an endpoint."""
        bootstrap(self._ground, candidate=candidate, endpoint=endpoint, verdict=verdict, reason=reason)

    def retrain_on_alert(self, name: str, policy: RetrainPolicy, *, monitor: str | None = None) -> Trigger:
        """Record that alerts (of one monitor, or of any) start a retrain."""
        where: dict[str, Any] = {"endpoint": policy.endpoint}
        if monitor is not None:
            where["monitor"] = monitor
        return self.triggers.apply(
            Trigger(name=name, action="retrain", on="alert.opened", where=where, params=retrain_params(policy))
        )

    def on_routed(self, call: Callable[[str], None]) -> None:
        """Have something called with an endpoint's name whenever the loop routes it."""
        self.rollouts.on_routed = call

    def reference(self, monitor: Monitor) -> Reference:
        """Return what a monitor compares with: the data that the live version of its endpoint was trained on.

        Raises:
            NotFound: The version is not joined to a snapshot, or the snapshot has no profile.
        """
        routing = self._ground.stores.deployments.get(monitor.endpoint).deployments
        live = next(deployment.model for deployment in routing if deployment.role == "live")
        sources = [edge.source for edge in self._ground.stores.journal.walk(live, direction="back", depth=2)]
        for ref in sources:
            if ref.startswith("dataset:") and (profile := self._ground.data.profile(ref)) is not None:
                return Reference.from_profile(msgspec.to_builtins(profile))
        raise NotFound(
            f"monitor '{monitor.name}' has nothing to compare with",
            why=f"no snapshot with a profile leads to {live}",
            fix="registry.register(…, inputs=['dataset:NAME@VERSION'])",
        )

    def stations(self) -> tuple[Station, ...]:
        """Return where each station stands."""
        return stations(self._ground)

    def trace(self, ref: str) -> Trace:
        """Return the way back from a thing, and its way forward."""
        return trace(self._ground, ref)

    def missing_artifacts(self) -> list[Damage]:
        """Name records that point at contents which the artifact store does not have."""
        return missing_artifacts(self._ground.stores)

    def query(self, sql: str) -> pa.Table:
        """Answer one SELECT over the workspace; see `querying.TABLES` for what can be asked."""
        return query(self._ground.stores, sql)

    def reproduce(
        self,
        run_id: str,
        plan: Plan = Plan(),  # noqa: B008 (frozen)
        *,
        told: Callable[[str], None] = lambda line: None,
    ) -> Reproduction:
        """Run a run again from its code, libraries and data, and say whether the same comes out."""
        return reproduce(self._ground, run_id, plan, told=told)

    def collect(self, policy: Policy = Policy(), *, dry_run: bool = True) -> Collection:  # noqa: B008 (frozen)
        """Free what a policy lets go; with `dry_run` only say what that would be."""
        return collect(self._ground, policy, dry_run=dry_run)
