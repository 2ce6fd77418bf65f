from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from interlock.core.errors import InvalidInput
from interlock.labels.agreement import cohen_kappa, judgements, krippendorff_alpha, percent_agreement
from interlock.ports.label_store import Annotation

NOW = datetime(2013, 1, 1, tzinfo=UTC)

# Krippendorff (2011), section C: four observers, twelve units, values missing
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
UNITS = [[value for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]


def test_the_published_example_of_alpha() -> None:
    assert krippendorff_alpha(UNITS) == pytest.approx(0.743, abs=5e-4)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=12))
def test_alpha_is_one_less_observed_over_expected_disagreement(items: list[list[int]]) -> None:
    paired = [values for values in items if len(values) > 1]
    everything = [value for values in paired for value in values]
    count = len(everything)
    observed = sum(2 * sum(a != b for a, b in combinations(values, 2)) / (len(values) - 1) for values in paired) / max(
        count, 1
    )
    expected = 2 * sum(a != b for a, b in combinations(everything, 2)) / max(count * (count - 1), 1)
    if expected == 0:
        assert krippendorff_alpha(items) is None
    else:
        assert krippendorff_alpha(items) == pytest.approx(1 - observed / expected)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_kappa_agrees_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    if len(set(first) | set(second)) == 1:
        assert cohen_kappa(first, second) is None
    else:
        assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_is_one_for_full_and_zero_for_chance_agreement() -> None:
    assert cohen_kappa("abab", "abab") == 1.0
    assert cohen_kappa("aabb", "abab") == 0.0


def test_kappa_of_nothing_and_of_unequal_lists() -> None:
    assert cohen_kappa([], []) is None
    with pytest.raises(InvalidInput, match="different numbers of items"):
        cohen_kappa([1], [1, 2])


def test_percent_agreement_counts_each_item_once() -> None:
    assert percent_agreement([["a", "a"], ["a", "a", "b"], ["a"]]) == pytest.approx((1 + 1 / 3) / 2)
    assert percent_agreement([["a"], []]) is None


def test_the_last_word_of_each_annotator_counts() -> None:
    def said(number: int, item: str, annotator: str, value: object) -> Annotation:
        return Annotation(str(number), item, value, annotator, NOW + timedelta(minutes=number))

    told = [
        said(3, "x", "ada", "late"),
        said(1, "x", "ada", "early"),
        said(2, "x", "bob", "late"),
        said(4, "y", "bob", 1),
    ]
    assert judgements(told) == [["late", "late"], [1]]
    with pytest.raises(InvalidInput, match="annotation '5' has a value that cannot be compared"):
        judgements([said(5, "x", "ada", {"box": [0, 1]})])
