"""Port: monitors, their reports, and the alerts they raise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from interlock.ports.journal import Edge


class Monitor(msgspec.Struct, frozen=True):
    """A standing question about an endpoint; its Ref is `monitor:<name>`.

    Args:
        name: Its name.
        endpoint: Name of the endpoint it watches.
        kind: What it measures (`drift`, `performance`).
        metric: The figure it judges (`psi`, `auc`).
        threshold: Where it fires.
        direction: `above` fires when the figure exceeds the threshold, `below` when it falls short.
        window_s: Length of a window, seconds.
        min_rows: Windows with fewer rows are reported but never fire.
        settings: Further settings of its kind.
    """

    name: str
    endpoint: str
    kind: str
    metric: str
    threshold: float
    direction: str = "above"
    window_s: float = 604_800.0
    min_rows: int = 500
    settings: dict[str, Any] = {}


class Report(msgspec.Struct, frozen=True):
    """What a monitor saw in one window; its Ref is `report:<id>`."""

    id: str
    monitor: str
    start: datetime
    end: datetime
    rows: int
    value: float | None
    low: float | None
    high: float | None
    breached: bool
    model: str
    details: dict[str, Any] = {}


class Alert(msgspec.Struct, frozen=True):
    """A monitor that fired; its Ref is `alert:<id>`, the id that of the report which raised it.

    It is open until it is resolved.
    """

    id: str
    monitor: str
    report: str
    opened_at: datetime
    reason: str
    closed_at: datetime | None = None
    resolution: str | None = None


def applied_payload(monitor: Monitor) -> dict[str, Any]:
    """Return the payload of `monitor.applied`."""
    return {
        "endpoint": monitor.endpoint,
        "kind": monitor.kind,
        "metric": monitor.metric,
        "threshold": monitor.threshold,
    }


def reported_payload(report: Report, monitor: Monitor) -> dict[str, Any]:
    """Return the payload of `monitor.reported`."""
    return {
        "report": report.id,
        "endpoint": monitor.endpoint,
        "model": report.model,
        "start": report.start.isoformat(),
        "end": report.end.isoformat(),
        "rows": report.rows,
        "metric": monitor.metric,
        "value": report.value,
        "breached": report.breached,
    }


def opened_payload(alert: Alert, report: Report, monitor: Monitor) -> dict[str, Any]:
    """Return the payload of `alert.opened`, which triggers match on."""
    return {
        "monitor": monitor.name,
        "kind": monitor.kind,
        "metric": monitor.metric,
        "endpoint": monitor.endpoint,
        "report": report.id,
        "model": report.model,
        "value": report.value,
        "reason": alert.reason,
    }


class MonitorStore(Protocol):
    """Monitors, reports and alerts.

    Thread-safe and process-safe. `add_report` is idempotent by `(monitor, start, end, model)`: the first stands
    and is returned with the alert it raised; the same id for another window raises `Conflict`. A report that
    breached opens an alert in the same transaction unless one is open for the monitor. `resolve` of a closed alert
    raises `Conflict`. Unknown monitors and alerts raise `NotFound`.

    Events: `monitor.applied`, `monitor.reported`, `alert.opened` (payload: see `opened_payload`),
    `alert.resolved`; edges report → alert (`raised`),
    monitor → report (`measured`).
    """

    @abstractmethod
    def apply(self, monitor: Monitor) -> Monitor:
        """Create or replace a monitor; an equal one changes nothing."""

    @abstractmethod
    def get(self, name: str) -> Monitor:
        """Return a monitor."""

    @abstractmethod
    def monitors(self, *, endpoint: str | None = None) -> list[Monitor]:
        """List monitors by name."""

    @abstractmethod
    def add_report(
        self, report: Report, *, reason: str = "", edges: Sequence[Edge] = ()
    ) -> tuple[Report, Alert | None]:
        """Record a window; return it with the alert it opened, if it opened one."""

    @abstractmethod
    def reports(
        self, monitor: str, *, model: str | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Report]:
        """List reports by window start, newest first, those that start before `before`."""

    @abstractmethod
    def resolve(self, alert_id: str, *, resolution: str, at: datetime) -> Alert:
        """Close an alert."""

    @abstractmethod
    def alerts(self, *, monitor: str | None = None, is_open: bool | None = None, limit: int = 100) -> list[Alert]:
        """List alerts, newest first."""

    @abstractmethod
    def get_alert(self, alert_id: str) -> Alert:
        """Return one alert."""
