"""One step call of a running pipeline, and where its output is."""

from __future__ import annotations

import inspect
from typing import Any

from interlock.core.errors import InterlockError
from interlock.pipelines.lazy import Lazy, substitute
from interlock.pipelines.outcomes import StepOutcome
from interlock.pipelines.planning import Plan
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import Stored, decode, unseal
from interlock.pipelines.value_keys import Known
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.step_cache import StepRecord

_KEPT_BYTES = 64 * 1024 * 1024


class Node:
    """A step call: what it was given, what it waits for, and what became of it.

    Args:
        step: The step.
        bound: Its arguments, some of them lazy.
    """

    def __init__(self, step: Step[..., Any], bound: inspect.BoundArguments) -> None:
        self.step = step
        self.bound = bound
        self.pending = 0
        self.dependents: list[Node] = []
        self.plan: Plan | None = None
        self.reason = ""
        self.run_id = ""
        self.reused = False
        self.record: StepRecord | None = None
        self.error: InterlockError | None = None
        self._stored: Stored | None = None

    @property
    def done(self) -> bool:
        """Whether it has an output or an error."""
        return self.record is not None or self.error is not None

    def identified(self) -> dict[str, Any]:
        """Return the arguments by name, with the ids of lazy ones in their place."""
        return {name: substitute(value, _known) for name, value in self.bound.arguments.items()}

    def resolved(self) -> inspect.BoundArguments:
        """Return the arguments with every value in place."""
        values = {name: substitute(value, lambda lazy: lazy.value) for name, value in self.bound.arguments.items()}
        return inspect.BoundArguments(self.bound.signature, values)

    def keep(self, stored: Stored) -> None:
        """Hold the output in memory for the steps to come, unless it is large."""
        if len(stored.payload) <= _KEPT_BYTES:
            self._stored = stored

    def value(self, artifacts: ArtifactStore, secret: bytes) -> Any:
        """Return the output, a new one for each reader, or raise what the step raised."""
        if self.error is not None:
            raise self.error
        assert self.record is not None
        stored = self._stored
        if stored is None:
            stored = unseal(self.record.output_form, artifacts.get(self.record.output), secret)
            self.keep(stored)
        return decode(stored)

    def outcome(self) -> StepOutcome:
        """Return what became of it."""
        return StepOutcome(
            step=self.step.name,
            key=self.plan.key if self.plan else "",
            reused=self.reused,
            reason=self.reason,
            duration_s=self.record.duration_s if self.record else 0.0,
            run_id=self.run_id,
            error=self.error.what if self.error else None,
        )


def node_of(lazy: Lazy) -> Node | None:
    """Return the step call behind a lazy value."""
    node = lazy._node
    return node if isinstance(node, Node) else None


def _known(lazy: Lazy) -> Known:
    node = node_of(lazy)
    assert node is not None and node.record is not None
    return Known(f"{node.record.output_form}:{node.record.output}")
