from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock, to_micros
from interlock.core.errors import InvalidInput, NotFound
from interlock.core.schema import Column, Signature
from interlock.monitoring import monitors as monitors_module
from interlock.monitoring import windows as windows_module
from interlock.monitoring.findings import find_drift
from interlock.monitoring.monitors import Monitors
from interlock.monitoring.reference import reference_from_columns
from interlock.monitoring.settings import MonitorSettings
from interlock.monitoring.windows import Window, read_window
from interlock.ports.journal import Edge
from interlock.ports.model_store import ModelVersion
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.prediction_log import Feedback, Prediction
from interlock.ports.stores import Stores

START = datetime(2013, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
INPUTS = (Column("delay", "double"), Column("origin", "string"), Column("asked_at", "datetime"))
ONE, TWO = "model:delay@1", "model:delay@2"
RANDOM = np.random.default_rng(0)
REFERENCE = reference_from_columns(
    {"delay": RANDOM.normal(size=4000), "origin": RANDOM.choice(["EWR", "JFK"], 4000).tolist()},
    {"delay": "double", "origin": "string"},
)


def version(ref: str, inputs: tuple[Column, ...] = INPUTS) -> ModelVersion:
    return ModelVersion(
        model="delay",
        version=int(ref[-1]),
        created_at=START,
        files=(),
        signature=Signature(inputs, (Column("probability", "double"),)),
        flavor="sklearn",
        engine="onnx",
    )


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(START))


@pytest.fixture
def monitors(stores: Stores) -> Monitors:
    return made(stores)


def made(stores: Stores, resolve: Callable[[str], ModelVersion] = version) -> Monitors:
    return Monitors(stores.monitors, stores.predictions, resolve_version=resolve, reference=lambda _: REFERENCE)


def drift(**changes: Any) -> Monitor:
    known: dict[str, Any] = {
        "name": "drift",
        "endpoint": "delay",
        "kind": "drift",
        "metric": "psi",
        "threshold": 0.2,
        "window_s": 3600,
        "min_rows": 100,
    }
    return Monitor(**{**known, **changes})


def performance(**changes: Any) -> Monitor:
    return drift(
        **{"name": "auc", "kind": "performance", "metric": "auc", "threshold": 0.7, "direction": "below", **changes}
    )


def ask(
    stores: Stores,
    count: int,
    *,
    at: datetime = START,
    shift: float = 0.0,
    origins: Sequence[str | None] = ("EWR", "JFK"),
    skill: float = 1.0,
    judged: float = 1.0,
    model: str = ONE,
    role: Any = "live",
    tag: str = "p",
    output: str = "probability",
) -> None:
    """Log answers spread over the hour after `at`, and the truth of a share of them."""
    random = np.random.default_rng(count)
    rows, truths = [], []
    for number in range(count):
        event = to_micros(at) + number * 3_600_000_000 // count
        truth = int(random.integers(2))
        score = 1 / (1 + np.exp(-random.normal() - skill * (truth - 0.5)))
        rows.append(
            Prediction(
                id=f"{tag}{to_micros(at)}-{number:05}",
                endpoint="delay",
                model=model,
                role=role,
                event_time=event,
                served_at=event,
                inputs=(random.normal() + shift, origins[number % len(origins)], event),
                outputs={output: float(score)},
            )
        )
        if number < judged * count:
            truths.append(Feedback(rows[-1].id, truth, event + 1))
    stores.predictions.append(rows)
    stores.predictions.feedback(truths)


def look(monitors: Monitors, monitor: Monitor, **window: Any) -> Report:
    monitors.apply(monitor)
    return monitors.evaluate(monitor.name, **{"start": START, "end": START + HOUR, **window})


def test_no_drift_stays_quiet(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 500)
    monitors.apply(drift())
    report = monitors.evaluate("drift", start=START, end=START + HOUR)
    assert report.value is not None
    assert report.value < 0.03
    assert (report.rows, report.breached, report.model, report.low) == (500, False, ONE, None)
    assert stores.monitors.alerts() == []


def test_drift_of_a_column_raises_an_alert_that_says_why(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 500, shift=1.0)
    monitors.apply(drift())
    report = monitors.evaluate("drift", start=START, end=START + HOUR)
    (alert,) = stores.monitors.alerts(is_open=True)
    assert report.breached
    assert report.details["worst"] == "delay"
    assert report.value == report.details["columns"]["delay"]["psi"] > 0.5
    assert report.value < report.details["columns"]["delay"]["psi_raw"]
    assert alert.report == report.id
    assert alert.reason == (
        f"psi of delay is {report.value:.3f}, threshold above 0.2, "
        "on 500 rows from 2013-02-01 00:00 to 2013-02-01 01:00"
    )
    assert Edge(ONE, f"report:{report.id}", "watched_in") in stores.journal.walk(
        f"report:{report.id}", direction="back"
    )


def test_new_categories_and_missing_values_are_drift(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 500, origins=("EWR", "JFK", "LGA", None))
    monitors.apply(drift())
    report = monitors.evaluate("drift", start=START, end=START + HOUR)
    column = report.details["columns"]["origin"]
    assert (report.details["worst"], report.breached) == ("origin", True)
    assert column["new_categories"] == ["LGA"]
    assert (column["null_share"], column["reference_null_share"]) == (0.25, 0.0)
    assert 0 < column["js"] <= 1


def test_skipped_columns_times_and_strangers_are_not_judged(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 200, shift=3.0)
    monitors.apply(drift(settings={"skip": ["delay"]}))
    report = monitors.evaluate("drift", start=START, end=START + HOUR)
    assert set(report.details["columns"]) == {"origin"}
    assert (report.breached, report.details["unreferenced"]) == (False, [])
    wider = (*INPUTS[:2], Column("new_input", "double"))
    report = look(made(stores, lambda ref: version(ref, wider)), drift(name="other"))
    assert report.details["unreferenced"] == ["new_input"]


def test_a_column_that_changed_from_number_to_text_is_unreferenced() -> None:
    window = Window([], {"delay": ["late"]}, {"delay": "string"}, {})
    finding = find_drift(window, REFERENCE, "psi", MonitorSettings())
    assert (finding.details["unreferenced"], finding.value) == (["delay"], None)


def test_the_jensen_shannon_distance_can_be_judged(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 500, shift=1.0)
    report = look(monitors, drift(metric="js"))
    assert report.value == report.details["columns"]["delay"]["js"]


def test_too_few_rows_are_reported_but_never_fire(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 99, shift=5.0)
    report = look(monitors, drift())
    assert report.value is not None
    assert report.value > 1
    assert not report.breached


def test_performance_over_what_is_known(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 400, skill=3.0, judged=0.5)
    monitors.apply(performance(settings={"slices": ["origin", "unknown"]}))
    report = monitors.evaluate("auc", start=START, end=START + HOUR)
    assert report.value is not None
    assert report.low is not None
    assert report.high is not None
    assert 0.9 < report.low < report.value < report.high
    assert (report.rows, report.breached) == (200, False)
    assert (report.details["answers"], report.details["truths"], report.details["unusable"]) == (400, 200, 0)
    slices = report.details["slices"]
    assert [(one["column"], one["value"], one["rows"]) for one in slices] == [
        ("origin", "EWR", 100),
        ("origin", "JFK", 100),
    ]
    assert all(0.8 < one["low"] < one["figure"] < one["high"] for one in slices)


def test_poor_performance_raises_an_alert(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 400, skill=0.0)
    report = look(monitors, performance())
    (alert,) = stores.monitors.alerts()
    assert report.breached
    assert alert.reason == (
        f"auc is {report.value:.3f} ({report.low:.3f} to {report.high:.3f}), threshold below 0.7, "
        "on 400 judged answers from 2013-02-01 00:00 to 2013-02-01 01:00"
    )


def test_above_and_below(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 400, skill=3.0)
    for number, (direction, threshold, fires) in enumerate(
        [("above", 0.5, True), ("above", 0.999, False), ("below", 0.5, False), ("below", 0.999, True)]
    ):
        one = performance(name=f"m{number}", direction=direction, threshold=threshold)
        assert look(monitors, one).breached is fires


def test_certain_asks_for_the_whole_interval(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 400, skill=1.0)
    plain = look(monitors, performance(threshold=0.0))
    assert plain.value is not None
    assert plain.high is not None
    assert plain.low is not None
    cases = [("below", plain.value + 0.001, False), ("below", plain.high + 0.001, True)]
    cases += [("above", plain.value - 0.001, False), ("above", plain.low - 0.001, True)]
    for number, (direction, threshold, fires) in enumerate(cases):
        one = performance(name=f"m{number}", direction=direction, threshold=threshold, settings={"certain": True})
        assert look(monitors, one).breached is fires


def test_truths_and_answers_that_cannot_be_used_are_counted(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 10, judged=0.0)
    ids = [row.prediction.id for row in stores.predictions.recent("delay")]
    truths: list[Any] = [True, False, 1.0, 0, 2, "late", None, -1]
    stores.predictions.feedback([Feedback(one, truth, 5) for one, truth in zip(ids, truths, strict=False)])
    ask(stores, 3, at=START + HOUR / 2, tag="odd", output="label")
    report = look(monitors, performance(), start=START, end=START + 2 * HOUR)
    assert (report.rows, report.details["truths"], report.details["unusable"]) == (4, 11, 7)


def test_what_is_not_defined_is_none_and_never_fires(monitors: Monitors, stores: Stores) -> None:
    report = look(monitors, performance(min_rows=0))
    assert (report.rows, report.value, report.low, report.breached, report.model) == (0, None, None, False, "")
    ask(stores, 1)
    for number, metric in enumerate(("auc", "log_loss", "brier", "accuracy")):
        one = performance(name=f"m{number}", metric=metric, min_rows=0, settings={"slices": ["origin"]})
        report = look(monitors, one)
        text = msgspec.json.encode(report)
        assert b"NaN" not in text
        assert b"nfinity" not in text
        assert report.rows == 1
    drifting = look(monitors, drift(min_rows=0, name="d"), start=START + HOUR, end=START + 2 * HOUR)
    assert (drifting.value, drifting.details["worst"], drifting.breached) == (None, None, False)


def test_a_window_keeps_its_first_report(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 200)
    first = look(monitors, drift())
    ask(stores, 200, at=START, tag="late", shift=5.0)
    assert look(monitors, drift()) == first
    assert stores.monitors.reports("drift") == [first]


def test_an_open_alert_is_not_raised_again(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 200, shift=5.0)
    ask(stores, 200, at=START + HOUR, shift=5.0)
    monitors.apply(drift())
    assert [report.breached for report in monitors.evaluate_due("delay", START + 2 * HOUR)] == [True, True]
    assert len(stores.monitors.alerts()) == 1


def test_shadows_are_judged_only_when_asked_for(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 300)
    ask(stores, 300, model=TWO, role="shadow", skill=0.0)
    seen = look(monitors, performance())
    shadow = look(monitors, performance(), model=TWO)
    assert (seen.model, seen.details["models"]) == (ONE, {ONE: 300})
    assert (shadow.model, shadow.details["models"]) == (TWO, {TWO: 300})


def test_answers_of_versions_with_different_inputs_are_read_together(stores: Stores) -> None:
    def resolve(ref: str) -> ModelVersion:
        return version(ref, INPUTS if ref == ONE else (INPUTS[1], INPUTS[0], Column("extra", "long")))

    ask(stores, 4)
    row = stores.predictions.recent("delay", limit=1)[0].prediction
    stores.predictions.append(
        [msgspec.structs.replace(row, id="other", model=TWO, role="canary", inputs=("LGA", 9.0, 3))]
    )
    window = read_window(
        stores.predictions, "delay", start=START, end=START + HOUR, model=None, resolve_version=resolve
    )
    assert window.models == {ONE: 4, TWO: 1}
    assert window.model == ONE
    position = [answer.prediction.id for answer in window.answers].index("other")
    assert {name: values[position] for name, values in window.columns.items()} == {
        "delay": 9.0,
        "origin": "LGA",
        "asked_at": None,
        "extra": 3,
    }
    assert window.columns["extra"].count(None) == 4


def test_long_windows_are_read_in_pages(monitors: Monitors, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "_PAGE", 64)
    ask(stores, 300)
    assert look(monitors, drift()).rows == 300


def test_due_windows_are_the_complete_ones_in_order_and_once(monitors: Monitors, stores: Stores) -> None:
    for hour in (0, 1, 5):
        ask(stores, 120, at=START + hour * HOUR)
    monitors.apply(drift())
    assert monitors.evaluate_due("delay", START + HOUR / 2) == []
    first = monitors.evaluate_due("delay", START + 2 * HOUR)
    assert [(report.start, report.end) for report in first] == [
        (START, START + HOUR),
        (START + HOUR, START + 2 * HOUR),
    ]
    assert monitors.evaluate_due("delay", START + 2 * HOUR) == []
    later = monitors.evaluate_due("delay", START + 10 * HOUR)
    assert [report.start for report in later] == [START + 5 * HOUR]


def test_windows_of_whole_days_begin_at_midnight(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 120, at=START + 7 * HOUR)
    monitors.apply(drift(window_s=86_400))
    (report,) = monitors.evaluate_due("delay", START + 30 * HOUR)
    assert report.start == START


def test_windows_begin_where_the_settings_say(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 120)
    monitors.apply(drift(settings={"start": "2013-02-01T00:30:00Z"}))
    (report,) = monitors.evaluate_due("delay", START + 3 * HOUR)
    assert report.start == START + HOUR / 2


def test_earlier_answers_that_arrive_late_do_not_move_the_windows(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 120)
    monitors.apply(drift())
    monitors.evaluate_due("delay", START + HOUR)
    ask(stores, 10, at=START - timedelta(minutes=7))
    ask(stores, 120, at=START + HOUR)
    assert [one.start for one in monitors.evaluate_due("delay", START + 3 * HOUR)] == [START + HOUR]


def test_a_window_can_wait_for_its_truths(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 120)
    monitors.apply(performance(settings={"delay_s": 7200}))
    assert monitors.evaluate_due("delay", START + 2 * HOUR) == []
    assert len(monitors.evaluate_due("delay", START + 3 * HOUR)) == 1


def test_every_monitor_of_the_endpoint_is_due_and_no_other(monitors: Monitors, stores: Stores) -> None:
    ask(stores, 120)
    for one in (drift(), performance(), drift(name="elsewhere", endpoint="fare")):
        monitors.apply(one)
    assert [one.monitor for one in monitors.evaluate_due("delay", START + HOUR)] == ["auc", "drift"]
    assert monitors.evaluate_due("nowhere", START + HOUR) == []


def test_many_reports_are_read_in_pages(monitors: Monitors, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors_module, "_PAGE", 2)
    for hour in range(5):
        ask(stores, 10, at=START + hour * HOUR)
    monitors.apply(drift())
    assert len(monitors.evaluate_due("delay", START + 5 * HOUR)) == 5
    assert monitors.evaluate_due("delay", START + 5 * HOUR) == []


def test_bad_input(monitors: Monitors, stores: Stores) -> None:
    with pytest.raises(NotFound):
        monitors.evaluate("nothing", start=START, end=START + HOUR)
    with pytest.raises(InvalidInput, match="the window is empty"):
        look(monitors, drift(), start=START, end=START)
    with pytest.raises(InvalidInput, match="no time zone"):
        look(monitors, drift(), start=datetime(2013, 1, 1), end=START)  # noqa: DTZ001
    with pytest.raises(InvalidInput, match="the kind"):
        monitors.apply(drift(kind="magic"))
    assert [one.name for one in stores.monitors.monitors()] == ["drift"]
