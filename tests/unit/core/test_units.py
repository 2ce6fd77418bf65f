from __future__ import annotations

import pytest

from interlock.core.units import human_bytes, human_count, human_seconds


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**2, "5.0 MiB"), (2**30, "1.0 GiB"), (2**42, "4.0 TiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2e-6, "2 µs"), (0.0042, "4.2 ms"), (1.25, "1.2 s"), (75, "1 min 15 s"), (59.99, "60.0 s"), (3720, "1 h 2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


def test_counts() -> None:
    assert human_count(336776) == "336,776"
