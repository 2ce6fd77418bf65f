"""Remember of the request that is being answered what observers want to know of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any


class Seen:
    """One request.

    Args:
        began_ns: When it came, by `time.perf_counter_ns`.

    Attributes:
        is_traced: Whether the times below are wanted.
        answer: What the endpoint said, once it has.
        key: Name of the API key that it came with.
        trace: Trace id and span id in hex, if it is traced.
        parent: Span id of the caller's own span, in hex.
        read_ns: When its body was there and reading it began.
        asked_ns: When its rows were checked and the model was asked.
        predicted_ns: When the model had answered.
        logged_ns: When the answer was logged.
        timeout_s: How long the answer may take, where the caller said so.
        deadline: What ends the waiting for the answer, while a thread works on it.
    """

    # as attributes of the class they cost a request nothing
    is_traced = False
    answer: Any = None
    key = ""
    trace: tuple[str, str] | None = None
    parent = ""
    timeout_s: float | None = None
    deadline: Any = None
    read_ns = 0
    asked_ns = 0
    predicted_ns = 0
    logged_ns = 0

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns


SEEN: ContextVar[Seen | None] = ContextVar("interlock_seen", default=None)
"""The request that is being answered here; None where nobody observes."""
