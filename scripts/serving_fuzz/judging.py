"""Say whether what came of a case may be."""

from __future__ import annotations

from typing import Any

from scripts.serving_fuzz.cases import Case, Outcome
from scripts.serving_fuzz.replies import Reply

DOCUMENTED = frozenset({501, 503, 504, 505, 507})
"""The statuses from 500 on that are answers: not possible, not ready, too late, another HTTP, no memory."""
FAILS = "the model failed"
"""What a server says, with status 500, of a model whose own code raised an error."""
MAY_FAIL = frozenset({"guess", "talker"})
"""Endpoints of Python models that raise."""
AS_MLFLOW = frozenset({b"\n", b"0.1.0"})
"""What `/ping` and `/version` say under the name of JSON, as MLflow's do."""
SLOW_S = 10.0


def judged(case: Case, outcome: Outcome) -> str:
    """Return what is wrong with an outcome; nothing if it may be."""
    if outcome.fault:
        return outcome.fault
    for reply in outcome.replies:
        wrong = _wrong(case, reply)
        if wrong:
            return wrong
    if len(outcome.replies) > case.most:
        return f"{len(outcome.replies)} replies to what are {case.most} requests"
    statuses = [reply.status for reply in outcome.replies]
    if case.wants == "ok" and case.endpoint not in MAY_FAIL and any(status != 200 for status in statuses):
        return f"a request in order was answered {statuses}"
    if case.wants == "refused" and statuses and statuses[-1] < 400:
        return f"a request that must be refused was answered {statuses[-1]}"
    return ""


def _wrong(case: Case, reply: Reply) -> str:
    as_meant = reply.status == 500 and case.endpoint in MAY_FAIL and FAILS.encode() in reply.body
    if reply.status >= 500 and reply.status not in DOCUMENTED and not as_meant:
        return f"status {reply.status}"
    if b"Traceback (most recent call last)" in reply.body:
        return "the reply holds a traceback"
    if reply.took_s > SLOW_S and not any(step.do == "pause" for step in case.steps):
        return f"the reply took {reply.took_s:.1f} s"
    if case.head_only:
        return ""
    said: Any = None
    if reply.is_json and reply.body not in AS_MLFLOW:
        try:
            said = reply.json()
        except ValueError as error:
            return f"the reply is no JSON: {error}"
    if reply.status >= 400:
        return "" if _is_error(said) else f"an error of an unknown shape: {reply.body[:120]!r}"
    return ""


def _is_error(said: Any) -> bool:
    """Say whether a body is an error in the shape of one of the protocols."""
    if not isinstance(said, dict):
        return False
    error = said.get("error")
    if isinstance(error, dict):
        return isinstance(error.get("message"), str) and isinstance(error.get("code"), int)
    return any(isinstance(said.get(name), str) and said[name] for name in ("error", "message", "Message", "what"))
