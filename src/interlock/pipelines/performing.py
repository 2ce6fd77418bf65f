"""Execute one step call where the executor put it: this thread, or another process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.active_run import active_run
from interlock.pipelines.sessions import without_session
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import Stored, encode


class Performed(msgspec.Struct, frozen=True):
    """A step's output in the form it is stored in, how long it took, and how many attempts that was."""

    stored: Stored
    duration_s: float
    attempts: int


def perform(step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], run_id: str) -> Performed:
    """Call a step's function, again if it raises and may be retried, and encode what it returns."""
    token = active_run.set(run_id)
    began = time.perf_counter()
    try:
        value, attempts = _attempt(step, args, kwargs)
    finally:
        active_run.reset(token)
    return Performed(encode(value), time.perf_counter() - began, attempts)


def _attempt(step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, int]:
    attempts = 1
    while True:
        try:
            return without_session(step.__wrapped__, *args, **kwargs), attempts
        except Exception:
            if attempts > step.retries:
                raise
            attempts += 1
