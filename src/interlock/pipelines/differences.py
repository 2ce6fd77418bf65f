"""Say in what the runs of a pipeline differ, call by call, and why a step ran."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from interlock.core.errors import NotFound, did_you_mean
from interlock.pipelines.reasons import reason_to_run
from interlock.ports.run_store import RunFilter, RunStore
from interlock.ports.step_cache import GraphNode, StepRecord

_RUNS_SEARCHED = 50


class Difference(msgspec.Struct, frozen=True):
    """A step call that is not the same in two runs.

    Args:
        step: The step's name, after those of the pipelines inside that called it.
        what: Whether its key or its output changed, or the call is only in the second run or only in the first.
        why: What changed: code, inputs, libraries; or that the same gave another output.
        one: The call in the first run, if it is there.
        two: The call in the second run, if it is there.
    """

    step: str
    what: Literal["changed", "output", "added", "removed"]
    why: str
    one: GraphNode | None = None
    two: GraphNode | None = None


def differences(
    one: Sequence[GraphNode],
    two: Sequence[GraphNode],
    find_many: Callable[[Sequence[str]], list[StepRecord]],
) -> list[Difference]:
    """Return what differs: calls of one key belong together, and of the others the first with the first."""
    pairs = list(_pairs(one, two))
    keys = [node.key for pair in pairs for node in pair if node is not None and node.key]
    records = {record.key: record for record in find_many(keys)}
    return [found for pair in pairs if (found := _difference(*pair, records)) is not None]


def reasons_of(
    step: str, runs: RunStore, graph: Callable[[str], Sequence[GraphNode]], run_id: str | None = None
) -> str:
    """Return why a step ran or was reused in a run, or in the newest one that called it.

    Raises:
        NotFound: None did.
    """
    known: set[str] = set()
    newest = runs.runs(where=RunFilter(kind="pipeline"), limit=_RUNS_SEARCHED) if run_id is None else [runs.get(run_id)]
    for run in newest:
        nodes = graph(run.id)
        reasons = Counter(node.reason for node in nodes if step in (node.step, node.group + node.step))
        if reasons:
            return "\n".join(f"{text} (× {count})" if count > 1 else text for text, count in reasons.items())
        known.update(node.step for node in nodes)
    whose = "no pipeline" if run_id is None else f"run:{run_id}"
    has = "has run" if run_id is None else "has not run"
    raise NotFound(f"{whose} {has} a step '{step}'", why=did_you_mean(step, known))


def _pairs(one: Sequence[GraphNode], two: Sequence[GraphNode]) -> Iterator[tuple[GraphNode | None, GraphNode | None]]:
    """Yield calls that belong together, in the order of the second run, then what only the first has."""
    waiting: defaultdict[str, list[GraphNode]] = defaultdict(list)
    for node in one:
        waiting[_path(node)].append(node)
    chosen: dict[int, GraphNode] = {}
    for node in two:
        same = next((old for old in waiting[_path(node)] if node.key and old.key == node.key), None)
        if same is not None:
            waiting[_path(node)].remove(same)
            chosen[node.node] = same
    for node in two:
        if node.node not in chosen and waiting[_path(node)]:
            chosen[node.node] = waiting[_path(node)].pop(0)
        yield chosen.get(node.node), node
    for left in waiting.values():
        yield from ((node, None) for node in left)


def _difference(one: GraphNode | None, two: GraphNode | None, records: dict[str, StepRecord]) -> Difference | None:
    if one is None:
        assert two is not None
        return Difference(_path(two), "added", two.reason, None, two)
    if two is None:
        return Difference(_path(one), "removed", "the second run did not call it", one, None)
    if one.key == two.key:
        if one.output == two.output:
            return None
        same = "the same code and inputs gave another output" if one.output and two.output else _ended(one, two)
        return Difference(_path(two), "output", same, one, two)
    before, after = records.get(one.key), records.get(two.key)
    if before is None or after is None:
        return Difference(_path(two), "changed", two.reason or _ended(one, two), one, two)
    reason = reason_to_run(after.symbols, after.inputs, after.libraries, after.shown, [before])
    return Difference(_path(two), "changed", reason.removeprefix("re-ran: "), one, two)


def _ended(one: GraphNode, two: GraphNode) -> str:
    return f"it was {one.status}, then {two.status}"


def _path(node: GraphNode) -> str:
    return node.group + node.step
