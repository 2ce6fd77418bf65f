"""Keep experiments in a dictionary by id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.searching import page_of
from interlock.core.clock import Clock
from interlock.core.refs import check_title, ref_of
from interlock.ports.checks import check_limit, check_tags, check_text, unknown_name
from interlock.ports.experiment_rules import DEFAULT, changed, name_taken, still_active
from interlock.ports.experiment_store import Experiment, ExperimentChange, ExperimentPage, ExperimentStore
from interlock.ports.search import Filter, Lifecycle, OrderBy
from interlock.ports.search_fields import EXPERIMENTS


class MemoryExperimentStore(ExperimentStore):
    """Experiments in memory; the run store over the same journal follows when one is deleted."""

    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._records: dict[int, Experiment] = {}
        self._last = 0
        self.followers: list[Callable[[Experiment, Experiment | None], int]] = []
        """Told of an experiment that was deleted, restored or renamed (before, after) or forgotten (after None)."""

    def create(self, name: str, *, tags: dict[str, str] | None = None, artifact_root: str = "") -> Experiment:
        check_title(name, of="experiment")
        check_tags(tags or {})
        check_text(artifact_root, of="artifact root of an experiment")
        with self._journal.lock:
            if (known := self.find(name)) is not None:
                raise name_taken(known)
            return self._add(name, tags or {}, artifact_root)

    def ensure(self, name: str) -> Experiment:
        check_title(name, of="experiment")
        with self._journal.lock:
            return self.find(name) or self._add(name, {}, "")

    def get(self, experiment_id: int) -> Experiment:
        with self._journal.lock:
            if experiment_id not in self._records:
                raise unknown_name("experiment with the id", str(experiment_id), map(str, self._records))
            return _copy(self._records[experiment_id])

    def find(self, name: str) -> Experiment | None:
        with self._journal.lock:
            return next((_copy(one) for one in self._records.values() if one.name == name), None)

    def update(self, experiment_id: int, change: ExperimentChange) -> Experiment:
        with self._journal.lock:
            before = self.get(experiment_id)
            if change.name is not None and change.name != before.name and self.find(change.name) is not None:
                raise name_taken(Experiment(0, change.name, before.created_at, before.created_at))
            after, what = changed(before, change, now=self._clock.now())
            if what is not None:
                self._records[experiment_id] = after
                for follow in self.followers:
                    follow(before, after)
                self._journal.append(f"experiment.{what}", ref_of("experiment", after.name))
            return _copy(after)

    def experiments(self, *, after: str = "", limit: int = 100) -> list[Experiment]:
        check_limit(limit)
        with self._journal.lock:
            found = [one for one in self._records.values() if one.name > after and one.deleted_at is None]
            return [_copy(one) for one in sorted(found, key=lambda one: one.name)[:limit]]

    def search(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 1000,
        after: str | None = None,
    ) -> ExperimentPage:
        with self._journal.lock:
            records = [_copy(one) for one in self._records.values()]
        found, following = page_of(
            records, of=EXPERIMENTS, where=where, order=order, lifecycle=lifecycle, limit=limit, after=after
        )
        return ExperimentPage(tuple(found), following)

    def delete(self, experiment_id: int) -> int:
        with self._journal.lock:
            known = self.get(experiment_id)
            if known.deleted_at is None:
                raise still_active(known)
            del self._records[experiment_id]
            return sum(follow(known, None) for follow in self.followers)

    def _add(self, name: str, tags: dict[str, str], artifact_root: str) -> Experiment:
        self._last += 1
        number = 0 if name == DEFAULT and 0 not in self._records else self._last
        now: datetime = self._clock.now()
        self._records[number] = Experiment(number, name, now, now, dict(tags), artifact_root=artifact_root)
        self._journal.append("experiment.created", ref_of("experiment", name))
        return _copy(self._records[number])


def _copy(record: Experiment) -> Experiment:
    return msgspec.structs.replace(record, tags=dict(record.tags))
