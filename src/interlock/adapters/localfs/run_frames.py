"""Write what runs do as frames, and deliver frames to the stores: merged, in order, as often as it takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from interlock.core.clock import SystemClock
from interlock.core.errors import Conflict, InterlockError, NotFound, Unauthorised
from interlock.core.plain import pack
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.journal import Edge
from interlock.ports.run_spool import REFUSALS, log_what_fits
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunStatus, RunStore, Series

MERGED_BYTES = 4 << 20
_WHOLE_BYTES = 1 << 20


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """A run began."""

    run: Run
    edges: tuple[Edge, ...] = ()

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.run.id


class Logged(msgspec.Struct, frozen=True, tag="logged"):
    """A run logged a batch."""

    run_id: str
    batch: RunBatch


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A run ended, or goes on."""

    run_id: str
    status: RunStatus
    ended_at: datetime
    error: str | None = None


Frame = Begun | Logged | Ended
write_frame = pack
read_frame = msgspec.msgpack.Decoder(Frame).decode


class _Refused(msgspec.Struct):
    """A line of the file in which refused records are kept."""

    time: datetime
    why: str
    record: Frame


class Courier:
    """Brings frames to the stores.

    Bringing the same frames again changes nothing: a run that exists is not created twice, points that are there are
    kept once, and everything else is set to what it already is.

    Args:
        targets: Returns the stores; raises what opening them raises.
        contents: Returns where contents of artifacts wait; None where they are in the store already.
        aside: Folder for what a store refuses.
        told: Called with the run's id and None or the refusal, when the store has answered to the run's beginning;
            returns whether somebody listened.
        moved: Called whenever something has arrived.
    """

    def __init__(
        self,
        targets: Callable[[], tuple[RunStore, ArtifactStore]],
        *,
        contents: Callable[[], ArtifactStore] | None,
        aside: Path,
        told: Callable[[str, InterlockError | None], bool],
        moved: Callable[[], None],
    ) -> None:
        self._targets = targets
        self._contents = contents
        self._aside = aside
        self._told = told
        self._moved = moved

    def deliver(self, frames: Iterable[Frame]) -> list[str]:
        """Bring frames to the stores; return what was refused, in words.

        Raises:
            InterlockError: The stores cannot take them now.
        """
        runs, artifacts = self._targets()
        refused = []
        for frame in merged(frames):
            try:
                if isinstance(frame, Begun):
                    self._begin(runs, frame)
                elif isinstance(frame, Ended):
                    runs.end(frame.run_id, status=frame.status, ended_at=frame.ended_at, error=frame.error)
                else:
                    refused += self._log(runs, artifacts, frame)
            except REFUSALS as error:
                refused.append(self.put_aside(frame, error))
            self._moved()
        return refused

    def _begin(self, runs: RunStore, frame: Begun) -> None:
        try:
            runs.create(frame.run, edges=frame.edges)
        except (*REFUSALS, Unauthorised) as error:
            if not (isinstance(error, Conflict) and _is_known(runs, frame.run_id)):
                if self._told(frame.run_id, error):
                    return
                if frame.run.parent is None or not isinstance(error, NotFound):
                    raise
                # what contains it never arrived; it is better by itself than not at all
                runs.create(msgspec.structs.replace(frame.run, parent=None), edges=frame.edges)
        self._told(frame.run_id, None)

    def _log(self, runs: RunStore, artifacts: ArtifactStore, frame: Logged) -> list[str]:
        refused = []
        batch = frame.batch
        if self._contents is not None and batch.artifacts:
            arrived = []
            for entry in batch.artifacts:
                try:
                    self._upload(self._contents(), artifacts, entry)
                    arrived.append(entry)
                except REFUSALS as error:
                    single = Logged(frame.run_id, RunBatch(artifacts=(entry,)))
                    refused.append(self.put_aside(single, error))
            batch = msgspec.structs.replace(batch, artifacts=tuple(arrived))
        for part, reason in log_what_fits(runs, frame.run_id, batch):
            refused.append(self.put_aside(Logged(frame.run_id, part), reason))
        if self._contents is not None:
            for entry in batch.artifacts:
                self._contents().delete(entry.digest)
        return refused

    def _upload(self, contents: ArtifactStore, artifacts: ArtifactStore, entry: ArtifactEntry) -> None:
        if artifacts.find(entry.digest) is not None:
            return
        if entry.size_bytes <= _WHOLE_BYTES:
            artifacts.put(contents.get(entry.digest))
        else:
            artifacts.put_stream(self._counted(contents.stream(entry.digest)))

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self._moved()

    def put_aside(self, frame: Frame, error: InterlockError) -> str:
        """Keep what a store refused, with the reason; return both in words."""
        self._aside.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode(_Refused(SystemClock().now(), str(error), frame)) + b"\n"
        file = os.open(self._aside / f"{frame.run_id}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)
        return f"run:{frame.run_id}: {error.what}: {error.why}".rstrip(": ")


def _is_known(runs: RunStore, run_id: str) -> bool:
    try:
        runs.get(run_id)
    except NotFound:
        return False
    return True


def merged(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield frames with the batches of each run put together, as far as its beginning and end allow."""
    waiting: dict[str, list[RunBatch]] = {}
    sizes: dict[str, int] = {}
    for frame in frames:
        if isinstance(frame, Logged):
            waiting.setdefault(frame.run_id, []).append(frame.batch)
            sizes[frame.run_id] = sizes.get(frame.run_id, 0) + _size_of(frame.batch)
            if sizes[frame.run_id] > MERGED_BYTES:
                yield Logged(frame.run_id, _as_one(waiting.pop(frame.run_id)))
                del sizes[frame.run_id]
        else:
            if frame.run_id in waiting:
                yield Logged(frame.run_id, _as_one(waiting.pop(frame.run_id)))
                del sizes[frame.run_id]
            yield frame
    for run_id, batches in waiting.items():
        yield Logged(run_id, _as_one(batches))


def _size_of(batch: RunBatch) -> int:
    return sum(3 * len(one.values) for one in batch.series)


def _as_one(batches: list[RunBatch]) -> RunBatch:
    if len(batches) == 1:
        return batches[0]
    columns: dict[str, tuple[list[bytes], list[bytes], list[bytes]]] = {}
    for batch in batches:
        for one in batch.series:
            values, steps, times = columns.setdefault(one.key, ([], [], []))
            values.append(one.values)
            steps.append(one.steps)
            times.append(one.times)
    # a file that was logged again is there once, as it was last
    artifacts = {entry.path: entry for batch in batches for entry in batch.artifacts}
    return RunBatch(
        metrics=tuple(point for batch in batches for point in batch.metrics),
        params={key: value for batch in batches for key, value in batch.params.items()},
        tags={key: value for batch in batches for key, value in batch.tags.items()},
        artifacts=tuple(artifacts.values()),
        edges=tuple(edge for batch in batches for edge in batch.edges),
        series=tuple(Series(key, *map(b"".join, parts)) for key, parts in columns.items()),
        datasets=tuple(use for batch in batches for use in batch.datasets),
        models=tuple(use for batch in batches for use in batch.models),
    )
