"""Answer about monitors, their reports and their alerts."""

from __future__ import annotations

import msgspec

from interlock.server.view_routes import Limit, Source, View
from interlock.server.views import MonitorDetail, MonitorSummary

ALERTS = 100


class MonitorsQuery(msgspec.Struct, frozen=True):
    """Which monitors to list."""

    endpoint: str | None = None


class ReportsQuery(msgspec.Struct, frozen=True):
    """How many reports to return."""

    limit: Limit = 200


def list_monitors(source: Source, query: MonitorsQuery) -> list[MonitorSummary]:
    """List monitors by name, each with its newest report and how many alerts are open."""
    store = source.stores.monitors
    return [
        MonitorSummary(
            monitor=monitor,
            latest=next(iter(store.reports(monitor.name, limit=1)), None),
            open_alerts=len(store.alerts(monitor=monitor.name, is_open=True)),
        )
        for monitor in store.monitors(endpoint=query.endpoint)
    ]


def get_monitor(source: Source, query: ReportsQuery, *, name: str) -> MonitorDetail:
    """Return a monitor with its newest reports, oldest first, and its alerts."""
    store = source.stores.monitors
    return MonitorDetail(
        monitor=store.get(name),
        reports=tuple(reversed(store.reports(name, limit=query.limit))),
        alerts=tuple(store.alerts(monitor=name, limit=ALERTS)),
    )


VIEWS = (
    View(path="/monitors", read=list_monitors, query=MonitorsQuery),
    View(path="/monitors/{name}", read=get_monitor, query=ReportsQuery),
)
