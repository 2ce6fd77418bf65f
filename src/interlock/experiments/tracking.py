"""Record training: open a run, log to it, close it; nothing that happens to the store stops the training."""

from __future__ import annotations

import contextvars
import logging
import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from interlock.core.active_run import active_run
from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.errors import Conflict, InterlockError, InvalidInput
from interlock.core.ids import new_id
from interlock.core.plain import pack
from interlock.experiments.buffers import Buffer
from interlock.experiments.capture import capture
from interlock.ports.artifact_store import ArtifactStore, Blob
from interlock.ports.checks import check_path, check_tags
from interlock.ports.journal import Edge, Journal
from interlock.ports.run_store import DIFF_FILE, ArtifactEntry, MetricPoint, Provenance, Run, RunStatus, RunStore

_CHUNK_BYTES = 1024 * 1024
_log = logging.getLogger("interlock.experiments")


class ActiveRun:
    """A run that is open for logging; a context manager that closes it with the right status.

    Metrics, params and tags are written in the background, at most a tenth of a second later, and all of them
    before the run ends. May be used from several threads.

    Example:
        >>> from interlock.adapters.memory.stores import memory_stores
        >>> stores = memory_stores()
        >>> experiments = Experiments(stores.runs, stores.artifacts, stores.journal)
        >>> with experiments.run("delay", params={"depth": 3}) as run:
        ...     run.log_metric("auc", 0.71)
        >>> stores.runs.get(run.id).metrics["auc"].last
        0.71
    """

    def __init__(
        self, record: Run, *, runs: RunStore, artifacts: ArtifactStore, journal: Journal, clock: Clock
    ) -> None:
        self.id = record.id
        self.ref = f"run:{record.id}"
        self.experiment = record.experiment
        self._runs = runs
        self._artifacts = artifacts
        self._journal = journal
        self._clock = clock
        self._params = {key: pack(value) for key, value in record.params.items()}
        self._steps = {key: summary.last_step for key, summary in record.metrics.items()}
        self._buffer = Buffer(runs, record.id)
        self._unsent: list[tuple[str, bytes]] = []
        self._token: contextvars.Token[str | None] | None = None
        self._open = True

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; each keeps its first value.

        Raises:
            Conflict: A parameter has another value already.
            InvalidInput: A value is not plain.
        """
        plain = _plain_params(params)
        packed = {key: pack(value) for key, value in plain.items()}
        for key, value in packed.items():
            if self._params.get(key, value) != value:
                raise Conflict(
                    f"param '{key}' of {self.ref} has another value",
                    why=f"a param keeps its first value, and {plain[key]!r} differs from it",
                    fix="log a metric if it changes during the run, or start another run",
                )
        self._check_open()
        self._params.update(packed)
        self._buffer.add(params=plain)

    def log_metric(self, key: str, value: float, step: float | None = None) -> None:
        """Log one value of a metric; without a step it gets the one after the last."""
        self.log_metrics({key: value}, step)

    def log_metrics(self, values: Mapping[str, float], step: float | None = None) -> None:
        """Log one value each of some metrics, all at the same step."""
        self._check_open()
        now = to_micros(self._clock.now())
        points = [MetricPoint(key, _number(key, value), self._step(key, step), now) for key, value in values.items()]
        self._buffer.add(points=points)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a later value replaces an earlier one."""
        self._check_open()
        check_tags(tags)
        self._buffer.add(tags=dict(tags))

    def log_artifact(self, source: str | Path | bytes, name: str | None = None) -> None:
        """Keep a file, or some bytes, under a path within the run.

        Args:
            source: The file, or its bytes.
            name: Its path within the run; the file's own name if not given.

        Raises:
            InvalidInput: The name is no relative path, or is missing for bytes.
        """
        self._check_open()
        if isinstance(source, bytes):
            if name is None:
                raise InvalidInput(
                    "bytes need a name", why="there is no file name", fix='log_artifact(data, "plot.png")'
                )
            self._put(check_path(name, of="path of an artifact"), source)
            return
        path = Path(source)
        if not path.is_file():
            raise InvalidInput(
                f"'{path}' is not a file", why="expected the path of one file", fix="log each file of a folder"
            )
        entry_name = check_path(name or path.name, of="path of an artifact")
        try:
            self._register(entry_name, self._artifacts.put_stream(_chunks(path)))
        except InterlockError:
            self._put(entry_name, path.read_bytes())

    def log_text(self, text: str, name: str) -> None:
        """Keep a text under a path within the run."""
        self.log_artifact(text.encode(), name)

    def link(self, source_ref: str, relation: str) -> None:
        """Record that something led to this run; possible after its end too."""
        edge = Edge(source_ref, self.ref, relation)
        if self._open:
            self._buffer.add(edges=[edge])
        else:
            self._journal.link([edge])

    def end(self, status: RunStatus = "finished", *, error: str | None = None) -> None:
        """Write what is left and close the run; later calls change nothing."""
        if not self._open:
            return
        self._open = False
        unsent, self._unsent = self._unsent, []
        for name, data in unsent:
            self._put(name, data)
        lost = self._buffer.close()
        if self._unsent:
            names = ", ".join(name for name, _ in self._unsent)
            lost = f"{lost}; the artifacts {names} were lost" if lost else f"the artifacts {names} were lost"
        try:
            self._runs.end(self.id, status=status, ended_at=self._clock.now(), error=error)
        except (InterlockError, OSError) as refusal:
            lost = f"{lost}; its end could not be recorded: {refusal}"
        if lost:
            _log.warning("%s: %s", self.ref, lost)

    def __enter__(self) -> ActiveRun:
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

    def _check_open(self) -> None:
        if not self._open:
            raise InvalidInput(f"{self.ref} has ended", why="nothing more can be logged to it", fix="start another run")

    def _step(self, key: str, given: float | None) -> float:
        step = self._steps.get(key, -1.0) + 1 if given is None else float(given)
        self._steps[key] = step
        return step

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._register(name, self._artifacts.put(data))
        except (InterlockError, OSError) as error:
            _log.warning("%s: artifact '%s' is kept in memory until the run ends: %s", self.ref, name, error)
            self._unsent.append((name, data))

    def _register(self, name: str, blob: Blob) -> None:
        self._buffer.add(artifacts=[ArtifactEntry(name, blob.digest, blob.size_bytes)])


class Experiments:
    """The runs of a workspace.

    Args:
        runs: Where runs are recorded.
        artifacts: Where their files are kept.
        journal: Where edges to a run that has ended are recorded.
        clock: Tells the time.
        project: The folder whose git repository holds the code; the current folder if not given.
    """

    def __init__(
        self,
        runs: RunStore,
        artifacts: ArtifactStore,
        journal: Journal,
        clock: Clock | None = None,
        project: Path | None = None,
    ) -> None:
        self._runs = runs
        self._artifacts = artifacts
        self._journal = journal
        self._clock = clock or SystemClock()
        self._project = project
        self._known: Provenance | None = None

    def run(
        self,
        experiment: str,
        *,
        name: str = "",
        kind: str = "training",
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        inputs: Sequence[str] = (),
    ) -> ActiveRun:
        """Open a run.

        Args:
            experiment: The experiment, created if need be.
            name: A name for people.
            kind: What it does.
            params: Its first parameters.
            tags: Its first tags.
            parent: Id of the run that contains it; the innermost open run of this thread if not given.
            inputs: Refs of what it is trained on.

        Raises:
            InterlockError: The store refuses or does not answer: better before training than after.
        """
        container = parent or active_run.get()
        known = self._provenance(fresh=container is None)
        record = Run(
            id=new_id(),
            experiment=experiment,
            kind=kind,
            name=name,
            status="running",
            started_at=self._clock.now(),
            parent=container,
            params=_plain_params(params or {}),
            tags=dict(tags or {}),
            code=known.code,
            libraries=known.libraries,
            environment=known.environment,
        )
        self._runs.create(record, edges=[Edge(source, f"run:{record.id}", "trained_on") for source in inputs])
        opened = self._active(record)
        if known.diff and container is None:
            opened.log_artifact(known.diff, DIFF_FILE)
        return opened

    def resume(self, run_id: str) -> ActiveRun:
        """Open an earlier run again, to log more to it.

        Raises:
            NotFound: There is no such run.
        """
        record = self._runs.end(run_id, status="running", ended_at=self._clock.now())
        return self._active(record)

    def _provenance(self, *, fresh: bool) -> Provenance:
        """Look at the code again for every run of its own; runs inside another share what that one saw."""
        if fresh or self._known is None:
            self._known = capture(self._project)
        return self._known

    def _active(self, record: Run) -> ActiveRun:
        return ActiveRun(record, runs=self._runs, artifacts=self._artifacts, journal=self._journal, clock=self._clock)


def _plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as plain values: NumPy numbers as Python's, paths as text."""
    plain = {str(key): _plain(value) for key, value in params.items()}
    for key, value in plain.items():
        try:
            pack(value)
        except InvalidInput as error:
            raise InvalidInput(f"param '{key}' cannot be stored", why=error.why, fix=error.fix) from error
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _number(key: str, value: Any) -> float:
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError(f"it is the {type(value).__name__} {value!r}")
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"metric '{key}' is not a number", why=str(error), fix=f'log_metrics({{"{key}": float(value)}})'
        ) from error
    return number if not math.isnan(number) else math.nan


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
