"""Count what each version behind an endpoint did."""

from __future__ import annotations


class ModelStatistics:
    """Counters of one version since it was loaded. Unit of times: nanoseconds.

    Written by several threads without a lock: a count may lag, never an answer.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.failures = 0
        self.busy_ns = 0
        self.failed_ns = 0
        self.last_ms = 0
        self.shadow_failures = 0
        self.last_problem = ""

    def answered(self, rows: int, took_ns: int, now_micros: int) -> None:
        """Count one request that was answered."""
        self.requests += 1
        self.rows += rows
        self.busy_ns += took_ns
        self.last_ms = now_micros // 1000

    def failed(self, took_ns: int, problem: str) -> None:
        """Count one request that was not."""
        self.failures += 1
        self.failed_ns += took_ns
        self.last_problem = problem
