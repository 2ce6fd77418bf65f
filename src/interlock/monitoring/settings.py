"""Read and check how a monitor is set up."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Any

import msgspec

from interlock.core.clock import aware
from interlock.core.errors import InvalidInput, did_you_mean
from interlock.core.refs import check_name
from interlock.monitoring.performance import METRICS
from interlock.ports.monitor_store import Monitor

KINDS: dict[str, tuple[str, ...]] = {"drift": ("psi", "js"), "performance": tuple(METRICS)}
"""The kinds of monitor, each with the metrics it can judge."""


class MonitorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `Monitor.settings` may hold.

    Args:
        skip: Columns that a drift monitor leaves out.
        slices: Columns by whose values a performance monitor reports the figure.
        output: The output that holds the probability.
        level: Confidence level of intervals.
        cutoff: From where `accuracy` takes the probability for a yes.
        certain: Fire only if the whole interval lies beyond the threshold, not just the figure.
        delay_s: How long after its end a window waits for truths before it is due, seconds.
        start: Where the first window begins; by default with the first answer.
        reference: With what a drift monitor compares, in the words of whoever hands `Monitors` its references.
    """

    skip: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    output: str = "probability"
    level: float = 0.95
    cutoff: float = 0.5
    certain: bool = False
    delay_s: float = 0.0
    start: datetime | None = None
    reference: str = ""


def settings_of(monitor: Monitor) -> MonitorSettings:
    """Return the typed settings of a monitor.

    Raises:
        InvalidInput: One is unknown or has the wrong type.
    """
    unknown = set(monitor.settings) - set(MonitorSettings.__struct_fields__)
    if unknown:
        name = min(unknown)
        raise InvalidInput(
            f"the monitor '{monitor.name}' has no setting '{name}'",
            why=did_you_mean(name, MonitorSettings.__struct_fields__),
        )
    try:
        settings = msgspec.convert(monitor.settings, MonitorSettings)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"a setting of monitor '{monitor.name}' has the wrong type", why=str(error)) from error
    return msgspec.structs.replace(settings, start=aware(settings.start)) if settings.start else settings


def check_monitor(monitor: Monitor) -> None:
    """Check that a monitor can be evaluated.

    Raises:
        InvalidInput: Its kind, metric, direction, window or a setting makes no sense.
    """
    check_name(monitor.name, of="monitor")
    settings = settings_of(monitor)
    if monitor.kind not in KINDS:
        _refuse(monitor, f"the kind '{monitor.kind}'", did_you_mean(monitor.kind, KINDS))
    if monitor.metric not in KINDS[monitor.kind]:
        _refuse(
            monitor, f"the {monitor.kind} metric '{monitor.metric}'", did_you_mean(monitor.metric, KINDS[monitor.kind])
        )
    if monitor.direction not in ("above", "below"):
        _refuse(monitor, f"the direction '{monitor.direction}'", "expected 'above' or 'below'")
    checks: tuple[tuple[str, Any, bool, str], ...] = (
        ("window_s", monitor.window_s, isfinite(monitor.window_s) and monitor.window_s >= 1, "at least one second"),
        ("threshold", monitor.threshold, isfinite(monitor.threshold), "a number"),
        ("min_rows", monitor.min_rows, monitor.min_rows >= 0, "0 or more"),
        ("level", settings.level, 0 < settings.level < 1, "a number between 0 and 1"),
        ("delay_s", settings.delay_s, isfinite(settings.delay_s) and settings.delay_s >= 0, "0 or more seconds"),
        (
            "certain",
            settings.certain,
            not (settings.certain and monitor.kind == "drift"),
            "False: drift has no interval",
        ),
    )
    for name, value, holds, expected in checks:
        if not holds:
            _refuse(monitor, f"{name}={value}", f"expected {expected}")


def _refuse(monitor: Monitor, what: str, why: str) -> None:
    raise InvalidInput(f"the monitor '{monitor.name}' cannot have {what}", why=why)
