"""Evaluate monitors over windows of the prediction log, report, and raise alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from interlock.core.clock import aware
from interlock.core.errors import InvalidInput
from interlock.core.ids import new_id
from interlock.core.units import human_count
from interlock.monitoring.findings import Finding, find_drift, find_performance
from interlock.monitoring.reference import Reference
from interlock.monitoring.settings import MonitorSettings, check_monitor, settings_of
from interlock.monitoring.windows import due_windows, first_window_start, read_window
from interlock.ports.journal import Edge
from interlock.ports.model_store import ModelVersion
from interlock.ports.monitor_store import Monitor, MonitorStore, Report
from interlock.ports.prediction_log import PredictionLog

_PAGE = 1000


class Monitors:
    """Monitors of endpoints.

    Args:
        store: Where monitors, reports and alerts are kept.
        log: The answers and their truths.
        resolve_version: Returns the version behind a model Ref, for the names and types of its inputs.
        reference: Returns with what a drift monitor compares.

    Example:
        >>> monitors.apply(Monitor("delay-drift", "delay", "drift", "psi", 0.2))  # doctest: +SKIP
        >>> [report.value for report in monitors.evaluate_due("delay", now)]  # doctest: +SKIP
        [0.04, 0.31]
    """

    def __init__(
        self,
        store: MonitorStore,
        log: PredictionLog,
        resolve_version: Callable[[str], ModelVersion],
        reference: Callable[[Monitor], Reference],
    ) -> None:
        self._store = store
        self._log = log
        self._resolve_version = resolve_version
        self._reference = reference

    def apply(self, monitor: Monitor) -> Monitor:
        """Check a monitor and set it up, in place of the one of its name if there is one.

        Raises:
            InvalidInput: It could never be evaluated.
        """
        check_monitor(monitor)
        return self._store.apply(monitor)

    def evaluate(self, monitor: str, *, start: datetime, end: datetime, model: str | None = None) -> Report:
        """Report on one window, and raise an alert if the monitor fires and none is open.

        A window that was reported before keeps its first report.

        Args:
            monitor: Its name.
            start: Where the window begins (inclusive).
            end: Where it ends (exclusive).
            model: Only the answers of this version, shadows too; by default all answers that callers saw.
        """
        one = self._store.get(monitor)
        start, end = aware(start), aware(end)
        if not start < end:
            raise InvalidInput(
                "the window is empty", why=f"it begins {start:%Y-%m-%d %H:%M} and ends {end:%Y-%m-%d %H:%M}"
            )
        settings = settings_of(one)
        window = read_window(
            self._log, one.endpoint, start=start, end=end, model=model, resolve_version=self._resolve_version
        )
        if one.kind == "drift":
            finding = find_drift(window, self._reference(one), one.metric, settings)
        else:
            finding = find_performance(window, one.metric, settings)
        report = Report(
            id=new_id(),
            monitor=one.name,
            start=start,
            end=end,
            rows=finding.rows,
            value=finding.value,
            low=finding.low,
            high=finding.high,
            breached=fires(one, settings, finding),
            model=model or window.model,
            details=finding.details,
        )
        edges = [Edge(report.model, f"report:{report.id}", "watched_in")] if report.model else []
        stored, _ = self._store.add_report(report, reason=reason_for(one, finding, start, end), edges=edges)
        return stored

    def evaluate_due(self, endpoint: str, upto: datetime) -> list[Report]:
        """Report on every complete window up to a moment that is not reported yet, for all monitors of an endpoint.

        Windows lie end to end from `settings["start"]`, else from the oldest report, else from the first answer
        (midnight UTC of its day if windows are whole days). Windows without an answer are not reported.
        """
        reports: list[Report] = []
        for monitor in self._store.monitors(endpoint=endpoint):
            settings = settings_of(monitor)
            limit = aware(upto) - timedelta(seconds=settings.delay_s)
            starts = self._reported(monitor.name)
            origin = settings.start or min(starts, default=None)
            origin = origin or first_window_start(self._log, monitor, upto=limit)
            if origin is None:
                continue
            reports += [
                self.evaluate(monitor.name, start=start, end=end)
                for start, end in due_windows(self._log, monitor, origin=origin, upto=limit, reported=starts)
            ]
        return reports

    def _reported(self, name: str) -> frozenset[datetime]:
        starts: set[datetime] = set()
        before: datetime | None = None
        while True:
            page = self._store.reports(name, before=before, limit=_PAGE)
            starts.update(report.start for report in page)
            if len(page) < _PAGE:
                return frozenset(starts)
            before = page[-1].start


def fires(monitor: Monitor, settings: MonitorSettings, finding: Finding) -> bool:
    """Say whether a finding breaches a monitor: enough rows, and the figure beyond the threshold.

    With `certain`, the near end of the interval must be beyond it too; without an interval it never fires.
    """
    if finding.value is None or finding.rows < monitor.min_rows:
        return False
    above = monitor.direction == "above"
    judged = (finding.low if above else finding.high) if settings.certain else finding.value
    if judged is None:
        return False
    return judged > monitor.threshold if above else judged < monitor.threshold


def reason_for(monitor: Monitor, finding: Finding, start: datetime, end: datetime) -> str:
    """Say in one line what a monitor saw, as an alert tells it."""
    when = f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    rows = f"{human_count(finding.rows)} {'rows' if monitor.kind == 'drift' else 'judged answers'}"
    if finding.value is None:
        return f"{monitor.metric} is not defined on {rows} {when}"
    about = f" {finding.about}" if finding.about else ""
    text = f"{monitor.metric}{about} is {finding.value:.3f}"
    if finding.low is not None and finding.high is not None:
        text += f" ({finding.low:.3f} to {finding.high:.3f})"
    return f"{text}, threshold {monitor.direction} {monitor.threshold:g}, on {rows} {when}"
