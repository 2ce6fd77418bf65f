"""Record training: open a run, log to it, close it; nothing that happens to the store stops the training."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.active_run import active_run
from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import Conflict, InterlockError
from interlock.core.ids import new_id
from interlock.core.refs import Ref
from interlock.core.settings import REPRODUCES_VARIABLE
from interlock.experiments import open_runs
from interlock.experiments.active import ActiveRun
from interlock.experiments.asking import asked
from interlock.experiments.capture import capture
from interlock.experiments.direct import DirectSpool
from interlock.experiments.display import runs_table
from interlock.experiments.environment import lock_files
from interlock.experiments.plain_params import plain_params
from interlock.experiments.surroundings import Watching
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.journal import Edge, Journal
from interlock.ports.record_checks import check_new_run
from interlock.ports.run_spool import REFUSALS, RunSpool
from interlock.ports.run_store import Provenance, Run, RunFilter, RunStore

LATEST = "latest"
_PATIENCE_S = 2.0
_SHOWN = 20
_log = logging.getLogger("interlock.experiments")


class Experiments:
    """The runs of a workspace.

    Args:
        runs: Where runs are recorded.
        artifacts: Where their files are kept.
        journal: Where edges to a run that has ended are recorded.
        clock: Tells the time.
        project: The folder whose git repository holds the code; the current folder if not given.
        spool: Where runs write first; straight into the stores if not given.
    """

    def __init__(
        self,
        runs: RunStore,
        artifacts: ArtifactStore,
        journal: Journal,
        clock: Clock | None = None,
        project: Path | None = None,
        spool: RunSpool | None = None,
    ) -> None:
        self._around = _Ground(
            runs, spool or DirectSpool(runs, artifacts), journal, clock or SystemClock(), project=project
        )

    def run(
        self,
        experiment: str = "default",
        *,
        name: str = "",
        kind: str = "training",
        params: Mapping[str, Any] | Any = None,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        inputs: Sequence[str] = (),
        resume: str | None = None,
        console: bool = True,
        system_every_s: float = 10.0,
    ) -> ActiveRun:
        """Make a run: for a `with` block, as a decorator, or to be ended by hand.

        Args:
            experiment: The experiment, created if need be; a `/` puts it into a folder.
            name: A name for people.
            kind: What it does.
            params: Its first parameters, by name: a mapping, a dataclass or a namespace.
            tags: Its first tags.
            parent: Id of the run that contains it; the innermost open run of this thread if not given.
            inputs: Refs of what it is trained on.
            resume: Id of a run to go on with, or `latest` for the newest of the experiment, if there is one.
            console: Whether what is printed meanwhile is kept too (of a run that is inside no other).
            system_every_s: How often to sample processor, memory, disk, network and GPUs (likewise); 0 for never.

        Raises:
            InvalidInput: A parameter, a tag or a name cannot be kept.
            NotFound: There is no run of the id to go on with.
        """
        watching = Watching(console=console, system_every_s=system_every_s)
        plain = plain_params(params) if params is not None else {}
        earlier = self._earlier(experiment, kind, resume) if resume is not None else None
        if earlier is not None:
            opened = self._go_on(earlier, watching)
            opened.log_params(plain)
            opened.set_tags(tags or {})
            return opened

        def made(name: str, params: Mapping[str, Any]) -> ActiveRun:
            record = Run(
                id=new_id(),
                experiment=experiment,
                kind=kind,
                name=name,
                status="running",
                started_at=self._around.clock.now(),
                parent=parent or active_run.get(),
                params={**plain, **params},
                tags={**_reproducing(), **(tags or {})},
            )
            check_new_run(record)
            edges = [Edge(str(Ref.parse(source)), f"run:{record.id}", "trained_on") for source in inputs]
            return ActiveRun(record, self._around, edges=edges, watching=watching, again=made_again)

        def made_again(*, name: str, params: Mapping[str, Any]) -> ActiveRun:
            return made(given_name or name, params)

        given_name = name
        fresh = made(name, {})
        open_runs.prepare(fresh)
        return fresh

    def resume(self, run_id: str) -> ActiveRun:
        """Open an earlier run again, to log more to it.

        Raises:
            NotFound: There is no such run.
            Conflict: It is deleted.
        """
        earlier = self._earlier("", "training", run_id)
        assert earlier is not None, "only the latest run may be none"
        return self._go_on(earlier, Watching())

    def _earlier(self, experiment: str, kind: str, which: str) -> Run | None:
        """Return the run to go on with; one that cannot be asked for is taken to be as it was begun."""
        problem = self._around.spool.settle(patience_s=_PATIENCE_S)
        if not problem:
            try:
                return asked(lambda: self._around.find(experiment, kind, which), within_s=_PATIENCE_S)
            except REFUSALS:
                raise
            except (InterlockError, OSError) as error:
                problem = getattr(error, "what", str(error))
        if which == LATEST:
            _log.warning("a new run begins, since the latest of '%s' is not known now: %s", experiment, problem)
            return None
        _log.warning("run:%s goes on offline; what it logged before is not known here: %s", which, problem)
        now = self._around.clock.now()
        return Run(id=which, experiment=experiment, kind=kind, name="", status="running", started_at=now)

    def _go_on(self, earlier: Run, watching: Watching) -> ActiveRun:
        if earlier.deleted_at is not None:
            raise Conflict(f"run:{earlier.id} is deleted", why="it takes nothing more", fix="start another run")
        spool = self._around.spool
        spool.end(earlier.id, status="running", ended_at=self._around.clock.now())
        spool.settle(patience_s=_PATIENCE_S)
        opened = ActiveRun(
            msgspec.structs.replace(earlier, status="running", ended_at=None), self._around, watching=watching
        )
        opened.go_on()
        return opened

    def __repr__(self) -> str:
        return f"Experiments({self._around.spool!r})"

    def _repr_html_(self) -> str:
        return runs_table("Newest runs", self._around.newest())


def _reproducing() -> dict[str, str]:
    """Return the tag that says which run the runs of this process are to reproduce, if they are."""
    ref = os.environ.get(REPRODUCES_VARIABLE, "")
    return {"reproduces": ref} if ref else {}


class _Ground:
    """What the runs of a workspace stand on."""

    def __init__(
        self, runs: RunStore, spool: RunSpool, journal: Journal, clock: Clock, *, project: Path | None
    ) -> None:
        self.spool = spool
        self.journal = journal
        self.clock = clock
        self._runs = runs
        self._project = project
        self._known: Provenance | None = None

    def provenance(self, *, fresh: bool) -> Provenance:
        """Look at the code again for every run of its own; runs inside another share what that one saw."""
        if fresh or self._known is None:
            self._known = capture(self._project)
        return self._known

    def locks(self) -> Mapping[str, bytes]:
        """Return the files that pin the libraries."""
        return lock_files(self._project)

    def find(self, experiment: str, kind: str, which: str) -> Run | None:
        """Return the run of an id, or the latest."""
        if which != LATEST:
            return self._runs.get(which)
        found = self._runs.runs(where=RunFilter(experiment=experiment, kind=kind), limit=1)
        return found[0] if found else None

    def read(self, run_id: str) -> Run | None:
        """Return what the store has of a run, if it can say so at once."""
        try:
            return asked(lambda: self._runs.get(run_id), within_s=_PATIENCE_S)
        except (InterlockError, OSError):
            return None

    def newest(self) -> list[Run]:
        """Return the newest runs that nothing contains, as far as the store can say so at once."""
        try:
            found = asked(lambda: self._runs.runs(limit=5 * _SHOWN), within_s=_PATIENCE_S)
        except (InterlockError, OSError):
            return []
        return [run for run in found if run.parent is None][:_SHOWN]
