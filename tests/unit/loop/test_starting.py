"""A trigger starts a pipeline in a process of its own, once at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.loop.starting import PIPELINE, PipelineStarts
from interlock.loop.triggers import Firing
from interlock.ports.journal import Event
from interlock.ports.run_store import RunFilter
from interlock.ports.trigger_store import Trigger
from interlock.workspace import open_workspace

CODE = """
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step

@step
def note(text: str) -> str:
    return text

@pipeline
def nightly(day: str, told: list[str]) -> str:
    return note(day + told[0])
"""


def params(folder: Path, **more: Any) -> dict[str, Any]:
    return {"target": "jobs_of_test.py:nightly", "folder": str(folder), **more}


def firing(folder: Path, event: Event | None = None) -> Firing:
    order = params(folder, arguments={"day": "{date}", "told": [" {subject}"]})
    trigger = Trigger("nightly", PIPELINE, cron="0 4 * * *", time_zone="Asia/Tokyo", params=order)
    moment = datetime(2026, 3, 1, 20, tzinfo=UTC)
    return Firing(trigger=trigger, at=int(moment.timestamp()), event=event, upto=moment)


def test_the_pipeline_runs_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "jobs_of_test.py").write_text(CODE)
    with open_workspace(tmp_path / ".interlock") as workspace:
        uri = workspace.uri
    event = Event(1, "e", datetime(2026, 3, 1, 20, tzinfo=UTC), "dataset.committed", "dataset:x@1", "user", {})
    assert "started jobs_of_test.py:nightly" in PipelineStarts(uri)(firing(tmp_path, event))
    with open_workspace(tmp_path / ".interlock") as workspace:
        until = time.monotonic() + 60
        found = None
        while time.monotonic() < until and (found is None or found.status == "running"):
            runs = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"))
            found = runs[0] if runs else None
            time.sleep(0.05)
        assert found is not None and found.status == "finished", found
        # 20:00 in Greenwich is the next day in Tokyo
        assert (found.params["day"], found.name) == ("2026-03-02", "nightly")


@pytest.mark.parametrize("order", [{}, {"target": 1, "folder": "/"}, {"target": "a", "folder": "/nowhere/at/all"}])
def test_orders_that_make_no_sense(order: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        PipelineStarts("memory:").check(order)


def test_a_good_order(tmp_path: Path) -> None:
    PipelineStarts("memory:").check(params(tmp_path))  # raises nothing
