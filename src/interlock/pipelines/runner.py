"""Run pipelines so that everything is recorded, and nothing that is known is computed again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec

from interlock.core.active_run import active_run
from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import Cancelled, Conflict, InvalidInput, StorageFull
from interlock.core.ids import new_id
from interlock.pipelines.differences import Difference, differences, reasons_of
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.lazy import force
from interlock.pipelines.lineage import input_edges, plain_params
from interlock.pipelines.outcomes import STEPS_FILE, PipelineRun, StepOutcome, outcome_of
from interlock.pipelines.outliving import Undertaker
from interlock.pipelines.recorded_calls import (
    PIPELINE_TAG,
    call_with,
    importable,
    read_arguments,
    written_arguments,
)
from interlock.pipelines.replaying import RecordedCall, find_call, value_of
from interlock.pipelines.running import RecordingSession
from interlock.pipelines.sessions import current_session
from interlock.pipelines.targets import load_pipeline
from interlock.pipelines.verifying import Verified, compared, put_in_doubt, sample
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.executor import Executor
from interlock.ports.journal import Edge, Journal
from interlock.ports.run_store import DIFF_FILE, ArtifactEntry, Provenance, Run, RunStatus, RunStore
from interlock.ports.step_cache import GraphNode, Occurrence, StepCache, StepEnd

P = ParamSpec("P")
R = TypeVar("R")

RESUMES_TAG = "resumes"
"""The tag of a pipeline's run that says which run it goes on with."""


class Pipelines:
    """The pipelines of a workspace.

    Args:
        runs: Where runs are recorded.
        steps: Where reusable outputs are looked up.
        artifacts: Where outputs are kept.
        journal: The workspace's journal; how much of a run was reused is told there (`pipeline.finished`,
            `pipeline.failed`, `pipeline.killed`).
        executor: Where steps run.
        secret: The workspace's secret, which signs pickled outputs.
        clock: Tells the time.
        provenance: Says under which code a run happens; nothing is noted if not given.
        folder: Where running steps keep checkpoints and live logs; None for nowhere that lasts.
        engines: Gives the executor of a name (`pool`, `ray`, …), for `on`.
    """

    def __init__(
        self,
        runs: RunStore,
        steps: StepCache,
        artifacts: ArtifactStore,
        journal: Journal,
        executor: Executor,
        secret: bytes,
        clock: Clock | None = None,
        provenance: Callable[[], Provenance] = Provenance,
        folder: Path | None = None,
        engines: Callable[[str], Executor] | None = None,
    ) -> None:
        self._folder = folder
        self._engines = engines
        self._provenance = provenance
        self._runs = runs
        self._steps = steps
        self._artifacts = artifacts
        self._journal = journal
        self._executor = executor
        self._secret = secret
        self._clock = clock or SystemClock()
        self._undertaker = Undertaker(runs, steps, self._clock)

    def on(self, engine: str | Executor) -> Pipelines:
        """Return these pipelines with their steps run elsewhere.

        Args:
            engine: `auto`, `inline`, `pool`, `ray` or `dask`, the last three perhaps with a number of workers or an
                address behind a colon (`pool:4`, `dask:tcp://10.0.0.1:8786`); or an executor.

        Raises:
            InvalidInput: There is no such engine.
            MissingExtra: Its library is not installed.
        """
        other = copy.copy(self)
        if not isinstance(engine, str):
            other._executor = engine
        elif self._engines is None:
            raise InvalidInput(f"these pipelines cannot run on '{engine}'", why="they were given one executor")
        else:
            other._executor = self._engines(engine)
        return other

    def run(self, pipeline: Pipeline[P, R] | Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> PipelineRun:
        """Run a pipeline and return its record, its value and what became of each step.

        Raises:
            StepFailed: A step raised. The steps that did not need its output have run, and theirs are kept.
            Cancelled: Another process asked for it with `cancel`.
        """
        return self._run(_as_pipeline(pipeline), args, kwargs)

    def resume(
        self, run_id: str, pipeline: Pipeline[..., Any] | Callable[..., Any] | None = None, /, **changes: Any
    ) -> PipelineRun:
        """Go on with a run that failed, was cancelled, or whose process was killed, with the arguments it had.

        It becomes a run of its own, joined to the first by an edge (`resumed_by`) and the tag `resumes`, since code may
        have changed between them. Steps that had finished are reused, also those with `cache=False`.

        Args:
            run_id: The run.
            pipeline: The pipeline, where it cannot be imported as it was: from a notebook, from within a function.
            changes: Arguments that are to differ, or that could not be kept.

        Raises:
            Conflict: It finished, or still runs.
            InvalidInput: The pipeline cannot be imported, or an argument was not kept.
        """
        run_id = run_id.removeprefix("run:")
        self._undertaker.end_the_dead()
        before = self._runs.get(run_id)
        if before.kind != "pipeline" or before.status in ("running", "finished"):
            why = f"it is a {before.kind}" if before.kind != "pipeline" else f"it is {before.status}"
            fix = f"interlock pipeline cancel run:{run_id}" if before.status == "running" else ""
            raise Conflict(f"run:{run_id} cannot be resumed", why=why, fix=fix)
        body = _as_pipeline(pipeline) if pipeline is not None else _imported(before)
        kept = read_arguments(self._runs.artifacts(run_id), self._artifacts.get, self._secret)
        args, kwargs = call_with(body, {**kept, **changes})
        return self._run(body, args, kwargs, before=before)

    def cancel(self, run_id: str) -> Run:
        """Stop a running pipeline, in whichever process it runs; what has finished is kept.

        Its process notices within two seconds: steps in worker processes are stopped, one that runs in its main thread
        is interrupted, and its run ends as `killed`.

        Raises:
            Conflict: It is not running.
        """
        return self._undertaker.cancel(self._runs.get(run_id.removeprefix("run:")))

    def end_the_dead(self) -> list[str]:
        """End as killed every pipeline's run whose process is gone, with its steps; return the ids of those runs.

        Every run and every resume of a pipeline does that first.
        """
        return self._undertaker.end_the_dead()

    def why(self, step: str, run_id: str | None = None) -> str:
        """Say why a step ran or was reused in a run, or in the newest pipeline run that called it.

        Raises:
            NotFound: That run, or no recent one, called a step of that name.
        """
        return reasons_of(step, self._runs, self.graph, run_id and run_id.removeprefix("run:"))

    def diff(self, one: str, two: str) -> list[Difference]:
        """Say which step calls of two runs differ, and why: those of the second against those of the first."""
        ids = [self._runs.get(run_id.removeprefix("run:")).id for run_id in (one, two)]
        return differences(self.graph(ids[0]), self.graph(ids[1]), self._steps.find_many)

    def recorded_call(
        self,
        step: str,
        run_id: str,
        pipeline: Pipeline[..., Any] | Callable[..., Any] | None = None,
        /,
        *,
        number: int | None = None,
    ) -> RecordedCall:
        """Find one step call of a run again, with the inputs it had, to make it anew: `.again()`, or `.debug()`.

        Args:
            step: The step's name.
            run_id: The run.
            pipeline: The pipeline, where it cannot be imported as it was.
            number: The call's place in the graph; the first that failed, or else the first, if not given.

        Raises:
            NotFound: The run made no such call.
            Conflict: The pipeline's code calls other steps by now.
        """
        run = self._runs.get(run_id.removeprefix("run:"))
        body = _as_pipeline(pipeline) if pipeline is not None else _imported(run)
        args, kwargs = call_with(body, read_arguments(self._runs.artifacts(run.id), self._artifacts.get, self._secret))
        return find_call(
            body,
            args,
            kwargs,
            step=step,
            number=number,
            nodes=self.graph(run.id),
            get=self._artifacts.get,
            secret=self._secret,
        )

    def verify(
        self, run_id: str, pipeline: Pipeline[..., Any] | Callable[..., Any] | None = None, /, *, share: float = 0.1
    ) -> tuple[Verified, ...]:
        """Make a share of a run's results again, in this thread, and compare them with what is kept.

        A result that comes out differently is marked, and reused no more.

        Args:
            run_id: The run.
            pipeline: The pipeline, where it cannot be imported as it was.
            share: How much of it, above 0 and up to 1; which calls these are differs from run to run.

        Raises:
            InvalidInput: The share makes no sense.
            Conflict: The pipeline's code calls other steps by now.
        """
        if not 0 < share <= 1:
            raise InvalidInput(f"share={share}", why="expected more than 0, and 1 at most", fix="share=0.1")
        run = self._runs.get(run_id.removeprefix("run:"))
        found = []
        for node in sample(self.graph(run.id), run.id, share):
            call = self.recorded_call(node.step, run.id, pipeline, number=node.node)
            kept = value_of(call.step, node, self._artifacts.get, self._secret)
            found.append(compared(node, kept, call.again()))
            if not found[-1].same:
                put_in_doubt(self._steps, found[-1], node.key)
        return tuple(found)

    def graph(self, run_id: str, *, after: int = 0) -> list[GraphNode]:
        """Return the graph of a pipeline's run as it stands, also while it runs.

        Args:
            run_id: The run.
            after: Only what changed since: the greatest `change` among the nodes that are known already.
        """
        return self._steps.nodes(run_id, after=after)

    def outcomes(self, run_id: str) -> tuple[StepOutcome, ...]:
        """Return what became of each step of a pipeline's run; while it runs, so far."""
        nodes = self._steps.nodes(run_id)
        if nodes:
            return tuple(outcome_of(node) for node in nodes)
        for entry in self._runs.artifacts(run_id):
            if entry.path == STEPS_FILE:
                return msgspec.json.decode(self._artifacts.get(entry.digest), type=tuple[StepOutcome, ...])
        return ()

    def _run(
        self, body: Pipeline[..., Any], args: Sequence[Any], kwargs: dict[str, Any], *, before: Run | None = None
    ) -> PipelineRun:
        bound = body.bind(args, kwargs)
        self._undertaker.end_the_dead()
        known = self._provenance()
        run = self._new_run(body, bound.arguments, known, before)
        session = RecordingSession(
            run,
            cache=self._steps,
            artifacts=self._artifacts,
            executor=self._executor,
            secret=self._secret,
            clock=self._clock,
            folder=self._folder,
            before=self._steps.nodes(before.id) if before is not None else (),
        )
        files = written_arguments(bound.arguments, self._secret)
        if known.diff:
            files[DIFF_FILE] = known.diff
        edges = input_edges(bound.arguments, f"run:{run.id}")
        if before is not None:
            edges.append(Edge(f"run:{before.id}", f"run:{run.id}", "resumed_by"))
        session.recorder.open(edges=edges, files=files)
        try:
            try:
                value = self._play(body, bound.args, bound.kwargs, session, run)
            except KeyboardInterrupt:
                session.check_cancelled()
                raise
        except Cancelled as error:
            session.abandon()
            self._close(session, "killed", error.what)
            raise
        except Exception as error:
            if not isinstance(error, StorageFull):
                session.finish()
            self._close(session, "failed", f"{type(error).__name__}: {error}")
            raise
        except BaseException:
            session.abandon()
            self._close(session, "killed", "interrupted")
            raise
        finally:
            session.recorder.give_up()
        ended = self._close(session, "finished")
        return PipelineRun(ended, value, session.outcomes())

    def _new_run(
        self, body: Pipeline[..., Any], arguments: dict[str, Any], known: Provenance, before: Run | None
    ) -> Run:
        tags = {PIPELINE_TAG: importable(body), RESUMES_TAG: before.id if before is not None else ""}
        return Run(
            id=new_id(),
            experiment=body.experiment,
            kind="pipeline",
            name=body.name,
            status="running",
            started_at=self._clock.now(),
            parent=active_run.get(),
            params=plain_params(arguments),
            tags={name: text for name, text in tags.items() if text},
            code=known.code,
            environment=known.environment,
            libraries=known.libraries,
        )

    def _play(self, body: Pipeline[..., Any], args: Any, kwargs: Any, session: RecordingSession, run: Run) -> Any:
        session_token, run_token = current_session.set(session), active_run.set(run.id)
        try:
            value = body.__wrapped__(*args, **kwargs)
            session.finish()
            error = session.first_error()
            if error is not None:
                raise error
            return force(value)
        finally:
            active_run.reset(run_token)
            current_session.reset(session_token)

    def _close(self, session: RecordingSession, status: RunStatus, error: str | None = None) -> Run:
        outcomes = session.outcomes()
        run = session.recorder.run
        blob = session.recorder.store(msgspec.json.encode(outcomes))
        ended = msgspec.structs.replace(run, status=status, ended_at=self._clock.now(), error=error)
        payload = {
            "pipeline": run.name,
            "executed": sum(outcome.executed for outcome in outcomes),
            "reused": sum(outcome.reused for outcome in outcomes),
            "failed": sum(outcome.error is not None for outcome in outcomes),
        }
        entry = ArtifactEntry(STEPS_FILE, blob.digest, blob.size_bytes)
        session.recorder.close(
            StepEnd(ended, artifacts=(entry,), edges=session.reuse_edges()),
            Occurrence(f"pipeline.{status}", f"run:{run.id}", payload),
        )
        return self._runs.get(run.id)


def _as_pipeline(pipeline: Pipeline[..., Any] | Callable[..., Any]) -> Pipeline[..., Any]:
    return pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline, name=None, experiment=None)


def _imported(run: Run) -> Pipeline[..., Any]:
    target = run.tags.get(PIPELINE_TAG)
    if not target:
        raise InvalidInput(
            f"the pipeline of run:{run.id} cannot be imported",
            why="it was defined in a notebook or within a function",
            fix=f"pipelines.resume('{run.id}', {run.name})",
        )
    return load_pipeline(target)
