"""Keep monitors, reports and alerts in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.core.clock import aware
from interlock.core.errors import Conflict, NotFound, did_you_mean
from interlock.core.refs import check_name
from interlock.ports.journal import Edge
from interlock.ports.monitor_store import (
    Alert,
    Monitor,
    MonitorStore,
    Report,
    applied_payload,
    opened_payload,
    reported_payload,
)


class MemoryMonitorStore(MonitorStore):
    """Monitors in memory."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._monitors: dict[str, Monitor] = {}
        self._reports: dict[str, Report] = {}
        self._alerts: dict[str, Alert] = {}

    def apply(self, monitor: Monitor) -> Monitor:
        check_name(monitor.name, of="monitor")
        new = settled(monitor)
        with self._journal.lock:
            if self._monitors.get(new.name) != new:
                self._monitors[new.name] = new
                self._journal.append("monitor.applied", f"monitor:{new.name}", payload=applied_payload(new))
            return new

    def get(self, name: str) -> Monitor:
        with self._journal.lock:
            if name not in self._monitors:
                raise NotFound(f"there is no monitor '{name}'", why=did_you_mean(name, self._monitors))
            return self._monitors[name]

    def monitors(self, *, endpoint: str | None = None) -> list[Monitor]:
        with self._journal.lock:
            found = [monitor for monitor in self._monitors.values() if endpoint in (None, monitor.endpoint)]
        return sorted(found, key=lambda monitor: monitor.name)

    def add_report(
        self, report: Report, *, reason: str = "", edges: Sequence[Edge] = ()
    ) -> tuple[Report, Alert | None]:
        window = (report.monitor, aware(report.start), aware(report.end), report.model)
        with self._journal.lock:
            monitor = self.get(report.monitor)
            for before in self._reports.values():
                if (before.monitor, before.start, before.end, before.model) == window:
                    return before, self._alerts.get(before.id)
            if report.id in self._reports:
                raise Conflict(f"report {report.id} exists", why="it measured another window")
            new = self._reports[report.id] = settled(report)
            written = self._journal.append(
                "monitor.reported",
                f"monitor:{monitor.name}",
                payload=reported_payload(new, monitor),
                edges=[Edge(f"monitor:{monitor.name}", f"report:{new.id}", "measured"), *edges],
            )
            if not new.breached or self.alerts(monitor=monitor.name, is_open=True, limit=1):
                return new, None
            return new, self._open(Alert(new.id, monitor.name, new.id, written.time, reason), new, monitor)

    def _open(self, alert: Alert, report: Report, monitor: Monitor) -> Alert:
        self._alerts[alert.id] = alert
        self._journal.append(
            "alert.opened",
            f"alert:{alert.id}",
            payload=opened_payload(alert, report, monitor),
            edges=[Edge(f"report:{report.id}", f"alert:{alert.id}", "raised")],
        )
        return alert

    def reports(
        self, monitor: str, *, model: str | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Report]:
        until = None if before is None else aware(before)
        with self._journal.lock:
            found = [
                report
                for report in reversed(self._reports.values())
                if report.monitor == monitor
                and model in (None, report.model)
                and (until is None or report.start < until)
            ]
        return sorted(found, key=lambda report: report.start, reverse=True)[:limit]

    def resolve(self, alert_id: str, *, resolution: str, at: datetime) -> Alert:
        moment = aware(at)
        with self._journal.lock:
            alert = self.get_alert(alert_id)
            if alert.closed_at is not None:
                raise Conflict(f"alert {alert_id} is closed", why=f"it was resolved: {alert.resolution}")
            closed = msgspec.structs.replace(alert, closed_at=moment, resolution=resolution)
            self._alerts[alert_id] = closed
            self._journal.append(
                "alert.resolved", f"alert:{alert_id}", payload={"monitor": alert.monitor, "resolution": resolution}
            )
            return closed

    def alerts(self, *, monitor: str | None = None, is_open: bool | None = None, limit: int = 100) -> list[Alert]:
        with self._journal.lock:
            return [
                alert
                for alert in reversed(self._alerts.values())
                if monitor in (None, alert.monitor) and is_open in (None, alert.closed_at is None)
            ][:limit]

    def get_alert(self, alert_id: str) -> Alert:
        with self._journal.lock:
            if alert_id not in self._alerts:
                raise NotFound(f"there is no alert {alert_id}", fix="interlock monitor alerts")
            return self._alerts[alert_id]
