"""Write down what a running pipeline does: in groups, each whole or not at all, and soon enough to lose little.

A group is what ended, what begins and which nodes of the graph changed, in one transaction; the outputs of what ended
are stored before it. What has ended waits for its group while little is at stake: at most 64 steps, 50 ms of
computing, or half a second. All of it is written before the pipeline says that it is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from interlock.core.background import in_background
from interlock.core.clock import Clock
from interlock.core.errors import InterlockError, StorageFull
from interlock.core.hashing import digest_of
from interlock.pipelines.holders import holder_of
from interlock.ports.artifact_store import ArtifactStore, Blob
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, Run
from interlock.ports.step_cache import Advance, Advanced, GraphNode, Occurrence, StepCache, StepEnd, StepStart

_MOST_ENDS = 64
_MOST_AT_STAKE_S = 0.05
_MOST_BYTES = 16 << 20
_STORED_AT_ONCE_BYTES = 1 << 20
_SOON_S = 0.5
_RENEW_EVERY_S = 1.0
_TTL_S = 15.0


class Recorder:
    """Writes for one pipeline's run. Thread-safe.

    While it is open a thread looks after it: it writes what has waited for half a second, keeps the claims of the run
    alive, and notices when the run was cancelled, which is when another took over the claim on the run itself.

    Args:
        run: The pipeline's run.
        steps: Where groups go.
        artifacts: Where outputs go.
        clock: Tells the time.
        on_cancel: Called, in the thread that looks after it, when the run was cancelled.
        on_lost: Told of each step, by its run's id, whose output could not be stored.
    """

    def __init__(
        self,
        run: Run,
        *,
        steps: StepCache,
        artifacts: ArtifactStore,
        clock: Clock,
        on_cancel: Callable[[], None],
        on_lost: Callable[[str, InterlockError], None],
    ) -> None:
        self.run = run
        self.holder = holder_of(run.id)
        self.cancelled = False
        self._steps = steps
        self._artifacts = artifacts
        self._clock = clock
        self._on_cancel = on_cancel
        self._on_lost = on_lost
        self._lock = threading.RLock()
        self._contents: dict[str, bytes] = {}
        self._ends: list[StepEnd] = []
        self._free: list[str] = []
        self._nodes: dict[int, GraphNode] = {}
        self._claimed: dict[str, None] = {}
        self._held_bytes = 0
        self._at_stake_s = 0.0
        self._change = 0
        self._written_at = time.monotonic()
        self._closing = threading.Event()

    @property
    def claim(self) -> str:
        """The name of the right to go on with this run."""
        return claim_on(self.run.id)

    def open(self, *, edges: Sequence[Edge], files: dict[str, bytes]) -> None:
        """Write that the pipeline's run begins, with its first files, and start to look after it."""
        blobs = self._artifacts.put_many(list(files.values())) if files else []
        entries = [ArtifactEntry(path, blob.digest, blob.size_bytes) for path, blob in zip(files, blobs, strict=True)]
        self._advance(starts=[StepStart(self.run, tuple(edges), self.claim, tuple(entries))])
        self._claimed[self.claim] = None
        in_background(self._look_after, name="interlock-pipeline")

    def store(self, data: bytes) -> Blob:
        """Take in a content; it is stored with its group, or at once if it is large."""
        if len(data) >= _STORED_AT_ONCE_BYTES:
            return self._artifacts.put(data)
        blob = Blob(digest_of(data), len(data))
        with self._lock:
            if blob.digest not in self._contents:
                self._contents[blob.digest] = data
                self._held_bytes += len(data)
        return blob

    def content(self, digest: str) -> bytes:
        """Return a content, stored or about to be."""
        with self._lock:
            waiting = self._contents.get(digest)
        return self._artifacts.get(digest) if waiting is None else waiting

    def show(self, nodes: Iterable[GraphNode]) -> None:
        """Take in how nodes of the graph stand; the last one of a node counts."""
        with self._lock:
            for node in nodes:
                self._nodes[node.node] = node

    def begin(self, starts: Sequence[StepStart], nodes: Sequence[GraphNode]) -> Advanced:
        """Write that steps begin, before they do; return what was met, and show the nodes of those that did begin."""
        with self._lock:
            if self._is_due():
                self._flush()
            told = self._advance(starts=starts)
            recorded = {record.key for record in told.standing}
            begun = [start.claim not in recorded and start.claim not in told.held for start in starts]
            self.show(node for node, has in zip(nodes, begun, strict=True) if has)
            for start, has in zip(starts, begun, strict=True):
                if has and start.claim:
                    self._claimed[start.claim] = None
            return told

    def end(self, end: StepEnd, node: GraphNode, *, claim: str = "", took_s: float = 0.0) -> None:
        """Take in that a step has ended; it is written with its group."""
        with self._lock:
            self._ends.append(end)
            self._nodes[node.node] = node
            if claim:
                self._claimed.pop(claim, None)
                self._free.append(claim)
            self._at_stake_s += took_s
            if self._is_due():
                self._flush()

    def take_over(self, claims: Sequence[str], *, over: str) -> None:
        """Take claims from a holder whose process is gone."""
        self._steps.claim(claims, holder=self.holder, ttl_s=_TTL_S, now=self._clock.now(), over=over)

    def flush(self) -> None:
        """Write everything taken in so far."""
        with self._lock:
            self._flush()

    def close(self, end: StepEnd, told: Occurrence) -> None:
        """Write everything taken in so far, and the end of the pipeline's run with it."""
        self._closing.set()
        with self._lock:
            self._store_contents()
            self._free += [*self._claimed]
            self._claimed.clear()
            self._ends.append(end)
            self._advance(told=(told,))

    def give_up(self) -> None:
        """Stop looking after the run, which could not be written; its claims lapse."""
        self._closing.set()

    def _is_due(self) -> bool:
        waited_s = time.monotonic() - self._written_at
        return bool(self._ends) and (
            len(self._ends) >= _MOST_ENDS
            or self._at_stake_s >= _MOST_AT_STAKE_S
            or self._held_bytes >= _MOST_BYTES
            or waited_s >= _SOON_S
        )

    def _flush(self) -> None:
        self._store_contents()
        if self._ends or self._nodes or self._free:
            self._advance()

    def _store_contents(self) -> None:
        if not self._contents:
            return
        try:
            self._artifacts.put_many(list(self._contents.values()))
        except StorageFull:
            self._ends = [self._with_what_fits(end) for end in self._ends]
        self._contents.clear()
        self._held_bytes = 0

    def _with_what_fits(self, end: StepEnd) -> StepEnd:
        """Store the outputs of one step, or have it fail."""
        try:
            for entry in end.artifacts:
                if entry.digest in self._contents:
                    self._artifacts.put(self._contents[entry.digest])
        except StorageFull as error:
            self._on_lost(end.run.id, error)
            run = msgspec.structs.replace(end.run, status="failed", error=str(error))
            return StepEnd(run, edges=tuple(edge for edge in end.edges if edge.relation == "used"))
        return end

    def _advance(self, *, starts: Sequence[StepStart] = (), told: Sequence[Occurrence] = ()) -> Advanced:
        """Write; what starts leaves the ends waiting, unless they are to be written too."""
        self._change += 1
        ends = () if starts else tuple(self._ends)
        met = self._steps.advance(
            Advance(
                pipeline=self.run.id,
                holder=self.holder,
                now=self._clock.now(),
                ttl_s=_TTL_S,
                ends=ends,
                starts=tuple(starts),
                nodes=() if starts else self._changed_nodes(),
                free=() if starts else tuple(self._free),
                told=tuple(told),
            )
        )
        if not starts:
            self._ends.clear()
            self._free.clear()
            self._nodes.clear()
            self._at_stake_s = 0.0
            self._written_at = time.monotonic()
        return met

    def _changed_nodes(self) -> tuple[GraphNode, ...]:
        return tuple(msgspec.structs.replace(node, change=self._change) for _, node in sorted(self._nodes.items()))

    def _look_after(self) -> None:
        renewed_at = time.monotonic()
        while not self._closing.wait(_SOON_S):
            try:
                with self._lock:
                    if self._closing.is_set():
                        return
                    if self._ends or self._nodes:
                        self._flush()
                if time.monotonic() - renewed_at >= _RENEW_EVERY_S:
                    self._renew()
                    renewed_at = time.monotonic()
            except InterlockError:
                continue  # the thread that runs the pipeline meets the same, and says so
            if self.cancelled:
                self._on_cancel()
                return

    def _renew(self) -> None:
        with self._lock:
            names = [*self._claimed]
        if not names or self._closing.is_set():
            return
        met = self._steps.claim(names, holder=self.holder, ttl_s=_TTL_S, now=self._clock.now())
        mine = next((claim for claim in met if claim.name == self.claim), None)
        if mine is not None and mine.holder != self.holder and not self._closing.is_set():
            self.cancelled = True


def claim_on(run_id: str) -> str:
    """Return the name of the right to go on with a run."""
    return f"run:{run_id}"
