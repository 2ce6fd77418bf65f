"""Find pipelines' runs whose process is gone, and end them; stop those that are wanted no more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.core.clock import Clock
from interlock.core.errors import Conflict
from interlock.core.ids import new_id
from interlock.pipelines.holders import holder_of, is_gone
from interlock.pipelines.recording import claim_on
from interlock.ports.run_store import Run, RunFilter, RunStore
from interlock.ports.step_cache import Advance, Claim, GraphNode, NodeStatus, Occurrence, StepCache, StepEnd

_TAKEN_FOR_S = 3600.0
_PAGE = 1000


class Undertaker:
    """Ends what nobody goes on with.

    Args:
        runs: Where runs are.
        steps: Where claims and graphs are.
        clock: Tells the time.
    """

    def __init__(self, runs: RunStore, steps: StepCache, clock: Clock) -> None:
        self._runs = runs
        self._steps = steps
        self._clock = clock

    def end_the_dead(self) -> list[str]:
        """End as killed every run whose process is gone, with the steps it left running; return their ids."""
        running = self._runs.runs(where=RunFilter(kind="pipeline", status="running"))
        if not running:
            return []
        claims = {claim.name: claim for claim in self._steps.claims([claim_on(run.id) for run in running])}
        dead = [(run, claim) for run in running if (claim := claims.get(claim_on(run.id))) and self._is_dead(claim)]
        return [run.id for run, claim in dead if self._take(run, claim)]

    def cancel(self, run: Run) -> Run:
        """Stop a run: its process notices within two seconds; one whose process is gone is ended at once.

        Raises:
            Conflict: It has ended.
        """
        if run.status != "running":
            raise Conflict(f"run:{run.id} is not running", why=f"it is {run.status}")
        found = self._steps.claims([claim_on(run.id)])
        if found and not self._is_dead(found[0]):
            self._take_claim(run, found[0])
        else:
            self._bury(run, found[0].holder if found else "", "cancelled after its process had ended")
        return self._runs.get(run.id)

    def _is_dead(self, claim: Claim) -> bool:
        return claim.expires_at <= self._clock.now() or is_gone(claim.holder)

    def _take_claim(self, run: Run, claim: Claim) -> bool:
        """Take the right to go on with a run, for good; say whether nobody was quicker."""
        me = f"{holder_of(run.id)}/{new_id()}"
        now = self._clock.now()
        [standing] = self._steps.claim([claim.name], holder=me, ttl_s=_TAKEN_FOR_S, now=now, over=claim.holder)
        return standing.holder == me

    def _take(self, run: Run, claim: Claim) -> bool:
        taken = self._take_claim(run, claim)
        if taken:
            self._bury(run, claim.holder, "its process ended without a word")
        return taken

    def _bury(self, run: Run, holder: str, why: str) -> None:
        now = self._clock.now()
        left = self._left_running(run)
        nodes = self._steps.nodes(run.id)
        last = max((node.change for node in nodes), default=0)
        ended = [_ended(node, last + 1, why) for node in nodes if node.status in ("running", "waiting")]
        ends = [StepEnd(msgspec.structs.replace(one, status="killed", ended_at=now, error=why)) for one in (*left, run)]
        self._steps.advance(
            Advance(
                pipeline=run.id,
                holder=holder or holder_of(run.id),
                now=now,
                ends=tuple(ends),
                nodes=tuple(ended),
                free=tuple(node.key for node in ended if node.key),
                told=(Occurrence("pipeline.killed", f"run:{run.id}", _counted(run, nodes)),),
            )
        )

    def _left_running(self, run: Run) -> list[Run]:
        left: list[Run] = []
        before: str | None = None
        while True:
            where = RunFilter(kind="step", parent=run.id, status="running")
            page = self._runs.runs(where=where, before=before, limit=_PAGE)
            left += page
            if len(page) < _PAGE:
                return left
            before = page[-1].id


def _ended(node: GraphNode, change: int, why: str) -> GraphNode:
    status: NodeStatus = "killed" if node.status == "running" else "cancelled"
    return msgspec.structs.replace(node, status=status, change=change, error=why)


def _counted(run: Run, nodes: Sequence[GraphNode]) -> dict[str, object]:
    return {
        "pipeline": run.name,
        "executed": sum(node.status == "finished" for node in nodes),
        "reused": sum(node.status == "reused" for node in nodes),
        "failed": sum(node.status in ("failed", "skipped") for node in nodes),
    }
