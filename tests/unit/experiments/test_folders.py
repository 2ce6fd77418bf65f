"""Experiments in the folders that their names make."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.experiments.folders import Folder, counted, level, within
from interlock.ports.run_store import Run
from interlock.ports.stores import Stores

NAMES = ("/Users/ann/x", "plain", "vision", "vision/a", "vision/resnet/one", "vision/resnet/two", "vision2/b")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    stores = memory_stores(clock=FrozenClock(NOW))
    for name in NAMES:
        stores.experiments.ensure(name)
    return stores


def shown(stores: Stores, under: str = "", **options: str) -> tuple[dict[str, int], list[str], int]:
    found = level(stores.experiments, under, **options)  # type: ignore[arg-type]
    return {one.path: one.experiments for one in found.folders}, [one.name for one in found.experiments], found.total


def test_each_folder_shows_what_is_in_it(stores: Stores) -> None:
    folders, here, total = shown(stores)
    assert folders == {"/Users": 1, "vision": 3, "vision2": 1}
    assert (here, total) == (["plain", "vision"], 7)
    assert shown(stores, "vision") == ({"vision/resnet": 2}, ["vision/a"], 3)
    assert shown(stores, "/Users") == ({"/Users/ann": 1}, [], 1)
    assert shown(stores, "nope") == ({}, [], 0)
    assert level(stores.experiments, "vision").folders == (Folder("vision/resnet", 2),)


def test_names_are_found_in_all_folders_in_any_case(stores: Stores) -> None:
    assert shown(stores, match="RESNET") == ({}, ["vision/resnet/one", "vision/resnet/two"], 2)
    assert shown(stores, "vision", match="b") == ({}, [], 0)


def test_experiments_come_in_pages(stores: Stores) -> None:
    first = level(stores.experiments, match="vision", limit=2)
    assert [one.name for one in first.experiments] == ["vision", "vision/a"]
    assert first.after == "vision/a"
    rest = level(stores.experiments, match="vision", after=first.after, limit=3)
    assert [one.name for one in rest.experiments] == ["vision/resnet/one", "vision/resnet/two", "vision2/b"]
    assert rest.after is None


def test_a_folder_is_read_past_one_page_of_the_store(stores: Stores) -> None:
    for number in range(1005):
        stores.experiments.ensure(f"many/{number:04d}")
    assert len(list(within(stores.experiments, "many"))) == 1005
    assert len(list(within(stores.experiments, ""))) == 1005 + len(NAMES)


def test_runs_are_counted(stores: Stores) -> None:
    experiment = stores.experiments.find("plain")
    assert experiment is not None
    assert (counted(experiment, stores.runs).runs, counted(experiment, stores.runs).newest_at) == (0, None)
    stores.runs.create(Run("01A", "plain", "training", "", "running", NOW))
    assert (counted(experiment, stores.runs).runs, counted(experiment, stores.runs).newest_at) == (1, NOW)
