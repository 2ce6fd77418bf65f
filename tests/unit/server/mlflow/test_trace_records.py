"""Times, durations and judgements as protobuf's JSON writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from interlock.server.mlflow.trace_records import read_time, written_time
from interlock.server.mlflow.wire import Failure


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        ("2026-11-21T02:00:38.919Z", datetime(2026, 11, 21, 2, 0, 38, 919_000, UTC), "2026-11-21T02:00:38.919Z"),
        ("2026-11-21T02:00:38Z", datetime(2026, 11, 21, 2, 0, 38, 0, UTC), "2026-11-21T02:00:38Z"),
        ("2026-11-21T02:00:38.1Z", datetime(2026, 11, 21, 2, 0, 38, 100_000, UTC), "2026-11-21T02:00:38.100Z"),
        ("2026-11-21T02:00:38.123456789z", datetime(2026, 11, 21, 2, 0, 38, 123_000, UTC), "2026-11-21T02:00:38.123Z"),
        ("2026-11-21t04:30:00+02:30", datetime(2026, 11, 21, 2, 0, 0, 0, UTC), "2026-11-21T02:00:00Z"),
    ],
)
def test_a_time_is_read_and_written(text: str, expected: datetime, written: str) -> None:
    assert read_time(text, path="t") == expected
    assert written_time(expected) == written


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-21", "2026-11-21T02:00:38", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "1e9"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="parameter 't'"):
        read_time(text, path="t")
