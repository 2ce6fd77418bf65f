"""Write straight to the stores, where they are in the memory of this process and there is nothing to wait for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from interlock.ports.artifact_store import ArtifactStore, Blob
from interlock.ports.journal import Edge
from interlock.ports.run_spool import RunSpool, SpoolState, log_what_fits
from interlock.ports.run_store import Run, RunBatch, RunStatus, RunStore

_log = logging.getLogger("interlock.experiments")


class DirectSpool(RunSpool):
    """A spool that holds nothing: every method asks the stores at once, and raises what they say.

    Args:
        runs: Where runs are recorded.
        artifacts: Where their files are kept.
    """

    def __init__(self, runs: RunStore, artifacts: ArtifactStore) -> None:
        self._runs = runs
        self._artifacts = artifacts

    def begin(self, run: Run, *, edges: Sequence[Edge] = ()) -> str:
        """Record the run."""
        self._runs.create(run, edges=edges)
        return ""

    def log(self, run_id: str, batch: RunBatch) -> None:
        """Write the batch, and say what of it the store refuses."""
        for _, error in log_what_fits(self._runs, run_id, batch):
            _log.warning("run:%s: a record was refused and is lost: %s", run_id, error)

    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> None:
        """Record the end."""
        self._runs.end(run_id, status=status, ended_at=ended_at, error=error)

    def put(self, data: bytes) -> Blob:
        """Keep the content."""
        return self._artifacts.put(data)

    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        """Keep the content."""
        return self._artifacts.put_stream(chunks)

    def console(self, run_id: str, text: str) -> None:
        """Keep nothing: memory dies with the process."""

    def settle(self, *, patience_s: float = 2.0) -> str:
        """Say at once that nothing waits."""
        return ""

    def state(self) -> SpoolState:
        """Say that nothing waits."""
        return SpoolState()

    @property
    def is_used(self) -> bool:
        """Whether anything waits: never."""
        return False

    def close(self) -> None:
        """Do nothing: the stores are closed by whoever opened them."""
