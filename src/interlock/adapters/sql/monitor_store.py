"""Keep monitors, reports and alerts in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql.database import Database, Transaction, encode
from interlock.core.clock import aware, to_micros
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

SCHEMA = (
    "CREATE TABLE monitors (name TEXT PRIMARY KEY, endpoint TEXT NOT NULL, record BLOB NOT NULL)",
    """CREATE TABLE reports (
        seq AUTOSEQ, id TEXT NOT NULL UNIQUE, monitor TEXT NOT NULL, start_at INTEGER NOT NULL,
        end_at INTEGER NOT NULL, model TEXT NOT NULL, record BLOB NOT NULL,
        UNIQUE (monitor, start_at, end_at, model))""",
    """CREATE TABLE alerts (
        seq AUTOSEQ, id TEXT NOT NULL UNIQUE, monitor TEXT NOT NULL, is_open INTEGER NOT NULL, record BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX alerts_open ON alerts (monitor) WHERE is_open = 1",
)

_decode_monitor = msgspec.msgpack.Decoder(Monitor).decode
_decode_report = msgspec.msgpack.Decoder(Report).decode
_decode_alert = msgspec.msgpack.Decoder(Alert).decode


class SqlMonitorStore(MonitorStore):
    """Monitors in three tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(self, monitor: Monitor) -> Monitor:
        check_name(monitor.name, of="monitor")
        record = encode(monitor)
        new = _decode_monitor(record)
        with self._database.write() as tx:
            row = tx.one("SELECT record FROM monitors WHERE name = ?", (new.name,))
            if row is None or _decode_monitor(row[0]) != new:
                tx.execute(
                    """INSERT INTO monitors (name, endpoint, record) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET endpoint = excluded.endpoint, record = excluded.record""",
                    (new.name, new.endpoint, record),
                )
                tx.event("monitor.applied", f"monitor:{new.name}", applied_payload(new))
            return new

    def get(self, name: str) -> Monitor:
        row = self._database.one("SELECT record FROM monitors WHERE name = ?", (name,))
        if row is None:
            names = [known[0] for known in self._database.query("SELECT name FROM monitors")]
            raise NotFound(f"there is no monitor '{name}'", why=did_you_mean(name, names))
        return _decode_monitor(row[0])

    def monitors(self, *, endpoint: str | None = None) -> list[Monitor]:
        where, params = _where({"endpoint = ?": endpoint})
        return [
            _decode_monitor(row[0])
            for row in self._database.query(f"SELECT record FROM monitors {where} ORDER BY name", params)
        ]

    def add_report(
        self, report: Report, *, reason: str = "", edges: Sequence[Edge] = ()
    ) -> tuple[Report, Alert | None]:
        window = (report.monitor, to_micros(report.start), to_micros(report.end), report.model)
        monitor = self.get(report.monitor)
        record = encode(report)
        new = _decode_report(record)
        with self._database.write() as tx:
            row = tx.one(
                "SELECT record FROM reports WHERE monitor = ? AND start_at = ? AND end_at = ? AND model = ?", window
            )
            if row:
                before = _decode_report(row[0])
                return before, _alert(tx, before.id)
            if tx.one("SELECT 1 FROM reports WHERE id = ?", (new.id,)):
                raise Conflict(f"report {new.id} exists", why="it measured another window")
            tx.execute(
                "INSERT INTO reports (monitor, start_at, end_at, model, id, record) VALUES (?, ?, ?, ?, ?, ?)",
                (*window, new.id, record),
            )
            written = tx.event(
                "monitor.reported",
                f"monitor:{monitor.name}",
                reported_payload(new, monitor),
                edges=[Edge(f"monitor:{monitor.name}", f"report:{new.id}", "measured"), *edges],
            )
            if not new.breached or tx.one("SELECT 1 FROM alerts WHERE monitor = ? AND is_open = 1", (monitor.name,)):
                return new, None
            alert = Alert(new.id, monitor.name, new.id, written.time, reason)
            tx.execute(
                "INSERT INTO alerts (id, monitor, is_open, record) VALUES (?, ?, 1, ?)",
                (alert.id, alert.monitor, encode(alert)),
            )
            tx.event(
                "alert.opened",
                f"alert:{alert.id}",
                opened_payload(alert, new, monitor),
                edges=[Edge(f"report:{new.id}", f"alert:{alert.id}", "raised")],
            )
            return new, alert

    def reports(
        self, monitor: str, *, model: str | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Report]:
        until = None if before is None else to_micros(before)
        where, params = _where({"monitor = ?": monitor, "model = ?": model, "start_at < ?": until})
        rows = self._database.query(
            f"SELECT record FROM reports {where} ORDER BY start_at DESC, seq DESC LIMIT ?", [*params, limit]
        )
        return [_decode_report(row[0]) for row in rows]

    def resolve(self, alert_id: str, *, resolution: str, at: datetime) -> Alert:
        moment = aware(at)
        with self._database.write() as tx:
            alert = _alert(tx, alert_id)
            if alert is None:
                raise _unknown_alert(alert_id)
            if alert.closed_at is not None:
                raise Conflict(f"alert {alert_id} is closed", why=f"it was resolved: {alert.resolution}")
            closed = msgspec.structs.replace(alert, closed_at=moment, resolution=resolution)
            tx.execute("UPDATE alerts SET is_open = 0, record = ? WHERE id = ?", (encode(closed), alert_id))
            tx.event("alert.resolved", f"alert:{alert_id}", {"monitor": alert.monitor, "resolution": resolution})
            return closed

    def alerts(self, *, monitor: str | None = None, is_open: bool | None = None, limit: int = 100) -> list[Alert]:
        where, params = _where({"monitor = ?": monitor, "is_open = ?": None if is_open is None else int(is_open)})
        rows = self._database.query(f"SELECT record FROM alerts {where} ORDER BY seq DESC LIMIT ?", [*params, limit])
        return [_decode_alert(row[0]) for row in rows]

    def get_alert(self, alert_id: str) -> Alert:
        row = self._database.one("SELECT record FROM alerts WHERE id = ?", (alert_id,))
        if row is None:
            raise _unknown_alert(alert_id)
        return _decode_alert(row[0])


def _alert(tx: Transaction, alert_id: str) -> Alert | None:
    row = tx.one("SELECT record FROM alerts WHERE id = ?", (alert_id,))
    return _decode_alert(row[0]) if row else None


def _unknown_alert(alert_id: str) -> NotFound:
    return NotFound(f"there is no alert {alert_id}", fix="interlock monitor alerts")


def _where(conditions: dict[str, Any]) -> tuple[str, list[Any]]:
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return ("WHERE " + " AND ".join(given) if given else ""), list(given.values())
