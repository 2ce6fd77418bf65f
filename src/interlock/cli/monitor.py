"""List monitors, their reports and alerts."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, fields, listing, table
from interlock.core.units import human_seconds
from interlock.workspace import open_workspace

app = App(name="monitor", help="List monitors, reports and alerts.")


@app.command(name="list")
def list_(*, endpoint: str | None = None, session: Here) -> Answer:
    """List monitors with their latest figure.

    Args:
        endpoint: Only those that watch this endpoint.
    """
    name = name_of(endpoint, kind="endpoint") if endpoint else None
    with open_workspace(session.uri, create=False) as workspace:
        store = workspace.stores.monitors
        rows = [
            {
                "monitor": monitor,
                "latest": next(iter(store.reports(monitor.name, limit=1)), None),
                "open_alerts": len(store.alerts(monitor=monitor.name, is_open=True)),
            }
            for monitor in store.monitors(endpoint=name)
        ]
    columns = {
        "monitor": lambda row: row["monitor"].name,
        "endpoint": lambda row: row["monitor"].endpoint,
        "watches": lambda row: f"{row['monitor'].kind}: {row['monitor'].metric}",
        "fires": lambda row: f"{row['monitor'].direction} {row['monitor'].threshold:g}",
        "latest": lambda row: row["latest"].value if row["latest"] else None,
        "until": lambda row: row["latest"].end if row["latest"] else None,
        "open alerts": lambda row: row["open_alerts"],
    }
    return listing(rows, columns, empty="no monitors yet: interlock demo makes some")


@app.command
def show(monitor: str, /, *, limit: int = 20, session: Here) -> Answer:
    """Show a monitor and its reports, newest first.

    Args:
        monitor: Its name or Ref.
        limit: At most so many reports.
    """
    name = name_of(monitor, kind="monitor")
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.monitors.get(name)
        reports = workspace.stores.monitors.reports(name, limit=limit)
    head: dict[str, Any] = {
        "monitor": f"monitor:{found.name}",
        "endpoint": f"endpoint:{found.endpoint}",
        "watches": f"{found.kind}: {found.metric}",
        "fires": f"{found.direction} {found.threshold:g}",
        "window": human_seconds(found.window_s),
        "at least": f"{found.min_rows} rows",
        **found.settings,
    }
    columns = {
        "from": lambda report: report.start,
        "to": lambda report: report.end,
        "rows": lambda report: report.rows,
        "value": lambda report: report.value,
        "low": lambda report: report.low,
        "high": lambda report: report.high,
        "breached": lambda report: report.breached,
        "model": lambda report: report.model,
    }
    body = table(reports, columns) if reports else "no window has been evaluated yet"
    return Answer({"monitor": found, "reports": reports}, (fields(head), body))


@app.command
def alerts(*, monitor: str | None = None, all: bool = False, limit: int = 50, session: Here) -> Answer:
    """List open alerts, newest first.

    Args:
        monitor: Only those of this monitor.
        all: Also those that are resolved.
        limit: At most so many.
    """
    name = name_of(monitor, kind="monitor") if monitor else None
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.monitors.alerts(monitor=name, is_open=None if all else True, limit=limit)
    columns = {
        "alert": lambda alert: f"alert:{alert.id}",
        "monitor": lambda alert: alert.monitor,
        "opened": lambda alert: alert.opened_at,
        "closed": lambda alert: alert.closed_at,
        "reason": lambda alert: alert.reason,
        "resolution": lambda alert: alert.resolution,
    }
    return listing(found, columns, empty="no alerts" if all else "no open alerts")
