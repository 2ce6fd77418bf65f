"""Amounts of memory."""

from __future__ import annotations

import pytest

from interlock.core.errors import InvalidInput
from interlock.core.sizes import read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("2GB", 2 * 10**9), ("1.5 gib", 3 * 2**29), ("3m", 3_000_000), ("4KiB", 4096), (" 1TB ", 10**12)],
)
def test_amounts(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0GB", "-1GB", "GB", "1PB", "1 000", "0.1"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="amount of memory"):
        read_size(text)
