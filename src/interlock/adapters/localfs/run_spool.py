"""Take in what runs do within microseconds: write it to a local file first, and to the real stores soon after."""

from __future__ import annotations

# encodings.idna is needed to look up a host, and imported here so that no thread does it: a fork during an import of
# another thread would lock that import in the child for ever
import contextlib
import encodings.idna  # noqa: F401
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from interlock.adapters.localfs import segments
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.adapters.localfs.open_runs import OpenRuns
from interlock.adapters.localfs.progress import Progress
from interlock.adapters.localfs.run_frames import Begun, Courier, Ended, Frame, Logged, read_frame, write_frame
from interlock.core.background import in_background
from interlock.core.errors import InterlockError, NotFound
from interlock.ports.artifact_store import ArtifactStore, Blob
from interlock.ports.journal import Edge
from interlock.ports.record_checks import check_new_run
from interlock.ports.run_spool import CONSOLE_FILE, RunSpool, SpoolState
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunStatus, RunStore

DRAIN_EVERY_S = 0.2
BEGIN_PATIENCE_S = 2.0
MOST_BYTES = 4 << 30
_LONGEST_PAUSE_S = 30.0
_FAULTS = 20
_REMEMBERED = 32
_FRAMES_HELD = 8
_LARGEST_BYTES = 16 << 20
ENDED_UNHEARD = "its process ended without a word: it was killed, or the machine went down"
_logger = logging.getLogger(__name__)
_opened: weakref.WeakSet[LocalRunSpool] = weakref.WeakSet()

Targets = tuple[RunStore, ArtifactStore]


class _Ticket:
    """Somebody who waits for what the store says to a run that begins."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.arrived = False
        self.refusal: InterlockError | None = None


class LocalRunSpool(RunSpool):
    """A spool in a folder of this machine, before the stores of a workspace.

    What it takes in is in a segment file when the method returns, where it survives a kill of the process (not a power
    cut). A background thread moves it to the stores, merged. The first move also takes what killed processes left
    over, and closes the runs that they left open. While the stores are away segments wait, up to a limit; beyond that
    metric points are dropped and counted, and everything else is still kept.

    Args:
        folder: Where it is.
        targets: Returns the stores behind it; raises what opening them raises.
        keeps_contents: Whether contents of artifacts wait here too; not needed where their store is on this machine.
        every_s: How long it collects before it moves.
        most_bytes: How much may wait before points are dropped.
    """

    def __init__(
        self,
        folder: Path,
        targets: Callable[[], Targets],
        *,
        keeps_contents: bool = False,
        every_s: float = DRAIN_EVERY_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._targets = targets
        self._keeps_contents = keeps_contents
        self._kept: LocalArtifactStore | None = None
        self._every_s = every_s
        self._most_bytes = most_bytes
        self._aside = folder / "refused"
        self._open_runs = OpenRuns(folder / "open")
        self._reset()
        _opened.add(self)

    def _after_fork(self) -> None:
        # the child writes segments of its own; the parent's locks must die with the parent, so their copies are closed
        if self._segment is not None:
            self._segment.close()
        if self._draining is not None:
            os.close(self._draining)
        self._open_runs.after_fork()
        self._reset()

    def _reset(self) -> None:
        self._keeping = threading.Lock()
        self._append_lock = threading.Lock()
        self._segment: segments.Segment | None = None
        self._segment_frames: list[Frame] = []
        self._sealed: dict[Path, list[Frame] | None] = {}
        self._draining: int | None = None
        self._counts: dict[Path, tuple[int, int]] = {}
        self._segment_room = 0
        self._sealed_bytes = 0
        self._appended = 0
        self._dropped = 0
        self._tickets: dict[str, _Ticket] = {}
        self._progress = Progress()
        self._courier = Courier(
            self._targets,
            contents=self._contents if self._keeps_contents else None,
            aside=self._aside,
            told=self._tell,
            moved=self._progress.move,
        )
        self._brought = 0
        self._faults = 0
        self._adopted = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._retry = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def is_used(self) -> bool:
        return bool(segments.left_over(self._folder)) or self._open_runs.any_left()

    def begin(self, run: Run, *, edges: Sequence[Edge] = ()) -> str:
        check_new_run(run)
        ticket = self._tickets[run.id] = _Ticket()
        try:
            self._open_runs.add(run.id)
            self._append(Begun(run, tuple(edges)))
        except BaseException:
            self._tickets.pop(run.id)
            self._open_runs.remove(run.id)
            raise
        self._hurry.set()
        if self._progress.failed_lately():
            self._tickets.pop(run.id)
            return self._progress.failure
        self._retry.set()
        if self._thread is None:
            self._move_here()
        if not ticket.answered.wait(BEGIN_PATIENCE_S):
            self._progress.fail("the store has not answered yet")
        self._tickets.pop(run.id)
        if ticket.refusal is not None:
            self._open_runs.remove(run.id)
            raise ticket.refusal
        return "" if ticket.arrived else self._progress.failure

    def log(self, run_id: str, batch: RunBatch) -> None:
        self._open_runs.touch(run_id)
        if batch.series and self._sealed_bytes > self._most_bytes:
            batch = self._without_points(run_id, batch)
        self._append(Logged(run_id, batch))

    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> None:
        if status == "running":
            self._open_runs.add(run_id)
        self._append(Ended(run_id, status, ended_at, error))
        if status != "running":
            self._open_runs.remove(run_id)
        self._hurry.set()

    def put(self, data: bytes) -> Blob:
        return self._nearest().put(data)

    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        return self._nearest().put_stream(chunks)

    def _nearest(self) -> ArtifactStore:
        return self._contents() if self._keeps_contents else self._targets()[1]

    def _contents(self) -> LocalArtifactStore:
        with self._keeping:
            if self._kept is None:
                self._kept = LocalArtifactStore(self._folder / "contents")
            return self._kept

    def console(self, run_id: str, text: str) -> None:
        self._open_runs.write(run_id, text)

    def _append(self, frame: Frame) -> None:
        payload = write_frame(frame)
        with self._append_lock:
            if self._segment is not None and not self._segment.has_room(payload):
                self._seal()
                self._hurry.set()
            if self._segment is None:
                # where much is logged, segments that hold some of it spare the calls that making one takes
                self._segment_room = max(segments.SEGMENT_BYTES, min(_FRAMES_HELD * len(payload), _LARGEST_BYTES))
                self._segment = segments.Segment(self._folder, room_for=max(self._segment_room, len(payload)))
                self._start()
            self._segment.append(payload)
            # kept beside the file, so that moving them on does not have to read them back
            self._segment_frames.append(frame)
            self._appended += 1
        self._wake.set()

    def _seal(self) -> None:
        if self._segment is not None:
            self._segment.close()
            # of stores that are away or slow the files alone keep what waits
            is_backed_up = bool(self._progress.failure) or len(self._sealed) >= _REMEMBERED
            self._sealed[self._segment.path] = None if is_backed_up else self._segment_frames
            self._counts[self._segment.path] = (len(self._segment_frames), self._segment_room)
            self._sealed_bytes += self._segment_room
            self._segment, self._segment_frames = None, []

    def _without_points(self, run_id: str, batch: RunBatch) -> RunBatch:
        if not self._dropped:
            _logger.warning(
                "run:%s: %s is full; from here on metric points are dropped until the store answers",
                run_id,
                self._folder,
            )
        self._dropped += sum(len(one.values) for one in batch.series) // 8
        return msgspec.structs.replace(batch, series=())

    def settle(self, *, patience_s: float = 2.0) -> str:
        if self._closed:
            return "the workspace is closed"
        if self._progress.failed_lately():
            return self._progress.failure
        self._start()
        if self._thread is None:
            self._move_here()
            return self._progress.failure
        self._retry.set()
        return self._progress.wait(self._appended, patience_s=patience_s, hurry=self._hurry_up)

    def _hurry_up(self) -> None:
        self._hurry.set()
        self._wake.set()

    def state(self) -> SpoolState:
        batches, size_bytes = 0, 0
        runs: set[str] = set()
        for path in segments.left_over(self._folder):
            # one that is gone has arrived meanwhile; one of another version waits for that
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                for payload in segments.frames(path.read_bytes()):
                    batches += 1
                    size_bytes += len(payload)
                    runs.add(read_frame(payload).run_id)
        if self._keeps_contents and batches:
            size_bytes += sum(blob.size_bytes for blob in self._contents().blobs())
        return SpoolState(
            runs=len(runs),
            batches=batches,
            size_bytes=size_bytes,
            delivered=self._brought,
            refused=sum(path.read_bytes().count(b"\n") for path in self._aside.glob("*.jsonl")),
            dropped_points=self._dropped,
            reason=self._progress.failure,
        )

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = in_background(self._run, name="interlock-run-spool")

    def _move_here(self) -> None:
        """Move everything in this thread, where the program is ending and takes no other."""
        try:
            self._pass()
        except Exception as error:  # noqa: BLE001 (as in the thread that is missing)
            self._note_failure(error)

    def _run(self) -> None:
        pause_s = 1.0
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(self._every_s)
            self._hurry.clear()
            try:
                self._pass()
            except Exception as error:  # noqa: BLE001 (the edge of its thread, which must go on for anything to move)
                self._note_failure(error)
                self._retry.wait(pause_s)
                self._retry.clear()
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                self._wake.set()
            else:
                pause_s = 1.0

    def _pass(self) -> None:
        """Move everything once: what others left over, then what this process wrote, oldest first."""
        if not self._adopted:
            for path in segments.left_over(self._folder):
                if path not in self._sealed and (self._segment is None or path != self._segment.path):
                    self._drain(path, None, wait=False)
            for run_id, printed, seen_at in self._open_runs.left_by_the_dead():
                self._close_dead(run_id, printed, seen_at)
            self._adopted = True
        # while the stores are away the open segment fills up, rather than one being sealed at every attempt
        self._drain_sealed()
        with self._append_lock:
            self._seal()
        self._drain_sealed()
        self._progress.pass_over()

    def _drain_sealed(self) -> None:
        while self._sealed:
            path = list(self._sealed)[0]  # noqa: RUF015 (at once, since another thread adds)
            frames, self._sealed[path] = self._sealed[path], None
            self._drain(path, frames, wait=True)
            del self._sealed[path]
            frames_in_it, size_bytes = self._counts.pop(path)
            self._sealed_bytes -= size_bytes
            self._progress.deliver(frames_in_it)

    def _drain(self, path: Path, frames: list[Frame] | None, *, wait: bool) -> None:
        """Move a segment to the stores, then remove it; a kill in between is harmless, as delivering twice is."""
        file = self._draining = segments.take(path, wait=wait)
        if file is None:
            return
        try:
            frames = frames or [read_frame(payload) for payload in segments.read(file)]
            refused = self._deliver(frames)
            path.unlink(missing_ok=True)
            self._brought += len(frames)
        except msgspec.DecodeError as error:
            # another version wrote it; that one, or a later one, may read it
            self._aside.mkdir(exist_ok=True)
            path.rename(self._aside / path.name)
            refused = [f"{path.name} cannot be read: {error}"]
        finally:
            self._draining = None
            os.close(file)
        if refused:
            _logger.warning("%s record(s) were refused and are kept in %s: %s", len(refused), self._aside, refused[0])

    def _deliver(self, frames: list[Frame]) -> list[str]:
        try:
            return self._courier.deliver(frames)
        except InterlockError as error:
            self._faults += type(error) is InterlockError
            if type(error) is not InterlockError or self._faults < _FAULTS:
                raise
            # a store that fails at the same records again and again must not keep all later ones waiting
            self._faults = 0
            return [self._courier.put_aside(frame, error) for frame in frames]

    def _close_dead(self, run_id: str, printed: str, ended_at: datetime) -> None:
        """Record that the process of a run is gone, with the last of what it printed."""
        runs, _ = self._targets()
        try:
            if runs.get(run_id).status != "running":
                return
        except NotFound:
            return
        if printed:
            blob = self.put(printed.encode("utf-8", "replace"))
            entry = ArtifactEntry(CONSOLE_FILE, blob.digest, blob.size_bytes)
            self._courier.deliver([Logged(run_id, RunBatch(artifacts=(entry,)))])
        self._courier.deliver([Ended(run_id, "killed", ended_at, ENDED_UNHEARD)])

    def _tell(self, run_id: str, refusal: InterlockError | None) -> bool:
        ticket = self._tickets.get(run_id)
        if ticket is None:
            return False
        ticket.refusal = refusal
        ticket.arrived = refusal is None
        ticket.answered.set()
        return True

    def _note_failure(self, error: Exception) -> None:
        for path in list(self._sealed):
            self._sealed[path] = None
        if self._progress.fail(getattr(error, "what", "") or f"{type(error).__name__}: {error}"):
            _logger.info("runs wait in %s: %s", self._folder, self._progress.failure)
        for ticket in list(self._tickets.values()):
            ticket.answered.set()

    def close(self) -> None:
        if self._closed:
            return
        thread = self._thread
        if thread is not None:
            self.settle()
        self._closed = True
        for event in (self._wake, self._hurry, self._retry):
            event.set()
        if thread is not None:
            thread.join(BEGIN_PATIENCE_S)
        with self._append_lock:
            self._seal()
        self._open_runs.close()
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _forget_the_parents() -> None:
    for spool in list(_opened):
        spool._after_fork()


os.register_at_fork(after_in_child=_forget_the_parents)
