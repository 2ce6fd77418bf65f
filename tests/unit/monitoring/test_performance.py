from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from interlock.core.errors import InvalidInput
from interlock.monitoring.performance import METRICS, accuracy, brier, by_slice, log_loss, measure

RANDOM = np.random.default_rng(0)
SCORE = RANDOM.uniform(size=400)
Y = (RANDOM.uniform(size=400) < SCORE).astype(float)


def test_figures_agree_with_sklearn() -> None:
    assert log_loss(Y, SCORE).value == pytest.approx(sklearn_log_loss(Y, SCORE))
    assert brier(Y, SCORE).value == pytest.approx(brier_score_loss(Y, SCORE))
    assert accuracy(Y, SCORE).value == pytest.approx(accuracy_score(Y, SCORE >= 0.5))
    assert accuracy(Y, SCORE, cutoff=0.8).value == pytest.approx(accuracy_score(Y, SCORE >= 0.8))


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_hold_the_figure_and_narrow_with_rows(metric: str) -> None:
    few, many = measure(metric, Y[:100], SCORE[:100]), measure(metric, Y, SCORE)
    assert few is not None
    assert many is not None
    assert many.low < many.value < many.high
    assert many.high - many.low < few.high - few.low
    wide = measure(metric, Y, SCORE, level=0.999)
    assert wide is not None
    assert wide.low < many.low


def test_a_certain_error_costs_much_but_not_infinitely_much() -> None:
    found = log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert 30 < found.value < 40


def test_the_cutoff_reaches_accuracy_alone() -> None:
    strict = measure("accuracy", Y, SCORE, cutoff=1.1)
    assert strict is not None
    assert strict.value == pytest.approx(1 - Y.mean())
    assert measure("auc", Y, SCORE, cutoff=1.1) == measure("auc", Y, SCORE)


@pytest.mark.parametrize("metric", METRICS)
def test_no_rows_have_no_figure(metric: str) -> None:
    assert measure(metric, Y[:0], SCORE[:0]) is None


def test_an_unknown_metric() -> None:
    with pytest.raises(InvalidInput, match="no performance metric 'acu'") as caught:
        measure("acu", Y, SCORE)
    assert caught.value.why == "did you mean 'auc'?"


def test_slices_come_largest_first() -> None:
    values = ["EWR"] * 250 + ["JFK"] * 100 + [None] * 50
    found = by_slice("auc", Y, SCORE, "origin", values)
    assert [(one.column, one.value, one.rows) for one in found] == [
        ("origin", "EWR", 250),
        ("origin", "JFK", 100),
        ("origin", "None", 50),
    ]
    assert found[1].figure == measure("auc", Y[250:350], SCORE[250:350])


def test_a_slice_of_one_class_has_no_figure_and_small_ones_are_left_out() -> None:
    y, score = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.9, 0.8, 0.7])
    found = by_slice("auc", y, score, "c", ["a", "a", "b", "b"])
    assert [one.figure is None for one in found] == [False, True]
    assert len(by_slice("auc", y, score, "c", [1, 2, 3, 4], largest=2)) == 2
