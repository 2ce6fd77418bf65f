"""Points become columns: exact, in order, each key once, and nothing of a call that is refused."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput
from interlock.experiments import points as module
from interlock.experiments.points import Points
from interlock.ports.run_store import Series


def ticking(start: float = 100.0, by: float = 1.0) -> Any:
    ticks = iter_from(start, by)
    return lambda: next(ticks)


def iter_from(start: float, by: float) -> Iterator[float]:
    while True:
        yield start
        start += by


def unpacked(one: Series) -> list[tuple[float, float, int]]:
    columns = [array(kind, data) for kind, data in (("d", one.values), ("d", one.steps), ("q", one.times))]
    return list(zip(*columns, strict=True))


def taken(points: Points) -> dict[str, list[tuple[float, float, int]]]:
    series = points.take()
    assert len({one.key for one in series}) == len(series)
    return {one.key: unpacked(one) for one in series}


def test_points_are_columns_by_key() -> None:
    points = Points(ticking())
    points.add("loss", 0.5, 0)
    points.add("loss", 0.25, 2.5)
    points.add("auc", 1)
    assert taken(points) == {
        "loss": [(0.5, 0.0, 100_000_000), (0.25, 2.5, 101_000_000)],
        "auc": [(1.0, 0.0, 102_000_000)],
    }
    assert taken(points) == {}


def test_values_logged_together_share_step_and_time() -> None:
    points = Points(ticking())
    points.add_all({"a": 1.0, "b": 2}, 7)
    points.add_all({"a": np.float32(3.0), "b": True}, 8)
    assert taken(points) == {
        "a": [(1.0, 7.0, 100_000_000), (3.0, 8.0, 101_000_000)],
        "b": [(2.0, 7.0, 100_000_000), (1.0, 8.0, 101_000_000)],
    }


def test_a_key_logged_alone_and_with_others_is_one_series_by_time() -> None:
    points = Points(ticking())
    points.add_all({"a": 1, "b": 1})
    points.add("a", 2)
    points.add_all({"b": 2, "a": 3}, 5)
    points.add("a", 4)
    found = taken(points)
    assert [row[:2] for row in found["a"]] == [(1.0, 0.0), (2.0, 1.0), (3.0, 5.0), (4.0, 6.0)]
    assert [row[:2] for row in found["b"]] == [(1.0, 0.0), (2.0, 5.0)]


def test_without_a_step_each_series_counts_for_itself() -> None:
    points = Points(ticking(), {"old": 41.0})
    points.add("new", 1)
    points.add_all({"old": 1, "new": 2})
    assert [row[1] for row in taken(points)["old"]] == [42.0]
    points.add("new", 3)
    assert [row[1] for row in taken(points)["new"]] == [2.0]


def test_steps_come_in_any_order_and_may_be_fractions() -> None:
    points = Points(ticking())
    for step in (5, 0.5, -3, 1e300, np.int64(4), np.float32(0.25)):
        points.add("m", 1.0, step)
    assert [row[1] for row in taken(points)["m"]] == [5.0, 0.5, -3.0, 1e300, 4.0, 0.25]


def test_numbers_that_are_not_finite_are_values_but_no_steps() -> None:
    points = Points(ticking())
    for value in (math.nan, math.inf, -math.inf):
        points.add("m", value)
    values = [row[0] for row in taken(points)["m"]]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]
    for step in (math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidInput, match="no place"):
            points.add("m", 1.0, step)
        with pytest.raises(InvalidInput, match="no place"):
            points.add_all({"m": 1.0}, step)
    assert taken(points) == {}


@pytest.mark.parametrize("value", ["0.5", None, [1], b"1", object(), 10**400])
def test_what_is_no_number_is_refused_by_name_and_nothing_of_the_call_is_kept(value: Any) -> None:
    points = Points(ticking())
    with pytest.raises(InvalidInput, match="'bad'"):
        points.add("bad", value)
    with pytest.raises(InvalidInput, match="'bad'"):
        points.add_all({"good": 1.0, "bad": value}, 1)
    points.add("good", 1.0, 9)
    with pytest.raises(InvalidInput, match="'bad'"):
        points.add_all({"good": 1.0, "bad": value})
    assert {key: len(rows) for key, rows in taken(points).items()} == {"good": 1}


@pytest.mark.parametrize("step", ["3", [1], 10**400])
def test_what_is_no_step_is_refused(step: Any) -> None:
    with pytest.raises(InvalidInput, match="step|place"):
        Points(ticking()).add("m", 1.0, step)


@pytest.mark.parametrize("key", ["", "x" * 501, 7, "nul\0", "\ud800"])
def test_a_key_that_no_store_keeps_is_refused(key: Any) -> None:
    points = Points(ticking())
    with pytest.raises(InvalidInput, match="key of a metric"):
        points.add(key, 1.0)
    with pytest.raises(InvalidInput, match="key of a metric"):
        points.add_all({"good": 1.0, key: 1.0})
    assert taken(points) == {}


def test_nothing_logged_together_is_nothing() -> None:
    points = Points(ticking())
    points.add_all({})
    points.add_all({}, 3)
    assert taken(points) == {}


def test_points_that_agree_in_all_are_moved_apart_in_time() -> None:
    points = Points(lambda: 5.0)
    for _ in range(3):
        points.add("m", 1.0, 0)
        points.add_all({"a": 1.0, "b": 2.0}, 0)
    first = taken(points)
    assert [row[2] for row in first["m"]] == [5_000_000, 5_000_001, 5_000_002]
    assert [row[2] for row in first["a"]] == [row[2] for row in first["b"]] == [5_000_000, 5_000_001, 5_000_002]
    for _ in range(2):
        points.add("m", 1.0, 0)
    assert [row[2] for row in taken(points)["m"]] == [5_000_003, 5_000_004]


def test_points_of_other_steps_keep_their_time() -> None:
    points = Points(lambda: 5.0)
    for step in range(3):
        points.add("m", 1.0, step)
    assert [row[2] for row in taken(points)["m"]] == [5_000_000] * 3


def test_ever_other_sets_of_keys_cost_no_table_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TABLES", 2)
    points = Points(ticking())
    for number in range(6):
        points.add_all({"same": number, f"other_{number}": number}, number)
    assert len(points._together) == 2
    found = taken(points)
    assert [row[:2] for row in found["same"]] == [(float(n), float(n)) for n in range(6)]
    assert len(found) == 7


def test_whoever_adds_when_nothing_was_taken_for_long_is_asked_to_see_to_it() -> None:
    calls: list[int] = []
    now = [100.0]
    points = Points(lambda: now[0], late=lambda: calls.append(1))
    points.add("m", 1)
    assert calls == [], "nothing was ever taken: nobody is late"
    taken(points)
    now[0] += module.LATE_AFTER_S / 2
    points.add("m", 2)
    assert calls == []
    now[0] += module.LATE_AFTER_S
    points.add("m", 3)
    points.add_all({"m": 4})
    assert calls == [1], "not at every call"
    now[0] += module.LATE_AFTER_S
    points.add_all({"m": 5, "n": 1})
    assert calls == [1, 1]
    assert len(taken(points)["m"]) == 4


def test_what_is_forgotten_is_not_taken() -> None:
    points = Points(ticking())
    points.add("m", 1.0)
    points.forget()
    assert taken(points) == {}


def test_threads_lose_nothing_while_another_takes() -> None:
    points = Points(lambda: 100.0)  # a generator cannot tell the time to several threads
    done = threading.Event()
    counts: dict[str, int] = {}

    def take() -> None:
        while not done.is_set():
            for key, rows in taken(points).items():
                counts[key] = counts.get(key, 0) + len(rows)

    taker = threading.Thread(target=take)
    taker.start()

    def log(name: str) -> None:
        for step in range(3000):
            points.add("shared", 1.0, step)
            points.add_all({"shared": 2.0, name: 1.0}, step)

    loggers = [threading.Thread(target=log, args=(f"own_{number}",)) for number in range(4)]
    for thread in loggers:
        thread.start()
    for thread in loggers:
        thread.join()
    done.set()
    taker.join()
    for key, rows in taken(points).items():
        counts[key] = counts.get(key, 0) + len(rows)
    assert counts == {"shared": 24_000, **{f"own_{number}": 3000 for number in range(4)}}
