"""Find one step call of a recorded run again, with the inputs it had, and make it anew: in a test, in a debugger."""

from __future__ import annotations

import inspect
import pdb
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import Conflict, NotFound, did_you_mean
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.lazy import Lazy, force
from interlock.pipelines.outputs import PARTS, parts_in, read_part
from interlock.pipelines.sessions import current_session, without_session
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import decode, unseal
from interlock.ports.step_cache import GraphNode


class RecordedCall(msgspec.Struct, frozen=True):
    """A step call as a run made it.

    Args:
        step: The step.
        arguments: Its arguments by name, every value in place.
        node: How it stood in that run.
    """

    step: Step[..., Any]
    arguments: dict[str, Any]
    node: GraphNode

    def again(self) -> Any:
        """Call the step's function in this thread; its exceptions pass through unchanged."""
        bound = self._bound
        return without_session(self.step.__wrapped__, *bound.args, **bound.kwargs)

    def debug(self, debugger: pdb.Pdb | None = None) -> Any:
        """Call the step's function under a debugger that stops at its first line."""
        bound = self._bound
        return without_session((debugger or pdb.Pdb()).runcall, self.step.__wrapped__, *bound.args, **bound.kwargs)

    @property
    def _bound(self) -> inspect.BoundArguments:
        bound = self.step.signature.bind_partial()
        bound.arguments.update(self.arguments)
        return bound


def find_call(
    body: Pipeline[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    step: str,
    number: int | None,
    nodes: Sequence[GraphNode],
    get: Callable[[str], bytes],
    secret: bytes,
) -> RecordedCall:
    """Play a pipeline's body with recorded outputs in place of its steps, up to one call.

    Args:
        body: The pipeline.
        args: The arguments it had by position.
        kwargs: Those by name.
        step: The step's name.
        number: Its place in the graph; if not given, the first failed call of that step, or else the first.
        nodes: The graph of the run.
        get: Returns a stored content.
        secret: Checks pickled outputs.

    Raises:
        NotFound: The run made no such call.
        Conflict: The code calls other steps by now, or an output that it needs was never made.
    """
    wanted = _choose(step, number, nodes)
    session = _Replay(nodes, wanted, get, secret)
    token = current_session.set(session)
    try:
        body.__wrapped__(*args, **kwargs)
    except _Reached as reached:
        return reached.call
    finally:
        current_session.reset(token)
    raise Conflict(
        f"the pipeline does not come to call {wanted.node} of '{step}' any more",
        why="its code has changed since",
        fix="run it again, and debug that run",
    )


def _choose(step: str, number: int | None, nodes: Sequence[GraphNode]) -> GraphNode:
    found = [node for node in nodes if node.step == step and number in (None, node.node)]
    if not found:
        raise NotFound(f"that run made no such call of '{step}'", why=did_you_mean(step, {node.step for node in nodes}))
    return next((node for node in found if node.status == "failed"), found[0])


class _Reached(BaseException):
    """The call that is looked for; no pipeline's `except Exception` keeps it back."""

    def __init__(self, call: RecordedCall) -> None:
        super().__init__()
        self.call = call


class _Replay:
    """Answers step calls with what they came to, until the one that is looked for."""

    def __init__(
        self, nodes: Sequence[GraphNode], wanted: GraphNode, get: Callable[[str], bytes], secret: bytes
    ) -> None:
        self.groups: Counter[str] = Counter()
        self._nodes = {node.node: node for node in nodes}
        self._wanted = wanted
        self._get = get
        self._secret = secret
        self._made = 0

    def call(self, step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Lazy:
        """Answer one call.

        Raises:
            Conflict: The run called another step here, or this call has no output.
        """
        node = self._nodes.get(self._made)
        self._made += 1
        if node is None or node.step != step.name:
            raise Conflict(
                f"the pipeline calls '{step.name}' where the run called {node.step if node else 'nothing'}",
                why="its code has changed since",
                fix="run it again, and debug that run",
            )
        if node.node == self._wanted.node:
            bound = step.bind(args, kwargs)
            raise _Reached(RecordedCall(step, {name: force(value) for name, value in bound.arguments.items()}, node))
        return Lazy(lambda: self._value(step, node), None, part=lambda field: getattr(self._value(step, node), field))

    def _value(self, step: Step[..., Any], node: GraphNode) -> Any:
        return value_of(step, node, self._get, self._secret)


def value_of(step: Step[..., Any], node: GraphNode, get: Callable[[str], bytes], secret: bytes) -> Any:
    """Return what a step call of a run gave.

    Raises:
        Conflict: It gave nothing.
    """
    if not node.output:
        raise Conflict(f"'{step.name}' has no output in that run", why=node.error or f"it was {node.status}")
    if node.output_form != PARTS:
        return decode(unseal(node.output_form, get(node.output), secret))
    values = {name: read_part(part, get, secret) for name, part in parts_in(get(node.output)).items()}
    return step.outputs.join(values) if step.outputs is not None else values
