"""Keep step records, claims and the graphs of pipelines in dictionaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.adapters.memory.run_store import MemoryRunStore
from interlock.core.clock import aware
from interlock.ports.checks import pointed_at
from interlock.ports.record_checks import check_batch, check_new_run, check_status
from interlock.ports.run_store import RunBatch
from interlock.ports.step_cache import (
    Advance,
    Advanced,
    Claim,
    GraphNode,
    StepCache,
    StepEnd,
    StepRecord,
    StepStart,
)


class MemoryStepCache(StepCache):
    """Step records in memory, in the order in which they were put.

    Args:
        journal: Where events go; its lock makes each method one transaction.
        runs: Where the runs of steps are kept.
    """

    def __init__(self, journal: MemoryJournal, runs: MemoryRunStore) -> None:
        self._journal = journal
        self._runs = runs
        self._records: dict[str, StepRecord] = {}
        self._nodes: defaultdict[str, dict[int, GraphNode]] = defaultdict(dict)
        self._claims: dict[str, Claim] = {}
        runs.forgetters.append(lambda run_id: self._nodes.pop(run_id, None))

    def find(self, key: str) -> StepRecord | None:
        with self._journal.lock:
            return self._records.get(key)

    def find_many(self, keys: Sequence[str]) -> list[StepRecord]:
        with self._journal.lock:
            return [self._records[key] for key in dict.fromkeys(keys) if key in self._records]

    def put(self, record: StepRecord) -> StepRecord:
        aware(record.created_at)
        with self._journal.lock:
            return self._records.setdefault(record.key, settled(record))

    def history(self, step: str, *, limit: int = 20) -> list[StepRecord]:
        with self._journal.lock:
            newest_put_first = [record for record in reversed(self._records.values()) if record.step == step]
        return sorted(newest_put_first, key=lambda record: record.created_at, reverse=True)[:limit]

    def delete(self, key: str) -> bool:
        with self._journal.lock:
            return self._records.pop(key, None) is not None

    def advance(self, advance: Advance) -> Advanced:
        for start in advance.starts:
            check_new_run(start.run)
            check_batch(RunBatch(artifacts=start.artifacts))
        for end in advance.ends:
            check_status(end.run.status)
            check_batch(RunBatch(tags=end.tags, artifacts=end.artifacts))
        aware(advance.now)
        with self._journal.lock:
            starts = [start for start in advance.starts if not self._runs.knows(start.run.id)]
            self._check_begin(starts)
            standing = [record for end in advance.ends if (record := self._end(end)) is not None]
            for name in advance.free:
                if name in self._claims and self._claims[name].holder == advance.holder:
                    del self._claims[name]
            found, held = self._begin(starts, advance)
            self._nodes[advance.pipeline].update({node.node: settled(node) for node in advance.nodes})
            for one in advance.told:
                self._journal.append(one.kind, one.subject, payload=one.payload)
            return Advanced((*standing, *found), held)

    def nodes(self, pipeline: str, *, after: int = 0) -> list[GraphNode]:
        with self._journal.lock:
            found = [node for node in self._nodes.get(pipeline, {}).values() if node.change > after]
        return sorted(found, key=lambda node: node.node)

    def claim(
        self, names: Sequence[str], *, holder: str, ttl_s: float, now: datetime, over: str | None = None
    ) -> list[Claim]:
        moment = aware(now)
        with self._journal.lock:
            for name in names:
                standing = self._claims.get(name)
                if standing is None or standing.holder in (holder, over) or standing.expires_at <= moment:
                    self._claims[name] = Claim(name, holder, moment + timedelta(seconds=ttl_s))
            return self.claims(names)

    def claims(self, names: Sequence[str]) -> list[Claim]:
        with self._journal.lock:
            return [self._claims[name] for name in dict.fromkeys(names) if name in self._claims]

    def _check_begin(self, starts: Sequence[StepStart]) -> None:
        """Refuse before anything is written."""
        inside = {start.run.id for start in starts}
        for run in (start.run for start in starts):
            if run.parent is not None and run.parent not in inside:
                self._runs.get(run.parent)
            self._runs.check_experiment(run.experiment)

    def _end(self, end: StepEnd) -> StepRecord | None:
        """End a run that is running; return the record that stood before its own."""
        run = end.run
        known = self._runs.get(run.id) if self._runs.knows(run.id) else None
        if known is not None and known.status == "running" and known.deleted_at is None:
            edges = tuple(pointed_at(end.edges, f"run:{run.id}"))
            self._runs.log(run.id, RunBatch(tags=end.tags, artifacts=end.artifacts, edges=edges))
            assert run.ended_at is not None
            self._runs.end(run.id, status=run.status, ended_at=run.ended_at, error=run.error)
        if end.record is None:
            return None
        standing = self.put(end.record)
        return standing if standing != settled(end.record) else None

    def _begin(self, starts: Sequence[StepStart], advance: Advance) -> tuple[list[StepRecord], dict[str, str]]:
        found = self.find_many([start.claim for start in starts if start.claim])
        known = {record.key for record in found}
        held: dict[str, str] = {}
        for start in starts:
            if start.claim in known:
                continue
            if start.claim:
                [claim] = self.claim([start.claim], holder=advance.holder, ttl_s=advance.ttl_s, now=advance.now)
                if claim.holder != advance.holder:
                    held[start.claim] = claim.holder
                    continue
            self._runs.create(start.run, edges=start.edges)
            self._runs.log(start.run.id, RunBatch(artifacts=start.artifacts))
        return found, held
