from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from interlock.core.errors import NotFound
from interlock.loop.outcomes import commit_training_rows, freeze_labels, judged_rows
from interlock.ports.prediction_log import JudgedPrediction
from tests.unit.loop.world import DAY, SIGNATURE, START, World


@pytest.fixture
def served(world: World) -> World:
    world.deploy(world.add_model(0.5))
    world.data.commit("asked", {"x": [0.5]})
    world.serve(START, rows=100, known_after=timedelta(hours=6))
    return world


def test_only_truths_known_by_then_count(served: World) -> None:
    rows = list(judged_rows(served, "delay", start=START, end=START + DAY, known_by=START + DAY / 2))  # type: ignore[arg-type]
    assert len(rows) == 26, "asked in the first six hours, known six hours later"


def rows_of(world: World, start: datetime, end: datetime, known_by: datetime) -> list[JudgedPrediction]:
    return list(judged_rows(world, "delay", start=start, end=end, known_by=known_by))  # type: ignore[arg-type]


def test_labels_are_frozen_as_of_a_moment(served: World) -> None:
    first_rows = rows_of(served, START, START + DAY, START + DAY / 2)
    first = freeze_labels(served, "delay", first_rows, known_by=START + DAY / 2)  # type: ignore[arg-type]
    all_rows = rows_of(served, START, START + DAY, START + 2 * DAY)
    second = freeze_labels(served, "delay", all_rows, known_by=START + 2 * DAY)  # type: ignore[arg-type]
    assert (first.ref, first.count) == ("labels:delay-outcomes@1", 26)
    assert (second.ref, second.count) == ("labels:delay-outcomes@2", 100)


def test_without_truths_there_is_nothing_to_freeze(served: World) -> None:
    with pytest.raises(NotFound) as caught:
        freeze_labels(served, "delay", [], known_by=START)  # type: ignore[arg-type]
    assert "feedback" in caught.value.fix


def test_long_periods_come_page_by_page(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.loop.outcomes.PAGE", 30)
    assert len(rows_of(served, START, START + DAY, START + 2 * DAY)) == 100


def test_what_was_served_becomes_training_data(served: World) -> None:
    known_by = START + 2 * DAY
    labels = freeze_labels(served, "delay", rows_of(served, START, START + DAY, known_by), known_by=known_by)  # type: ignore[arg-type]
    for start, end in [(START, START + DAY / 2), (START + DAY / 2, START + DAY)]:
        snapshot = commit_training_rows(
            served,  # type: ignore[arg-type]
            "delay",
            rows_of(served, start, end, known_by),
            dataset="training",
            signature=SIGNATURE,
            labels=labels,
        )
    assert (snapshot.ref, snapshot.rows, len(snapshot.parts)) == ("dataset:training@2", 100, 2)
    table = served.data.read(snapshot.ref)
    assert table.column_names == ["x", "origin", "prediction_id", "event_time", "truth"]
    logged = served.stores.predictions.window("delay", start=START, end=START + DAY)
    assert table["x"].to_pylist() == [row.prediction.inputs[0] for row in logged]
    assert table["truth"].to_pylist() == [row.feedback.truth for row in logged if row.feedback]
    sources = {edge.source for edge in served.stores.journal.walk(snapshot.ref, direction="back", depth=1)}
    assert {labels.ref, "dataset:asked@1"} <= sources
