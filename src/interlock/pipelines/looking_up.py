"""Look for outputs that stand for step calls, many calls at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from interlock.core.clock import Clock, from_micros
from interlock.pipelines.nodes import Node
from interlock.pipelines.reasons import reason_to_reuse
from interlock.pipelines.reuse import judge
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.step_cache import GraphNode, StepCache, StepRecord


class LookUp:
    """What can be reused by one run of a pipeline.

    Args:
        cache: What was recorded, by anybody.
        artifacts: Where the outputs are.
        clock: Tells the time.
        before: The graph of the run that this one resumes, if it does.
    """

    def __init__(
        self, cache: StepCache, artifacts: ArtifactStore, clock: Clock, before: Sequence[GraphNode] = ()
    ) -> None:
        self._cache = cache
        self._artifacts = artifacts
        self._clock = clock
        self._mine: dict[str, StepRecord] = {}
        self._carried: dict[str, deque[GraphNode]] = {}
        for node in before:
            if node.output and node.key:
                self._carried.setdefault(node.key, deque()).append(node)

    def add(self, record: StepRecord) -> None:
        """Take in a record made by this run, which may not be written yet."""
        self._mine.setdefault(record.key, record)

    def ask(self, nodes: Sequence[Node]) -> list[StepRecord | None]:
        """Return, for each planned call, the record whose output stands for it; say in the node why, or why not."""
        found = self._find_many([node.plan.key for node in nodes if node.plan is not None and node.step.cache])
        records = [self._judged(node, found) for node in nodes]
        absent = self._absent([record for record in records if record is not None])
        for place, (node, record) in enumerate(zip(nodes, records, strict=True)):
            if record is not None and record.output in absent:
                node.reason = "re-ran: its output was not kept"
                self._forget(record)
                records[place] = None
        return records

    def _judged(self, node: Node, found: dict[str, StepRecord]) -> StepRecord | None:
        assert node.plan is not None
        if not node.step.cache:
            return self._carry(node)
        always = node.step.config.cache == "always"
        node.verdict = judge(node.plan.key, found.get(node.plan.key), self._find, always=always)
        record, node.reason = node.verdict.record, node.verdict.reason
        if record is None:
            return None
        expires_s = node.step.config.expires_s
        if expires_s is not None and self._clock.now() - record.created_at >= timedelta(seconds=expires_s):
            node.reason = f"re-ran: its output of {record.created_at:%Y-%m-%d %H:%M} UTC has expired"
            self._forget(record)
            return None
        node.reason = reason_to_reuse(record)
        return record

    def _carry(self, node: Node) -> StepRecord | None:
        """Return what a step that is run for its effect gave in the run that is resumed, if it had ended there."""
        assert node.plan is not None
        waiting = self._carried.get(node.plan.key)
        if not waiting:
            return None
        ended = waiting.popleft()
        node.reason = f"reused: it had finished in run {ended.run}, before this one resumed"
        return StepRecord(
            key=node.plan.key,
            step=node.step.full_name,
            run=ended.run,
            created_at=from_micros(int(ended.started_at * 1e6)),
            duration_s=ended.duration_s,
            symbols={},
            inputs={},
            libraries={},
            output=ended.output,
            output_form=ended.output_form,
        )

    def _find(self, key: str) -> StepRecord | None:
        return self._mine.get(key) or self._cache.find(key)

    def _find_many(self, keys: Sequence[str]) -> dict[str, StepRecord]:
        found = {key: self._mine[key] for key in keys if key in self._mine}
        asked = [key for key in keys if key not in found]
        if asked:
            found |= {record.key: record for record in self._cache.find_many(asked)}
        return found

    def _absent(self, records: Sequence[StepRecord]) -> set[str]:
        """Return the outputs that are stored no more; what this run made itself is there or about to be."""
        outputs = {record.output for record in records if record.key not in self._mine}
        if not outputs:
            return outputs
        return outputs - {blob.digest for blob in self._artifacts.find_many(sorted(outputs))}

    def _forget(self, record: StepRecord) -> None:
        self._mine.pop(record.key, None)
        self._cache.delete(record.key)
