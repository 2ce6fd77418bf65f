"""Run pipelines so that everything is recorded, and nothing that is known is computed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import msgspec

from interlock.core.active_run import active_run
from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import NotFound, did_you_mean
from interlock.core.ids import new_id
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.lazy import force
from interlock.pipelines.lineage import input_edges, plain_params
from interlock.pipelines.outcomes import STEPS_FILE, PipelineRun, StepOutcome
from interlock.pipelines.running import RecordingSession
from interlock.pipelines.sessions import current_session
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.executor import Executor
from interlock.ports.journal import Journal
from interlock.ports.run_store import (
    DIFF_FILE,
    ArtifactEntry,
    Provenance,
    Run,
    RunBatch,
    RunFilter,
    RunStatus,
    RunStore,
)
from interlock.ports.step_cache import StepCache

P = ParamSpec("P")
R = TypeVar("R")

_RUNS_SEARCHED = 50


class Pipelines:
    """The pipelines of a workspace.

    Args:
        runs: Where runs are recorded.
        steps: Where reusable outputs are looked up.
        artifacts: Where outputs are kept.
        journal: Where it is written how much of a run was reused (`pipeline.finished`, `pipeline.failed`, …).
        executor: Where steps run.
        secret: The workspace's secret, which signs pickled outputs.
        clock: Tells the time.
        provenance: Says under which code a run happens; nothing is noted if not given.
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
    ) -> None:
        self._provenance = provenance
        self._runs = runs
        self._steps = steps
        self._artifacts = artifacts
        self._journal = journal
        self._executor = executor
        self._secret = secret
        self._clock = clock or SystemClock()

    def run(self, pipeline: Pipeline[P, R] | Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> PipelineRun:
        """Run a pipeline and return its record, its value and what became of each step.

        Raises:
            StepFailed: A step raised. The steps that did not need its output have run, and theirs are kept.
        """
        body = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline, name=None, experiment=None)
        bound = body.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        run = self._begin(body, bound.arguments)
        session = RecordingSession(
            run,
            runs=self._runs,
            cache=self._steps,
            artifacts=self._artifacts,
            executor=self._executor,
            secret=self._secret,
            clock=self._clock,
        )
        try:
            value = self._play(body, bound.args, bound.kwargs, session, run)
        except Exception as error:
            session.finish()
            self._close(run, session, "failed", f"{type(error).__name__}: {error}")
            raise
        except BaseException:
            session.abandon()
            self._close(run, session, "killed", "interrupted")
            raise
        return PipelineRun(self._close(run, session, "finished"), value, session.outcomes())

    def why(self, step: str) -> str:
        """Say why a step ran or was reused in the newest pipeline run that called it.

        Raises:
            NotFound: No recent pipeline run called a step of that name.
        """
        known: set[str] = set()
        for run in self._runs.runs(where=RunFilter(kind="pipeline"), limit=_RUNS_SEARCHED):
            outcomes = self.outcomes(run.id)
            reasons = Counter(outcome.reason for outcome in outcomes if outcome.step == step)
            if reasons:
                return "\n".join(f"{text} (× {count})" if count > 1 else text for text, count in reasons.items())
            known.update(outcome.step for outcome in outcomes)
        raise NotFound(f"no pipeline has run a step '{step}'", why=did_you_mean(step, known))

    def outcomes(self, run_id: str) -> tuple[StepOutcome, ...]:
        """Return what became of each step of a pipeline's run; nothing while it runs."""
        for entry in self._runs.artifacts(run_id):
            if entry.path == STEPS_FILE:
                return msgspec.json.decode(self._artifacts.get(entry.digest), type=tuple[StepOutcome, ...])
        return ()

    def _begin(self, body: Pipeline[P, R], arguments: dict[str, Any]) -> Run:
        run_id = new_id()
        known = self._provenance()
        run = self._runs.create(
            Run(
                id=run_id,
                experiment=body.experiment,
                kind="pipeline",
                name=body.name,
                status="running",
                started_at=self._clock.now(),
                parent=active_run.get(),
                params=plain_params(arguments),
                code=known.code,
                environment=known.environment,
                libraries=known.libraries,
            ),
            edges=input_edges(arguments, f"run:{run_id}"),
        )
        if known.diff:
            blob = self._artifacts.put(known.diff)
            entry = ArtifactEntry(DIFF_FILE, blob.digest, blob.size_bytes)
            self._runs.log(run_id, RunBatch(artifacts=(entry,)))
        return run

    def _play(self, body: Pipeline[P, R], args: Any, kwargs: Any, session: RecordingSession, run: Run) -> Any:
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

    def _close(self, run: Run, session: RecordingSession, status: RunStatus, error: str | None = None) -> Run:
        outcomes = session.outcomes()
        blob = self._artifacts.put(msgspec.json.encode(outcomes))
        entry = ArtifactEntry(STEPS_FILE, blob.digest, blob.size_bytes)
        self._runs.log(run.id, RunBatch(artifacts=(entry,), edges=session.reuse_edges()))
        ended = self._runs.end(run.id, status=status, ended_at=self._clock.now(), error=error)
        payload = {
            "pipeline": run.name,
            "executed": sum(outcome.executed for outcome in outcomes),
            "reused": sum(outcome.reused for outcome in outcomes),
            "failed": sum(outcome.error is not None for outcome in outcomes),
        }
        self._journal.append(f"pipeline.{status}", f"run:{run.id}", payload=payload)
        return ended
