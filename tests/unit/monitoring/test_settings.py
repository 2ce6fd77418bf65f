from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.monitoring.settings import MonitorSettings, check_monitor, settings_of
from interlock.ports.monitor_store import Monitor


def monitor(**changes: Any) -> Monitor:
    known: dict[str, Any] = {"name": "m", "endpoint": "delay", "kind": "drift", "metric": "psi", "threshold": 0.2}
    return Monitor(**{**known, **changes})


def test_defaults() -> None:
    check_monitor(monitor())
    assert settings_of(monitor()) == MonitorSettings()


@pytest.mark.parametrize(
    "start", ["2013-02-01T00:00:00Z", datetime(2013, 2, 1, tzinfo=UTC), "2013-02-01T01:00:00+01:00"]
)
def test_a_start_may_be_text_or_time(start: Any) -> None:
    found = settings_of(monitor(settings={"start": start, "slices": ["origin"]}))
    assert found.start == datetime(2013, 2, 1, tzinfo=UTC)
    assert found.slices == ("origin",)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"kind": "outliers"}, "the kind 'outliers'"),
        ({"metric": "auc"}, "the drift metric 'auc'"),
        ({"kind": "performance"}, "the performance metric 'psi'"),
        ({"direction": "up"}, "the direction 'up'"),
        ({"window_s": 0}, "window_s=0"),
        ({"window_s": float("nan")}, "window_s=nan"),
        ({"threshold": float("inf")}, "threshold=inf"),
        ({"min_rows": -1}, "min_rows=-1"),
        ({"settings": {"level": 95}}, "level=95"),
        ({"settings": {"delay_s": -1}}, "delay_s=-1"),
        ({"settings": {"certain": True}}, "certain=True"),
        ({"settings": {"sice": ["a"]}}, "has no setting 'sice'"),
        ({"settings": {"skip": "origin"}}, "has the wrong type"),
        ({"settings": {"start": "yesterday"}}, "has the wrong type"),
        ({"settings": {"start": datetime(2013, 1, 1)}}, "no time zone"),  # noqa: DTZ001
        ({"name": "no spaces"}, "cannot name a monitor"),
    ],
)
def test_what_could_never_be_evaluated_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        check_monitor(monitor(**changes))


def test_near_names_are_offered() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_monitor(monitor(metric="pis"))
    assert caught.value.why == "did you mean 'psi'?"
