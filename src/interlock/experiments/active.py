"""Log to one run: whatever happens to the stores, the training goes on."""

from __future__ import annotations

import contextvars
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from interlock.core.active_run import active_run
from interlock.core.background import in_background
from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.errors import Conflict, InterlockError, InvalidInput
from interlock.core.plain import pack, unpack
from interlock.experiments import open_runs
from interlock.experiments.attending import Attendant
from interlock.experiments.buffers import Buffer, flusher
from interlock.experiments.console import Console
from interlock.experiments.decorating import recorded
from interlock.experiments.display import run_card
from interlock.experiments.hardware import prepare
from interlock.experiments.media import MediaIndex, MediaLogging
from interlock.experiments.plain_params import plain_params
from interlock.experiments.points import Points
from interlock.experiments.surroundings import Surroundings, Watching
from interlock.ports.artifact_store import Blob
from interlock.ports.checks import check_path, check_tags, check_text
from interlock.ports.journal import Edge
from interlock.ports.run_store import DIFF_FILE, ArtifactEntry, DatasetUse, Run, RunStatus

NOTE_TAG = "mlflow.note.content"
"""The tag that holds a run's note, in Markdown; MLflow shows it as the run's description."""

OPENS_AFTER_S = 1.0
_CHUNK_BYTES = 1024 * 1024
_END_PATIENCE_S = 10.0
_log = logging.getLogger("interlock.experiments")


class ActiveRun(MediaLogging):
    """A run that is open for logging: a context manager, a decorator, or an object to be ended by hand.

    It opens with its `with` block, with the first thing logged, or by itself a second after it was made. Metrics,
    params and tags are safe on this machine at most a tenth of a second later, and in the store soon after, or when
    that answers again. Whoever does not end it leaves that to the end of the program. May be used from several
    threads, and in forked children, which log to it and leave its end to the parent.

    Example:
        >>> from interlock.adapters.memory.stores import memory_stores
        >>> from interlock.experiments.tracking import Experiments
        >>> stores = memory_stores()
        >>> experiments = Experiments(stores.runs, stores.artifacts, stores.journal)
        >>> with experiments.run("delay", params={"depth": 3}) as run:
        ...     run.log_metric("auc", 0.71)
        >>> stores.runs.get(run.id).metrics["auc"].last
        0.71
    """

    def __init__(
        self,
        record: Run,
        around: Surroundings,
        *,
        edges: Sequence[Edge] = (),
        watching: Watching | None = None,
        again: Callable[..., ActiveRun] | None = None,
    ) -> None:
        self.id = record.id
        self.ref = f"run:{record.id}"
        self.experiment = record.experiment
        self._record = record
        self._around = around
        self._edges = edges
        self._watching = watching or Watching()
        self._again = again
        self._made_at = time.monotonic()
        self._pid = os.getpid()
        self._params = {key: pack(value) for key, value in record.params.items()}
        steps = {key: summary.last_step for key, summary in record.metrics.items()}
        self._points = Points(_seconds(around.clock), steps, late=lambda: self._buffer.flush_if_nobody_does())
        self._buffer = Buffer(around.spool, record.id, self._points)
        self._media = MediaIndex()
        self._console: Console | None = None
        self._attendant: Attendant | None = None
        self._unsent: list[tuple[str, bytes]] = []
        self._token: contextvars.Token[str | None] | None = None
        self._opening = threading.RLock()
        self._state = "waiting"
        self._is_offline = False
        if self._watching.system_every_s and record.parent is None:
            prepare()

    def log_params(self, params: Mapping[str, Any] | Any) -> None:
        """Log parameters by name, typed and nested; each keeps its first value.

        Args:
            params: A mapping, a dataclass or a namespace.

        Raises:
            Conflict: A parameter has another value already.
            InvalidInput: A value is not plain.
        """
        plain = plain_params(params)
        packed = {key: pack(value) for key, value in plain.items()}
        for key, value in packed.items():
            if self._params.get(key, value) != value:
                raise Conflict(
                    f"param '{key}' of {self.ref} has another value",
                    why=f"a param keeps its first value, and {plain[key]!r} differs from it",
                    fix="log a metric if it changes during the run, or start another run",
                )
        self._require_open()
        self._params.update(packed)
        self._buffer.add(params=plain)

    def log_metric(self, key: str, value: float, step: float | None = None) -> None:
        """Log one value of a metric; without a step it gets the one after the last.

        Steps may come in any order, and be fractions. Cost: 0.7 µs.
        """
        if self._state != "open":
            self._require_open()
        self._points.add(key, value, step)

    def log_metrics(self, values: Mapping[str, float], step: float | None = None) -> None:
        """Log one value each of some metrics, all at the same step."""
        if self._state != "open":
            self._require_open()
        self._points.add_all(values, step)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a later value replaces an earlier one."""
        self._require_open()
        check_tags(tags)
        self._buffer.add(tags=dict(tags))

    def set_note(self, text: str) -> None:
        """Write, in Markdown, what people should know of the run; a later note replaces an earlier one."""
        self.set_tags({NOTE_TAG: check_text(text, of="note of a run")})

    def log_artifact(self, source: str | Path | bytes, name: str | None = None) -> None:
        """Keep a file, a folder, or some bytes, under a path within the run.

        Args:
            source: The file or folder, or the bytes.
            name: Its path within the run; the file's or folder's own name if not given.

        Raises:
            InvalidInput: The name is no relative path, or is missing for bytes.
        """
        self._require_open()
        if isinstance(source, (bytes, bytearray, memoryview)):
            if name is None:
                raise InvalidInput(
                    "bytes need a name", why="there is no file name", fix='log_artifact(data, "plot.png")'
                )
            self._put(check_path(name, of="path of an artifact"), bytes(source))
            return
        path = Path(source)
        top = check_path(name or path.resolve().name, of="path of an artifact")
        if path.is_dir():
            for file in sorted(one for one in path.rglob("*") if one.is_file()):
                self._put_file(f"{top}/{file.relative_to(path).as_posix()}", file)
            return
        if not path.is_file():
            raise InvalidInput(f"'{path}' is not a file", why="expected the path of a file or a folder")
        self._put_file(top, path)

    def log_text(self, text: str, name: str) -> None:
        """Keep a text under a path within the run."""
        self.log_artifact(text.encode(), name)

    def log_dataset(self, ref: str, *, context: str = "training") -> None:
        """Record which dataset was read, and what for; its lineage leads to this run.

        Args:
            ref: Ref of a snapshot (`dataset:flights@3`), or of anything else that was read.
            context: `training`, `evaluation` or `test`.
        """
        relation = "trained_on" if context == "training" else "read_for_" + context
        self.link(ref, relation)

    def link(self, source_ref: str, relation: str) -> None:
        """Record that something led to this run; possible after its end too."""
        edge = Edge(source_ref, self.ref, relation)
        if self._state == "ended":
            self._around.journal.link([edge])
        else:
            self._require_open()
            self._buffer.add(edges=[edge])

    def describe_dataset(self, use: DatasetUse) -> None:
        """Record a dataset that is in no workspace, by what tells it from others."""
        self._require_open()
        self._buffer.add(datasets=[use])

    def end(self, status: RunStatus = "finished", *, error: str | None = None) -> None:
        """Write what is left and close the run; later calls change nothing."""
        if self._state in ("ended", "decorator"):
            return
        if self._pid != os.getpid():
            # a forked child: it hands over what it logged, and the parent ends what the parent began
            self._buffer.flush()
            return
        self._require_open()
        attendant, self._attendant = self._attendant, None
        if attendant is not None:
            attendant.stop()
        else:
            self._keep_media()
        self._state = "ended"
        flusher.forget(self)
        open_runs.remove(self)
        self._hand_over_console()
        unsent, self._unsent = self._unsent, []
        for name, data in unsent:
            self._put(name, data)
        lost = self._buffer.close()
        if self._unsent:
            names = ", ".join(name for name, _ in self._unsent)
            lost = f"{lost}; the artifacts {names} were lost" if lost else f"the artifacts {names} were lost"
        try:
            self._around.spool.end(self.id, status=status, ended_at=self._around.clock.now(), error=error)
            is_urgent = self._record.parent is None and not self._is_offline
            waits = self._around.spool.settle(patience_s=_END_PATIENCE_S if is_urgent else 1.0)
        except (InterlockError, OSError) as refusal:
            lost = f"{lost}; its end could not be recorded: {refusal}"
            waits = ""
        if lost:
            _log.warning("%s: %s", self.ref, lost)
        elif waits and not self._record.parent:
            _log.warning("%s is kept on this machine until `interlock sync`, or the next run: %s", self.ref, waits)

    def flush(self) -> None:
        """Make what was logged so far safe on this machine; done by itself twenty times a second."""
        if self._state == "waiting":
            if time.monotonic() - self._made_at > OPENS_AFTER_S:
                # not here: a store that takes its time must not keep other runs from being flushed
                self._made_at = float("inf")
                in_background(self._open_unasked, name="interlock-open")
            return
        self._buffer.flush()
        self._hand_over_console()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters logged so far, by this object."""
        return {key: unpack(value) for key, value in self._params.items()}

    @property
    def is_inside_another(self) -> bool:
        """Whether another run contains it."""
        return self._record.parent is not None

    def start(self) -> None:
        """Open now, rather than with the first thing logged."""
        self._require_open()

    def __enter__(self) -> ActiveRun:
        self._require_open()
        self._token = active_run.set(self.id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            active_run.reset(self._token)
            self._token = None
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.end("finished")
        elif isinstance(error, Exception):
            self.end("failed", error="".join(traceback.format_exception(error)))
        else:
            self.end("killed", error=f"{type(error).__name__}: {error}".rstrip(": "))

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a run of every call of a function, its arguments the params; this object itself then is no run."""
        if self._state != "waiting" or self._again is None:
            raise InvalidInput(
                f"{self.ref} is open and cannot decorate a function",
                why="a decorator opens a run of its own for every call",
                fix=f'@interlock.run("{self.experiment}")',
            )
        flusher.forget(self)
        open_runs.remove(self)
        self._state = "decorator"
        return recorded(function, self._again)

    def __repr__(self) -> str:
        return f"<run {self.id} of '{self.experiment}', {self._state}>"

    def _repr_html_(self) -> str:
        known = self._around.read(self.id) if self._state in ("open", "ended") else None
        return run_card(known or self._record)

    def _require_open(self) -> None:
        if self._state == "open":
            return
        if self._state == "waiting":
            self._open()
        elif self._state == "inherited":
            self._state = "open"
            flusher.watch(self)
            open_runs.flush_at_exit_of_child(self.flush)
        elif self._state == "decorator":
            raise InvalidInput(f"{self.ref} became a decorator", why="it opens a run for every call", fix="run = …")
        else:
            raise InvalidInput(f"{self.ref} has ended", why="nothing more can be logged to it", fix="start another run")

    def _open(self) -> None:
        with self._opening:
            if self._state != "waiting":
                return
            parent = self._record.parent
            open_runs.open_waiting(parent)
            known = self._around.provenance(fresh=parent is None)
            self._record = msgspec.structs.replace(
                self._record, code=known.code, libraries=known.libraries, environment=known.environment
            )
            try:
                waits = self._around.spool.begin(self._record, edges=self._edges)
            except BaseException:
                self._state = "ended"
                flusher.forget(self)
                open_runs.remove(self)
                raise
            self.go_on()
            # who did not answer at the beginning is not waited for at the end
            self._is_offline = bool(waits)
            if waits and parent is None:
                _log.warning("%s opens offline and is kept on this machine; training goes on: %s", self.ref, waits)
            if parent is None:
                if known.diff:
                    self._put(DIFF_FILE, known.diff)
                for path, data in self._around.locks().items():
                    self._put(path, data)

    def _open_unasked(self) -> None:
        try:
            self._open()
        except InterlockError as error:
            _log.warning("%s could not be opened: %s", self.ref, error)

    def go_on(self) -> None:
        """Take in what is logged, from now on."""
        self._state = "open"
        open_runs.add(self)
        flusher.watch(self)
        if self._record.parent is None:
            self._console = Console() if self._watching.console else None
            self._attendant = Attendant(
                console=self._console,
                every_s=self._watching.system_every_s,
                keep=self._put,
                media=self._listed_media,
                measure=self._points.add_all,
            )
            self._attendant.start()

    def inherit(self) -> None:
        """Begin anew in a forked child: what is not yet written is the parent's to write."""
        if self._state == "open":
            self._state = "inherited"
            self._opening = threading.RLock()
            self._attendant = self._console = None
            self._unsent = []
            self._media = MediaIndex()
            self._buffer.forget()

    def _hand_over_console(self) -> None:
        if self._console is not None and (text := self._console.take()):
            self._around.spool.console(self.id, text)

    def _listed_media(self) -> tuple[str, bytes] | None:
        data = self._media.changed()
        return None if data is None else (self._media.path, data)

    def _keep_media(self) -> None:
        if (listed := self._listed_media()) is not None:
            self._put(*listed)

    def _keep(self, path: str, data: bytes) -> None:
        self._require_open()
        self._put(path, data)

    def _micros(self) -> int:
        return to_micros(self._around.clock.now())

    def _put_file(self, name: str, path: Path) -> None:
        try:
            self._register(name, self._around.spool.put_stream(_chunks(path)))
        except InterlockError:
            self._put(name, path.read_bytes())

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._register(name, self._around.spool.put(data))
        except (InterlockError, OSError) as error:
            _log.warning("%s: artifact '%s' is kept in memory until the run ends: %s", self.ref, name, error)
            self._unsent.append((name, data))

    def _register(self, name: str, blob: Blob) -> None:
        self._buffer.add(artifacts=[ArtifactEntry(name, blob.digest, blob.size_bytes)])


def _seconds(clock: Clock) -> Callable[[], float]:
    """Return what tells seconds since 1970; of the machine's clock that is a plain call of the system."""
    if isinstance(clock, SystemClock):
        return time.time
    return lambda: to_micros(clock.now()) / 1e6


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
