from __future__ import annotations

from interlock.serving.statistics import ModelStatistics


def test_answers_and_failures_are_counted_apart() -> None:
    done = ModelStatistics()
    done.answered(5, 100, 2_000_000)
    done.answered(1, 50, 3_000_000)
    done.failed(10, "refused")
    assert (done.requests, done.rows, done.busy_ns, done.last_ms) == (2, 6, 150, 3_000)
    assert (done.failures, done.failed_ns, done.last_problem) == (1, 10, "refused")
