"""Say where each station of the two loops stands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from interlock.core.clock import from_micros
from interlock.core.units import human_count
from interlock.loop.ground import Ground
from interlock.ports.journal import Event
from interlock.ports.run_store import RunFilter

State = Literal["empty", "idle", "active", "attention"]
ACTIVE = timedelta(seconds=60)
RUNS_SEARCHED = 200


class Station(msgspec.Struct, frozen=True):
    """One station of the loop.

    Args:
        id: Its name in code and URLs.
        title: Its name for people.
        loop: Which of the two loops it belongs to.
        state: `empty` never used · `idle` used · `active` in the last minute · `attention` wants a person.
        count: How many things it holds.
        unit: What is counted.
        headline: One line on where it stands.
        last: Its last event.
        href: The page about it, if there is one.
    """

    id: str
    title: str
    loop: Literal["model", "software"]
    state: State
    count: int
    unit: str
    headline: str
    last: Event | None
    href: str | None


class _Plan(msgspec.Struct, frozen=True):
    id: str
    title: str
    loop: Literal["model", "software"]
    kinds: tuple[str, ...]
    unit: str
    href: str | None


PLAN = (
    _Plan("data", "Data", "model", ("dataset.",), "snapshots", "/datasets"),
    _Plan("labels", "Labels", "model", ("labels.",), "label sets", None),
    _Plan("features", "Features", "model", ("feature.",), "feature views", None),
    _Plan("pipeline", "Pipeline", "model", ("pipeline.",), "pipeline runs", "/runs?kind=pipeline"),
    _Plan("runs", "Runs", "model", ("run.",), "runs", "/runs"),
    _Plan("tuning", "Tuning", "model", (), "trials", "/runs?kind=trial"),
    _Plan("registry", "Registry", "model", ("model.",), "model versions", "/models"),
    _Plan("gate", "Gate", "software", ("gate.",), "verdicts", "/models"),
    _Plan("deploy", "Deploy", "software", ("endpoint.", "rollout."), "routings", "/endpoints"),
    _Plan("serve", "Serve", "software", (), "predictions", "/endpoints"),
    _Plan("monitor", "Monitor", "software", ("monitor.", "alert."), "reports", "/monitors"),
    _Plan("feedback", "Feedback", "software", ("feedback.",), "truths", "/endpoints"),
    _Plan("retrain", "Retrain", "software", ("retrain.", "trigger."), "retrains", "/models"),
)
"""The stations in the order of the loop, and the kinds of event that belong to each."""


def stations(ground: Ground) -> tuple[Station, ...]:
    """Return every station, in the order of the loop."""
    lasts = _last_events(ground)
    counts = _counts(ground)
    headlines = _headlines(ground)
    now = ground.clock.now()
    open_alerts = len(ground.stores.monitors.alerts(is_open=True))
    found = []
    for plan in PLAN:
        last = lasts.get(plan.id)
        count = counts[plan.id]
        state: State = "idle" if count else "empty"
        if last is not None and now - last.time < ACTIVE:
            state = "active"
        if plan.id == "serve" and _is_serving(ground, now):
            state = "active"
        if plan.id == "monitor" and open_alerts:
            state = "attention"
        found.append(
            Station(
                id=plan.id,
                title=plan.title,
                loop=plan.loop,
                state=state,
                count=count,
                unit=plan.unit,
                headline=headlines.get(plan.id) or (f"{human_count(count)} {plan.unit}" if count else "nothing yet"),
                last=last,
                href=plan.href,
            )
        )
    return tuple(found)


def _last_events(ground: Ground) -> dict[str, Event]:
    """Return the last event of each station that has one."""
    newest = ground.stores.journal.latest()
    lasts = {plan.id: event for plan in PLAN for event in newest if event.kind.startswith(plan.kinds)}
    # studies and trials are runs, told from others by what the event says of them
    for event in ground.stores.journal.events(kinds=["run."], newest_first=True, limit=RUNS_SEARCHED):
        if event.payload.get("kind") in ("study", "trial"):
            lasts["tuning"] = event
            break
    return lasts


def _is_serving(ground: Ground, now: datetime) -> bool:
    """Say whether an answer was given in the last minute; answers leave no events."""
    for endpoint in ground.stores.deployments.endpoints():
        for answer in ground.stores.predictions.recent(endpoint.name, limit=1):
            if now - from_micros(answer.prediction.served_at) < ACTIVE:
                return True
    return False


def _counts(ground: Ground) -> dict[str, int]:
    stores = ground.stores
    events = stores.journal.counts()
    served = [stores.predictions.counts(endpoint.name) for endpoint in stores.deployments.endpoints()]
    return {
        "data": events.get("dataset.committed", 0),
        "labels": events.get("labels.frozen", 0),
        "features": events.get("feature.applied", 0),
        "pipeline": stores.runs.count(where=RunFilter(kind="pipeline")),
        "runs": stores.runs.count(),
        "tuning": stores.runs.count(where=RunFilter(kind="trial")),
        "registry": events.get("model.registered", 0),
        "gate": events.get("gate.passed", 0) + events.get("gate.refused", 0),
        "deploy": events.get("endpoint.routed", 0),
        "serve": sum(sum(n for role, n in one.items() if role != "feedback") for one in served),
        "monitor": events.get("monitor.reported", 0),
        "feedback": sum(one.get("feedback", 0) for one in served),
        "retrain": events.get("retrain.finished", 0),
    }


def _headlines(ground: Ground) -> dict[str, str]:
    stores = ground.stores
    lines: dict[str, str] = {}
    snapshots = stores.datasets.datasets(limit=1000)
    if snapshots:
        rows = sum(snapshot.rows for snapshot in snapshots)
        lines["data"] = f"{len(snapshots)} datasets, {human_count(rows)} rows"
    endpoints = stores.deployments.endpoints()
    if endpoints:
        lines["deploy"] = " · ".join(
            f"{d.role} {d.model.removeprefix('model:')}" for endpoint in endpoints for d in endpoint.deployments
        )
    verdicts = stores.models.verdicts(limit=1)
    if verdicts:
        lines["gate"] = _decision(verdicts[0].candidate, passed=verdicts[0].passed)
    retrains = stores.journal.events(kinds=["retrain.finished"], limit=1, newest_first=True)
    if retrains:
        payload = retrains[0].payload
        lines["retrain"] = _decision(payload["candidate"], passed=payload["passed"])
    alerts = stores.monitors.alerts(limit=1)
    if alerts:
        lines["monitor"] = ("open: " if alerts[0].closed_at is None else "last: ") + alerts[0].reason
    return lines


def _decision(candidate: str, *, passed: bool) -> str:
    return f"{'passed' if passed else 'refused'} {candidate.removeprefix('model:')}"
