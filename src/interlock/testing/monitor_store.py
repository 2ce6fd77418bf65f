"""What every monitor store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.journal import Edge
from interlock.ports.monitor_store import Alert, Monitor, Report
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

START = datetime(2013, 7, 1, tzinfo=UTC)
AUC = Monitor("delay-auc", "delay", "performance", "auc", 0.7, direction="below", settings={"by": ["origin"]})


def report(id: str, *, monitor: str = AUC.name, week: int = 0, breached: bool = False, **changes: object) -> Report:
    """Return the report of a week."""
    made = Report(
        id=id,
        monitor=monitor,
        start=START + timedelta(weeks=week),
        end=START + timedelta(weeks=week + 1),
        rows=6000,
        value=0.66 if breached else 0.75,
        low=0.6,
        high=None,
        breached=breached,
        model="model:delay@1",
        details={"slices": {"JFK": 0.7}},
    )
    return msgspec.structs.replace(made, **changes)


class MonitorStoreContract(Contract):
    """Monitors, reports, alerts."""

    def test_an_applied_monitor_is_listed_and_got(self, stores: Stores) -> None:
        assert stores.monitors.apply(AUC) == AUC
        drift = stores.monitors.apply(Monitor("a-drift", "fare", "drift", "psi", 0.2))
        assert stores.monitors.get(AUC.name) == AUC
        assert stores.monitors.monitors() == [drift, AUC]
        assert stores.monitors.monitors(endpoint="delay") == [AUC]
        assert stores.monitors.monitors(endpoint="unknown") == []

    def test_an_equal_monitor_changes_nothing_and_another_replaces(self, stores: Stores) -> None:
        for threshold in (0.7, 0.7, 0.65):
            stores.monitors.apply(msgspec.structs.replace(AUC, threshold=threshold))
        assert [monitor.threshold for monitor in stores.monitors.monitors()] == [0.65]
        assert [(event.kind, event.subject) for event in stores.journal.events()] == [
            ("monitor.applied", "monitor:delay-auc")
        ] * 2

    def test_a_replaced_monitor_moves_to_its_new_endpoint(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        moved = stores.monitors.apply(msgspec.structs.replace(AUC, endpoint="fare"))
        assert stores.monitors.monitors(endpoint="delay") == []
        assert stores.monitors.monitors(endpoint="fare") == [moved]

    def test_unknown_names(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        with pytest.raises(NotFound) as caught:
            stores.monitors.get("delay-acu")
        assert AUC.name in caught.value.why
        with pytest.raises(NotFound):
            stores.monitors.add_report(report("r1", monitor="unknown"))
        with pytest.raises(NotFound):
            stores.monitors.get_alert("unknown")
        with pytest.raises(NotFound):
            stores.monitors.resolve("unknown", resolution="", at=START)
        assert stores.monitors.reports("unknown") == []

    def test_a_bad_name_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.monitors.apply(msgspec.structs.replace(AUC, name="no spaces"))
        assert stores.monitors.monitors() == []

    def test_a_good_window_is_reported_without_alert(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        good = report("r1")
        edge = Edge("model:delay@1", "report:r1", "measured_by")
        assert stores.monitors.add_report(good, edges=[edge]) == (good, None)
        assert stores.monitors.reports(AUC.name) == [good]
        assert stores.monitors.alerts() == []
        event = stores.journal.events(kinds=["monitor.reported"])[0]
        assert event.subject == "monitor:delay-auc"
        assert event.payload["report"] == "r1"
        assert event.payload["breached"] is False
        assert stores.journal.walk("report:r1", direction="back") == [
            edge,
            Edge("monitor:delay-auc", "report:r1", "measured"),
        ]

    def test_a_breach_opens_an_alert(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        bad = report("r1", breached=True)
        made, alert = stores.monitors.add_report(bad, reason="auc 0.66 < 0.7")
        assert made == bad
        assert alert is not None
        assert alert == Alert("r1", AUC.name, "r1", alert.opened_at, "auc 0.66 < 0.7")
        assert stores.monitors.get_alert("r1") == alert
        assert stores.monitors.alerts() == [alert]
        opened = stores.journal.events(kinds=["alert.opened"])[0]
        assert opened.subject == "alert:r1"
        assert opened.payload == {
            "monitor": AUC.name,
            "kind": "performance",
            "metric": "auc",
            "endpoint": "delay",
            "report": "r1",
            "model": "model:delay@1",
            "value": 0.66,
            "reason": "auc 0.66 < 0.7",
        }
        assert Edge("report:r1", "alert:r1", "raised") in stores.journal.walk("alert:r1", direction="back")

    def test_while_an_alert_is_open_no_other_opens(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        stores.monitors.apply(Monitor("other", "delay", "drift", "psi", 0.2))
        stores.monitors.add_report(report("r1", breached=True))
        assert stores.monitors.add_report(report("r2", week=1, breached=True))[1] is None
        assert stores.monitors.add_report(report("r3", monitor="other", breached=True))[1] is not None
        stores.monitors.resolve("r1", resolution="retrained", at=START)
        assert stores.monitors.add_report(report("r4", week=2, breached=True))[1] is not None
        assert [alert.id for alert in stores.monitors.alerts()] == ["r4", "r3", "r1"]
        assert [alert.id for alert in stores.monitors.alerts(is_open=True)] == ["r4", "r3"]
        assert [alert.id for alert in stores.monitors.alerts(monitor=AUC.name, is_open=False)] == ["r1"]
        assert [alert.id for alert in stores.monitors.alerts(limit=1)] == ["r4"]

    def test_a_window_is_reported_once(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        first = stores.monitors.add_report(report("r1", breached=True), reason="low")
        before = stores.journal.last_seq()
        assert stores.monitors.add_report(report("r2", rows=1)) == first
        assert stores.monitors.add_report(report("r1", breached=True), reason="low") == first
        assert stores.journal.last_seq() == before
        assert stores.monitors.reports(AUC.name) == [first[0]]

    def test_an_id_names_one_window(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        stores.monitors.add_report(report("r1"))
        with pytest.raises(Conflict):
            stores.monitors.add_report(report("r1", week=1))
        assert len(stores.monitors.reports(AUC.name)) == 1

    def test_another_model_has_its_own_report(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        for n in (1, 2):
            stores.monitors.add_report(report(f"r{n}", model=f"model:delay@{n}"))
        assert [one.id for one in stores.monitors.reports(AUC.name)] == ["r2", "r1"]
        assert [one.id for one in stores.monitors.reports(AUC.name, model="model:delay@1")] == ["r1"]

    def test_reports_are_listed_newest_window_first(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        for week in (2, 0, 3, 1):
            stores.monitors.add_report(report(f"r{week}", week=week))
        assert [one.id for one in stores.monitors.reports(AUC.name)] == ["r3", "r2", "r1", "r0"]
        before = START + timedelta(weeks=3)
        assert [one.id for one in stores.monitors.reports(AUC.name, before=before, limit=2)] == ["r2", "r1"]

    def test_an_alert_is_resolved_once(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        stores.monitors.add_report(report("r1", breached=True))
        closed = stores.monitors.resolve("r1", resolution="retrained", at=START)
        assert (closed.closed_at, closed.resolution) == (START, "retrained")
        assert stores.monitors.get_alert("r1") == closed
        with pytest.raises(Conflict):
            stores.monitors.resolve("r1", resolution="again", at=START)
        resolved = stores.journal.events(kinds=["alert.resolved"])
        assert [(event.subject, event.payload) for event in resolved] == [
            ("alert:r1", {"monitor": AUC.name, "resolution": "retrained"})
        ]

    def test_naive_times_are_refused_and_nothing_written(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        with pytest.raises(InvalidInput):
            stores.monitors.add_report(report("r1", end=START.replace(tzinfo=None)))
        assert stores.monitors.reports(AUC.name) == []

    def test_what_cannot_be_stored_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.monitors.apply(msgspec.structs.replace(AUC, settings={"by": object()}))
        assert stores.monitors.monitors() == []
        assert stores.journal.events() == []

    def test_of_many_threads_one_opens_the_alert(self, stores: Stores) -> None:
        stores.monitors.apply(AUC)
        reports = [report(f"r{week}", week=week, breached=True) for week in range(16)]
        with ThreadPoolExecutor(8) as pool:
            opened = [alert for _, alert in pool.map(stores.monitors.add_report, reports) if alert]
        assert len(opened) == 1
        assert stores.monitors.alerts() == opened


_names = st.sampled_from(["a", "b"])
_models = st.sampled_from(["model:m@1", "model:m@2"])
_ids = st.sampled_from(["r1", "r2", "r3", "r4"])

MONITOR_STORE_PLAYS: Plays = {
    "apply": st.fixed_dictionaries(
        {
            "monitor": st.builds(
                Monitor,
                _names,
                st.sampled_from(["delay", "fare"]),
                st.just("drift"),
                st.just("psi"),
                st.sampled_from([0.1, 0.2]),
            )
        }
    ),
    "get": st.fixed_dictionaries({"name": _names}),
    "monitors": st.fixed_dictionaries({}, optional={"endpoint": st.sampled_from(["delay", "fare"])}),
    "add_report": st.fixed_dictionaries(
        {
            "report": st.builds(
                report, _ids, monitor=_names, week=st.integers(0, 2), breached=st.booleans(), model=_models
            )
        },
        optional={"reason": st.just("high")},
    ),
    "reports": st.fixed_dictionaries(
        {"monitor": _names},
        optional={
            "model": _models,
            "before": st.integers(0, 3).map(lambda week: START + timedelta(weeks=week)),
            "limit": st.integers(1, 2),
        },
    ),
    "resolve": st.fixed_dictionaries({"alert_id": _ids, "resolution": st.just("ok"), "at": st.just(START)}),
    "alerts": st.fixed_dictionaries(
        {}, optional={"monitor": _names, "is_open": st.booleans(), "limit": st.integers(1, 2)}
    ),
    "get_alert": st.fixed_dictionaries({"alert_id": _ids}),
}
