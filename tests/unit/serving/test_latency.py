from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.serving.latency import BUCKETS, bucket_of, quantile_ns, upper_ns


@given(st.integers(0, 10**11))
def test_a_duration_lies_in_its_bucket(took_ns: int) -> None:
    bucket = bucket_of(took_ns)
    low = upper_ns(bucket - 1) if bucket else 0
    assert low <= took_ns
    assert took_ns < upper_ns(bucket) or bucket == BUCKETS - 1


def test_buckets_are_an_eighth_wide_at_most() -> None:
    for bucket in range(8, BUCKETS):
        assert upper_ns(bucket) / upper_ns(bucket - 1) <= 1.126


@given(st.lists(st.integers(2_000, 10**10), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_off_by_an_eighth_at_most(durations: list[int], share: float) -> None:
    counts = [0] * BUCKETS
    for took_ns in durations:
        counts[bucket_of(took_ns)] += 1
    found = quantile_ns(counts, share)
    assert found is not None
    ordered = sorted(durations)
    wanted = next(value for place, value in enumerate(ordered, 1) if place >= share * len(ordered))
    assert wanted / 1.3 - 1_024 <= found <= wanted * 1.3 + 1_024


def test_nothing_has_no_quantile() -> None:
    assert quantile_ns([0] * BUCKETS, 0.5) is None


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_are_the_bucket_s(share: float) -> None:
    counts = [0] * BUCKETS
    counts[8] = 3
    found = quantile_ns(counts, share)
    assert found is not None
    assert 8_192 <= found <= 9_216


def test_what_takes_too_long_is_in_the_last_bucket() -> None:
    counts = [0] * BUCKETS
    counts[bucket_of(10**15)] = 1
    assert quantile_ns(counts, 0.5) is not None
    assert counts[-1] == 1
    pairs = [0] * (BUCKETS // 2)
    pairs[4] = 2
    assert 8_192 <= (quantile_ns(pairs, 0.5, octave=4) or 0) <= 10_240
