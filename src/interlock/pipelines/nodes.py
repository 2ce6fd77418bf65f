"""One step call of a running pipeline, and where its output is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from interlock.core.errors import InterlockError
from interlock.pipelines.lazy import Lazy, lazies_in, substitute
from interlock.pipelines.outcomes import StepOutcome
from interlock.pipelines.outputs import PARTS, Part, parts_in, read_part
from interlock.pipelines.planning import Plan
from interlock.pipelines.reuse import Verdict
from interlock.pipelines.sessions import current_group
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import Kept, Stored, decode, unseal
from interlock.pipelines.value_keys import Known
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.executor import Call
from interlock.ports.run_store import Run
from interlock.ports.step_cache import GraphNode, NodeStatus, StepRecord

_KEPT_BYTES = 256 * 1024 * 1024
Get = Callable[[str], bytes]
"""Returns a stored content by its digest."""


class Node:
    """A step call: what it was given, what it waits for, and what became of it.

    Args:
        step: The step.
        bound: Its arguments, some of them lazy.
        number: Its place among the calls of the run.
        inputs: The places of the calls whose outputs it takes.
    """

    def __init__(
        self, step: Step[..., Any], bound: inspect.BoundArguments, number: int = 0, inputs: tuple[int, ...] = ()
    ) -> None:
        self.step = step
        self.bound = bound
        self.number = number
        self.inputs = inputs
        self.status: NodeStatus = "waiting"
        self.run: Run | None = None
        self.call: Call | None = None
        self.losses = 0
        self.group = current_group.get()
        self.parts: dict[str, Part] = {}
        self.pending = 0
        self.dependents: list[Node] = []
        self.plan: Plan | None = None
        self.verdict = Verdict(None, "")
        self.reason = ""
        self.run_id = ""
        self.reused = False
        self.record: StepRecord | None = None
        self.error: InterlockError | None = None
        self._stored: Stored | None = None
        self._size_bytes: int | None = None

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

    def keep(self, stored: Stored, shelf: Shelf) -> None:
        """Hold the output in memory for the steps to come, as long as there is room."""
        if isinstance(stored, Kept):
            self._size_bytes = stored.blob.size_bytes
            return
        self._stored = stored
        shelf.add(self, len(stored.payload))

    def size_bytes(self, artifacts: ArtifactStore) -> int:
        """Return how long the output is as it is stored."""
        if self._stored is not None:
            return len(self._stored.payload)
        if self._size_bytes is None and self.record is not None:
            found = artifacts.find(self.record.output)
            self._size_bytes = found.size_bytes if found is not None else 0
        return self._size_bytes or 0

    def drop(self) -> None:
        """Hold the output no longer; it is read from where it is stored when it is needed."""
        self._stored = None

    def find_parts(self, get: Get) -> None:
        """Read where the fields of several outputs are, unless that is known."""
        if not self.parts and self.record is not None and self.record.output_form == PARTS:
            self.parts = parts_in(get(self.record.output))

    def value(self, get: Get, secret: bytes, shelf: Shelf, field: str = "") -> Any:
        """Return the output or one field of it, a new one for each reader, or raise what the step raised."""
        if self.error is not None:
            raise self.error
        assert self.record is not None
        if self.record.output_form == PARTS:
            self.find_parts(get)
            outputs = self.step.outputs
            if field:
                return read_part(self.parts[field], get, secret)
            values = {name: read_part(part, get, secret) for name, part in self.parts.items()}
            return outputs.join(values) if outputs is not None else values
        if field:
            return getattr(self.value(get, secret, shelf), field)
        stored = self._stored
        if stored is None:
            stored = unseal(self.record.output_form, get(self.record.output), secret)
            self.keep(stored, shelf)
        return decode(stored)

    def in_graph(self) -> GraphNode:
        """Return how it stands, as a node of the graph."""
        record, run = self.record, self.run
        return GraphNode(
            node=self.number,
            step=self.step.name,
            status=self.status,
            inputs=self.inputs,
            group=self.group,
            key=self.plan.key if self.plan else "",
            run=self.run_id,
            reason=self.reason,
            started_at=run.started_at.timestamp() if run is not None else 0.0,
            duration_s=record.duration_s if record is not None else 0.0,
            error=self.error.what if self.error is not None else None,
            output=record.output if record is not None else "",
            output_form=record.output_form if record is not None else "",
        )

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
            path=self.group + self.step.name,
        )


class Shelf:
    """What outputs are held in memory: the newest, up to a size."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: dict[Node, int] = {}
        self._bytes = 0

    def add(self, node: Node, size_bytes: int) -> None:
        """Note that a node holds its output, and have the oldest let go of theirs where that is too much."""
        self._bytes += size_bytes - self._held.pop(node, 0)
        self._held[node] = size_bytes
        while self._bytes > self._most_bytes:
            oldest = next(iter(self._held))
            self._bytes -= self._held.pop(oldest)
            oldest.drop()


def node_of(lazy: Lazy) -> Node | None:
    """Return the step call behind a lazy value."""
    node = lazy._node
    return node if isinstance(node, Node) else None


def _known(lazy: Lazy) -> Known:
    node = node_of(lazy)
    assert node is not None and node.record is not None
    salt = "" if node.step.config.early_cut else f" of {node.record.key}"
    part = node.parts.get(lazy._field)
    if part is not None:
        return Known(f"{part.form}:{part.digest}{salt}")
    field = f".{lazy._field}" if lazy._field else ""
    return Known(f"{node.record.output_form}:{node.record.output}{field}{salt}")


def shown_arguments(node: Node) -> dict[str, Any]:
    """Return the arguments as people are shown them: lazy ones by the name of their step."""
    return {name: substitute(value, _output_name) for name, value in node.bound.arguments.items()}


def _output_name(lazy: Lazy) -> str:
    source = node_of(lazy)
    return f"output of {source.step.name}" if source else "lazy"


def failed_source(node: Node) -> Node | None:
    """Return the first call that failed of those whose outputs a call takes, if one did."""
    sources = (node_of(lazy) for lazy in lazies_in(list(node.bound.arguments.values())))
    return next((source for source in sources if source is not None and source.error is not None), None)
