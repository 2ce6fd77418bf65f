"""What a pipeline's run comes to, step by step."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.ports.run_store import Run
from interlock.ports.step_cache import GraphNode

STEPS_FILE = "steps.json"
"""Path of the artifact of a pipeline's run that holds its outcomes."""


class StepOutcome(msgspec.Struct, frozen=True):
    """What became of one step call.

    Args:
        step: The step's name.
        key: Hash of code, inputs and libraries; empty for a step that was never reached.
        reused: Whether its output was taken from an earlier run.
        reason: Why it ran or was reused.
        duration_s: How long the execution took, now or then.
        run_id: Id of the run that executed it, now or then; empty if none did.
        error: Why it failed or was not run, if so.
        path: Its name, after those of the pipelines inside the running one that it was called from.
    """

    step: str
    key: str
    reused: bool
    reason: str
    duration_s: float
    run_id: str
    error: str | None = None
    path: str = ""

    @property
    def executed(self) -> bool:
        """Whether it was executed in this run, well or not."""
        return bool(self.run_id) and not self.reused


class PipelineRun(msgspec.Struct, frozen=True):
    """A finished run of a pipeline.

    Args:
        run: Its record.
        value: What the pipeline returned.
        steps: Its step calls, in the order they were made.
    """

    run: Run
    value: Any
    steps: tuple[StepOutcome, ...]

    @property
    def reused(self) -> int:
        """How many step calls were answered from earlier runs."""
        return sum(outcome.reused for outcome in self.steps)

    @property
    def executed(self) -> int:
        """How many step calls were executed."""
        return sum(outcome.executed for outcome in self.steps)


def outcome_of(node: GraphNode) -> StepOutcome:
    """Return what became of a node of a graph."""
    return StepOutcome(
        step=node.step,
        key=node.key,
        reused=node.status == "reused",
        reason=node.reason,
        duration_s=node.duration_s,
        run_id=node.run,
        error=node.error,
        path=node.group + node.step,
    )
