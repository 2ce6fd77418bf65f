"""Work out the key of a step call, and why it has to run if it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of_value
from interlock.pipelines.code_keys import CodeKey, code_key, content_id
from interlock.pipelines.reasons import INPUT, reason_to_run
from interlock.pipelines.steps import Step
from interlock.pipelines.value_keys import short
from interlock.ports.step_cache import StepCache, StepRecord

_FORMAT = 1
"""Part of every key: raised when what a key is made of changes."""

_HISTORY = 50


class Plan(msgspec.Struct, frozen=True):
    """What one step call depends on.

    Args:
        key: Hash of everything below, but for `shown`.
        code: The code, with the libraries it refers to.
        inputs: Argument to the id of its value.
        shown: Readable values of constants and of arguments.
    """

    key: str
    code: CodeKey
    inputs: dict[str, str]
    shown: dict[str, str]


class Planner:
    """Plans the step calls of one run; the code of each step is read once, at its first call."""

    def __init__(self, cache: StepCache) -> None:
        self._cache = cache
        self._codes: dict[Step[..., Any], tuple[CodeKey, str]] = {}
        self._histories: dict[str, list[StepRecord]] = {}

    def plan(self, step: Step[..., Any], arguments: Mapping[str, Any]) -> Plan:
        """Return the plan for a call; values that are not there yet stand as `Known` ids.

        Raises:
            InvalidInput: An argument of a step that may be reused has no content to go by.
        """
        code, digest = self._code(step)
        inputs = {name: _input_id(step, name, value) for name, value in arguments.items()}
        shown = {INPUT + name: text for name, value in arguments.items() if (text := short(value))}
        key = digest_of_value([_FORMAT, step.full_name, digest, inputs, *_more(step)])
        return Plan(key, code, inputs, {**code.shown, **shown})

    def reason(self, step: Step[..., Any], plan: Plan) -> str:
        """Say why a call has to be executed; compares with what was there when this run began."""
        history = self._histories.get(step.full_name)
        if history is None:
            history = self._histories[step.full_name] = self._cache.history(step.full_name, limit=_HISTORY)
        if not step.cache:
            return "ran: marked cache=False"
        code = plan.code
        return reason_to_run(code.symbols, plan.inputs, code.libraries, plan.shown, history, code.places)

    def expected_s(self, step: Step[..., Any]) -> float | None:
        """Return how long a step took when it last ran, as far as `reason` was asked about it; None if it never did."""
        history = self._histories.get(step.full_name)
        return history[0].duration_s if history else None

    def _code(self, step: Step[..., Any]) -> tuple[CodeKey, str]:
        if step not in self._codes:
            code = code_key(step.__wrapped__)
            self._codes[step] = (code, digest_of_value([code.symbols, code.libraries]))
        return self._codes[step]


def _more(step: Step[..., Any]) -> list[Any]:
    """Return what the key of a step depends on besides, if anything: its salt, its environment, its checks."""
    return [content_id(step.key_parts)] if step.key_parts else []


def _input_id(step: Step[..., Any], name: str, value: Any) -> str:
    try:
        return content_id(value)
    except InvalidInput as error:
        if not step.cache:
            return "unread"
        raise InvalidInput(
            f"argument '{name}' of step '{step.name}' cannot be part of a cache key",
            why=f"{error.what}: {error.why}",
            fix=f"{error.fix}, or mark the step @step(cache=False)",
        ) from error
