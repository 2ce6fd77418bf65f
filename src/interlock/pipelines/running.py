"""Run the body of a pipeline: start steps as their inputs become known, record each, reuse what is known."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from interlock.core.clock import Clock
from interlock.core.errors import InterlockError, StepFailed
from interlock.core.hashing import digest_of_value
from interlock.core.ids import new_id
from interlock.pipelines.lazy import Lazy, lazies_in, substitute
from interlock.pipelines.lineage import artifact_ref, input_edges, plain_params
from interlock.pipelines.nodes import Node, node_of
from interlock.pipelines.outcomes import StepOutcome
from interlock.pipelines.performing import Performed, perform
from interlock.pipelines.planning import Planner
from interlock.pipelines.reasons import reason_to_reuse
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import seal
from interlock.pipelines.value_keys import short
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.executor import Executor
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunStatus, RunStore
from interlock.ports.step_cache import StepCache, StepRecord

_OUTPUT = "output"


class RecordingSession:
    """One recorded run of a pipeline.

    Everything but the steps themselves happens in the thread that runs the body, whenever that thread calls a
    step or waits for one; so no bookkeeping is shared between threads.

    Args:
        run: The pipeline's run.
        runs: Where step runs are recorded.
        cache: Where reusable outputs are looked up.
        artifacts: Where outputs are kept.
        executor: Where steps run.
        secret: Signs pickled outputs.
        clock: Tells the time.
    """

    def __init__(
        self,
        run: Run,
        *,
        runs: RunStore,
        cache: StepCache,
        artifacts: ArtifactStore,
        executor: Executor,
        secret: bytes,
        clock: Clock,
    ) -> None:
        self._run = run
        self._runs = runs
        self._cache = cache
        self._artifacts = artifacts
        self._executor = executor
        self._secret = secret
        self._clock = clock
        self._planner = Planner(cache)
        self._nodes: dict[Node, None] = {}
        self._ready: deque[Node] = deque()
        self._in_flight: dict[Node, None] = {}
        self._by_key: dict[str, Node] = {}
        self._finished: SimpleQueue[tuple[Node, Future[Performed]]] = SimpleQueue()

    def call(self, step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Lazy:
        """Take in one step call; it starts at once if its inputs are known."""
        bound = step.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            bound.arguments[name] = substitute(value, self._own)
        node = Node(step, bound)
        self._nodes[node] = None
        sources = {found for lazy in lazies_in(list(bound.arguments.values())) if (found := node_of(lazy))}
        for source in sources:
            if not source.done:
                source.dependents.append(node)
                node.pending += 1
        if node.pending == 0:
            self._ready.append(node)
        self._advance()
        return Lazy(lambda: self._value(node), node)

    def finish(self) -> None:
        """Wait until every step call has an output or an error."""
        self._advance()
        while self._in_flight:
            self._settle(*self._finished.get())
            self._advance()

    def abandon(self) -> None:
        """Record the steps still running as killed, without waiting for them."""
        for node in self._in_flight:
            self._end(node, "killed", "the pipeline was interrupted")
        self._in_flight.clear()

    def outcomes(self) -> tuple[StepOutcome, ...]:
        """Return what became of every step call so far, in the order they were made."""
        return tuple(node.outcome() for node in self._nodes)

    def reuse_edges(self) -> tuple[Edge, ...]:
        """Return an edge to the pipeline's run from every earlier run whose output it reused."""
        sources = dict.fromkeys(node.run_id for node in self._nodes if node.reused)
        return tuple(Edge(f"run:{source}", f"run:{self._run.id}", "reused_by") for source in sources)

    def first_error(self) -> InterlockError | None:
        """Return the error of the first step call that failed, if any did."""
        return next((node.error for node in self._nodes if node.error is not None), None)

    def _own(self, lazy: Lazy) -> Any:
        """Keep a lazy value of this run; take the value of one that came from elsewhere."""
        return lazy if node_of(lazy) in self._nodes else lazy.value

    def _value(self, node: Node) -> Any:
        while not node.done:
            self._settle(*self._finished.get())
            self._advance()
        return node.value(self._artifacts, self._secret)

    def _start(self, node: Node) -> None:
        failed = self._failed_source(node)
        if failed is not None:
            node.reason = f"not run: step '{failed.step.name}' failed"
            self._resolve(node, error=failed.error)
            return
        try:
            self._reuse_or_execute(node)
        except InterlockError as error:
            self._fail(node, error)

    def _reuse_or_execute(self, node: Node) -> None:
        node.plan = self._planner.plan(node.step, node.identified())
        twin = self._by_key.get(node.plan.key)
        if twin is not None and not twin.done and node.step.cache:
            twin.dependents.append(node)
            node.pending += 1
            return
        record = self._cache.find(node.plan.key) if node.step.cache else None
        if record is not None and self._artifacts.find(record.output) is None:
            node.reason = self._planner.reason(node.step, node.plan)
            self._cache.delete(record.key)
            record = None
        if record is not None:
            node.reused, node.run_id, node.reason = True, record.run, reason_to_reuse(record)
            self._resolve(node, record=record)
        else:
            self._execute(node)

    def _execute(self, node: Node) -> None:
        assert node.plan is not None
        node.reason = node.reason or self._planner.reason(node.step, node.plan)
        arguments = node.resolved()
        run_id = new_id()
        self._runs.create(
            Run(
                id=run_id,
                experiment=self._run.experiment,
                kind="step",
                name=node.step.name,
                status="running",
                started_at=self._clock.now(),
                parent=self._run.id,
                params=plain_params(node.bound.arguments),
                tags={"step": node.step.full_name, "reason": node.reason},
                code={"key": node.plan.key, "symbols": digest_of_value(node.plan.code.symbols)},
                libraries=node.plan.code.libraries,
            ),
            edges=input_edges(node.bound.arguments, f"run:{run_id}"),
        )
        node.run_id = run_id
        self._by_key[node.plan.key] = node
        self._in_flight[node] = None
        future = self._executor.submit(perform, node.step, arguments.args, arguments.kwargs, run_id)
        future.add_done_callback(lambda done: self._finished.put((node, done)))

    def _advance(self) -> None:
        """Start what is ready and take in what has finished, without waiting."""
        while True:
            if self._ready:
                self._start(self._ready.popleft())
                continue
            try:
                self._settle(*self._finished.get_nowait())
            except Empty:
                return

    def _settle(self, node: Node, future: Future[Performed]) -> None:
        self._in_flight.pop(node)
        error = future.exception()
        try:
            if error is not None:
                self._fail(node, error)
            else:
                self._record(node, future.result())
        except InterlockError as refusal:
            self._fail(node, refusal)

    def _record(self, node: Node, performed: Performed) -> None:
        assert node.plan is not None
        blob = self._artifacts.put(seal(performed.stored, self._secret))
        ref = f"run:{node.run_id}"
        self._runs.log(
            node.run_id,
            RunBatch(
                tags={"attempts": str(performed.attempts)} if performed.attempts > 1 else {},
                artifacts=(ArtifactEntry(f"{_OUTPUT}.{performed.stored.form}", blob.digest, blob.size_bytes),),
                edges=(Edge(ref, artifact_ref(blob.digest), "produced"),),
            ),
        )
        self._runs.end(node.run_id, status="finished", ended_at=self._clock.now())
        made = StepRecord(
            key=node.plan.key,
            step=node.step.full_name,
            run=node.run_id,
            created_at=self._clock.now(),
            duration_s=performed.duration_s,
            symbols=node.plan.code.symbols,
            inputs=node.plan.inputs,
            libraries=node.plan.code.libraries,
            output=blob.digest,
            output_form=performed.stored.form,
            shown=node.plan.shown,
        )
        standing = self._cache.put(made) if node.step.cache else made
        if standing.output == made.output:
            node.keep(performed.stored)
        self._resolve(node, record=standing)

    def _fail(self, node: Node, error: BaseException) -> None:
        """Give a node its error, and record it where its run had begun."""
        self._in_flight.pop(node, None)
        if node.run_id:
            self._end(node, "failed", "".join(traceback.format_exception(error)))
            failure: InterlockError = _step_failed(node, error)
        else:
            failure = error if isinstance(error, InterlockError) else _step_failed(node, error)
        node.reason = node.reason or "not run: its inputs could not be read"
        self._resolve(node, error=failure)

    def _end(self, node: Node, status: RunStatus, error: str) -> None:
        self._runs.end(node.run_id, status=status, ended_at=self._clock.now(), error=error)

    def _resolve(self, node: Node, *, record: StepRecord | None = None, error: InterlockError | None = None) -> None:
        node.record, node.error = record, error
        for dependent in node.dependents:
            dependent.pending -= 1
            if dependent.pending == 0:
                self._ready.append(dependent)

    def _failed_source(self, node: Node) -> Node | None:
        for lazy in lazies_in(list(node.bound.arguments.values())):
            source = node_of(lazy)
            if source is not None and source.error is not None:
                return source
        return None


def _step_failed(node: Node, error: BaseException) -> StepFailed:
    given = ", ".join(f"{name}={short(value) or 'lazy'}" for name, value in _shown(node).items())
    failure = StepFailed(
        f"step '{node.step.name}' failed on {given or 'no arguments'}",
        why=f"{type(error).__name__}: {error.what if isinstance(error, InterlockError) else error}",
        fix=f"call it by itself to debug it: {node.step.__qualname__}(...)",
    )
    failure.__cause__ = error
    return failure


def _shown(node: Node) -> dict[str, Any]:
    return {name: substitute(value, _output_name) for name, value in node.bound.arguments.items()}


def _output_name(lazy: Lazy) -> str:
    source = node_of(lazy)
    return f"output of {source.step.name}" if source else "lazy"
