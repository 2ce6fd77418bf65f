from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from scipy import stats

from interlock.core.errors import InvalidInput
from interlock.experiments.groups import difference, group_by
from interlock.ports.run_store import MetricSummary, Run

START = datetime(2026, 1, 1, tzinfo=UTC)


def a_run(run_id: str, auc: float | None, **params: Any) -> Run:
    metrics = {}
    if auc is not None:
        metrics["auc"] = MetricSummary("auc", auc, auc, auc, auc, auc, 1, 0)
    return Run(run_id, "delay", "training", run_id, "finished", START, params=params, metrics=metrics)


ONE = [a_run(f"a{seed}", value, depth=1, seed=seed) for seed, value in enumerate((0.70, 0.71, 0.74, 0.69))]
TWO = [a_run(f"b{seed}", value, depth=2, seed=seed) for seed, value in enumerate((0.73, 0.73, 0.77, 0.71))]


def test_groups_are_of_equal_settings_with_an_interval() -> None:
    best, second = group_by([*ONE, *TWO], "auc")
    assert (best.settings, second.settings) == ({"depth": 2}, {"depth": 1})
    low, high = stats.t.interval(0.95, 3, best.mean, stats.sem(best.values))
    assert (best.low, best.high) == pytest.approx((low, high))
    assert best.runs == ("b0", "b1", "b2", "b3")


def test_single_and_missing_values_have_no_interval() -> None:
    groups = group_by([a_run("a", 0.5, depth=1), a_run("b", None, depth=2), a_run("c", math.nan, depth=2)], "auc")
    assert [one.settings for one in groups] == [{"depth": 1}, {"depth": 2}]
    assert math.isnan(groups[0].low)
    assert math.isnan(groups[1].mean)
    assert groups[1].runs == ("b", "c")


def test_pairs_are_tested_in_pairs() -> None:
    found = difference(ONE, TWO, "auc")
    wanted = stats.ttest_rel([run.metrics["auc"].last for run in TWO], [run.metrics["auc"].last for run in ONE])
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval()))
    assert (found.pairs, found.real) == (4, True)
    assert "paired t-test over 4 values of seed" in found.words


def test_groups_without_pairs_are_tested_as_they_are() -> None:
    one = [a_run(f"a{n}", value) for n, value in enumerate((0.70, 0.71, 0.74))]
    two = [a_run(f"b{n}", value) for n, value in enumerate((0.73, 0.73, 0.77, 0.71))]
    found = difference(one, two, "auc")
    wanted = stats.ttest_ind([0.73, 0.73, 0.77, 0.71], [0.70, 0.71, 0.74], equal_var=False)
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval()))
    assert not found.real
    assert "within what chance gives" in found.words


def test_equal_values_differ_by_nothing() -> None:
    found = difference(ONE, ONE, "auc")
    assert (found.difference, found.p_value, found.real) == (0, 1, False)


def test_one_run_proves_nothing() -> None:
    with pytest.raises(InvalidInput, match="cannot be tested"):
        difference(ONE[:1], TWO, "auc")
