"""Run the body of a pipeline: start steps as their inputs become known, record each, reuse what is known."""

from __future__ import annotations

import _thread
import heapq
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from interlock.core.clock import Clock
from interlock.core.errors import Cancelled, InterlockError
from interlock.pipelines.lazy import Lazy, lazies_in, substitute
from interlock.pipelines.looking_up import LookUp
from interlock.pipelines.needs import resources_of
from interlock.pipelines.nodes import Node, Shelf, failed_source, node_of
from interlock.pipelines.outcomes import StepOutcome
from interlock.pipelines.performing import Performed, setting_for, was_lost
from interlock.pipelines.planning import Planner
from interlock.pipelines.recording import Recorder
from interlock.pipelines.reuse import placed
from interlock.pipelines.settling import Settler
from interlock.pipelines.step_entries import start_of, step_failed
from interlock.pipelines.steps import Step
from interlock.pipelines.travelling import Carrier, perform_carried
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.executor import Call, Executor
from interlock.ports.journal import Edge
from interlock.ports.run_store import Run
from interlock.ports.step_cache import GraphNode, StepCache, StepRecord

_MOST_AT_ONCE = 256
_QUICK_S = 0.02
_FIRST_POLL_S, _LONGEST_POLL_S = 0.02, 0.5


class RecordingSession:
    """One recorded run of a pipeline.

    Everything but the steps themselves happens in the thread that runs the body, whenever that thread calls a
    step or waits for one; so no bookkeeping is shared between threads. Step calls are looked up and started in groups,
    which grow as long as that goes fast: of a thousand calls in a row the first starts at once.

    Args:
        run: The pipeline's run.
        cache: Where reusable outputs are looked up, and where the run is recorded.
        artifacts: Where outputs are kept.
        executor: Where steps run.
        secret: Signs pickled outputs.
        clock: Tells the time.
        folder: Where steps keep checkpoints and live logs; None for nowhere.
        before: The graph of the run that this one resumes, if it does.
    """

    def __init__(
        self,
        run: Run,
        *,
        cache: StepCache,
        artifacts: ArtifactStore,
        executor: Executor,
        secret: bytes,
        clock: Clock,
        folder: Path | None = None,
        before: Sequence[GraphNode] = (),
    ) -> None:
        self.groups: Counter[str] = Counter()
        self.recorder = Recorder(
            run, steps=cache, artifacts=artifacts, clock=clock, on_cancel=self._wake_up, on_lost=self._lose
        )
        self._run = run
        self._executor = executor
        self._secret = secret
        self._clock = clock
        self._folder = folder
        self._planner = Planner(cache)
        self._look_up = LookUp(cache, artifacts, clock, before)
        self._carrier = Carrier(artifacts, secret)
        self._settler = Settler(self.recorder, clock=clock, secret=secret, folder=folder, shelf=Shelf())
        self._nodes: dict[Node, None] = {}
        self._ready: deque[Node] = deque()
        self._due: list[tuple[int, int, Node]] = []
        self._in_flight: dict[Node, Future[Performed] | None] = {}
        self._elsewhere: dict[Node, str] = {}
        self._by_key: dict[str, Node] = {}
        self._by_run: dict[str, Node] = {}
        self._finished: SimpleQueue[tuple[Node, Future[Performed]] | None] = SimpleQueue()
        self._group = 1
        self._poll_s = _FIRST_POLL_S
        self._thread = threading.current_thread()
        self._is_inside = False

    def call(self, step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Lazy:
        """Take in one step call; it starts soon if its inputs are known."""
        bound = step.bind(args, kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = substitute(value, self._own)
        sources = {found: None for lazy in lazies_in(list(bound.arguments.values())) if (found := node_of(lazy))}
        node = Node(step, bound, len(self._nodes), tuple(source.number for source in sources))
        self._nodes[node] = None
        for source in sources:
            if not source.done:
                source.dependents.append(node)
                node.pending += 1
        if node.pending == 0:
            self._ready.append(node)
        else:
            self.recorder.show((node.in_graph(),))
        self._advance()
        return Lazy(lambda: self._value(node), node, part=lambda field: self._value(node, field))

    def finish(self) -> None:
        """Wait until every step call has an output or an error."""
        self._advance(everything=True)
        while self._in_flight or self._elsewhere:
            self._wait()
            self._advance(everything=True)
        self.recorder.flush()

    def abandon(self) -> None:
        """Stop the steps that run, and record them as killed; what has ended stays."""
        for node, future in self._in_flight.items():
            if future is not None:
                future.cancel()
            self._settler.kill(node, "the pipeline was interrupted")
        self._in_flight.clear()
        for node in self._nodes:
            if not node.done and node.status == "waiting":
                node.status, node.reason = "cancelled", "not run: the pipeline was interrupted"
                self.recorder.show((node.in_graph(),))

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if another process asked for that."""
        if self.recorder.cancelled:
            raise Cancelled(
                f"run:{self._run.id} was cancelled",
                why="another process asked for it; what had finished is kept",
                fix=f"interlock pipeline resume run:{self._run.id}",
            )

    def outcomes(self) -> tuple[StepOutcome, ...]:
        """Return what became of every step call so far, in the order they were made."""
        return tuple(node.outcome() for node in self._nodes)

    def reuse_edges(self) -> tuple[Edge, ...]:
        """Return an edge to the pipeline's run from every earlier run whose output it reused."""
        sources = dict.fromkeys(node.run_id for node in self._nodes if node.reused and node.run_id not in self._by_run)
        return tuple(Edge(f"run:{source}", f"run:{self._run.id}", "reused_by") for source in sources)

    def first_error(self) -> InterlockError | None:
        """Return the error of the first step call that failed, if any did."""
        return next((node.error for node in self._nodes if node.error is not None), None)

    def _own(self, lazy: Lazy) -> Any:
        """Keep a lazy value of this run; take the value of one that came from elsewhere."""
        return lazy if node_of(lazy) in self._nodes else lazy.value

    def _value(self, node: Node, field: str = "") -> Any:
        if not node.done:
            self._advance(everything=True)
        while not node.done:
            self._wait()
            self._advance(everything=True)
        return node.value(self.recorder.content, self._secret, self._settler.shelf, field)

    def _advance(self, *, everything: bool = False) -> None:
        """Look up and start what is ready and take in what has finished, without waiting.

        Args:
            everything: Whether also the calls that would rather wait for more to be looked up with.
        """
        while True:
            self._take_in_finished()
            if self._ready and (everything or len(self._ready) >= self._group or self._has_room()):
                began = time.perf_counter()
                self._look_up_ready()
                self._start_due()
                self._learn(time.perf_counter() - began)
            elif self._due and self._room() > 0:
                began = time.perf_counter()
                self._start_due()
                self._learn(time.perf_counter() - began)
            elif self._finished.empty():
                return

    def _learn(self, took_s: float) -> None:
        """Have the next group be larger if this one went fast, since then nobody waits for it."""
        self._group = min(2 * self._group, _MOST_AT_ONCE) if took_s < _QUICK_S else 1

    def _has_room(self) -> bool:
        return bool(self._in_flight) and self._room() > 0

    def _room(self) -> int:
        """Return how many more steps may be started."""
        if not self._in_flight:
            return self._group
        return 2 * self._executor.slots - len(self._in_flight)

    def _look_up_ready(self) -> None:
        planned: list[Node] = []
        while self._ready and len(planned) < _MOST_AT_ONCE:
            node = self._ready.popleft()
            if self._is_planned(node):
                planned.append(node)
        for node, record in zip(planned, self._look_up.ask(planned), strict=True):
            if record is not None:
                self._reuse(node, record)
            else:
                heapq.heappush(self._due, (-node.step.config.priority, node.number, node))

    def _is_planned(self, node: Node) -> bool:
        """Plan a call; say whether it is one to look up now."""
        failed = failed_source(node)
        if failed is not None:
            node.status, node.reason = "skipped", f"not run: step '{failed.step.name}' failed"
            self._resolve(node, error=failed.error)
            return False
        try:
            node.plan = self._planner.plan(node.step, node.identified())
        except InterlockError as error:
            self._fail(node, error)
            return False
        if node.step.cache:
            twin = self._by_key.setdefault(node.plan.key, node)
            if twin is not node and not twin.done:
                twin.dependents.append(node)
                node.pending += 1
                return False
            self._by_key[node.plan.key] = node
        return True

    def _reuse(self, node: Node, record: StepRecord) -> None:
        node.reused, node.run_id, node.status = True, record.run, "reused"
        self._resolve(node, record=record)

    def _start_due(self) -> None:
        """Start calls of the highest priority, as many as there is room for."""
        group: list[Node] = []
        room = self._room()
        while self._due and len(group) < min(room, _MOST_AT_ONCE):
            _, _, node = heapq.heappop(self._due)
            try:
                node.reason = node.reason or self._planner.reason(node.step, node.plan)  # type: ignore[arg-type]
                node.call = self._call_of(node)
                group.append(node)
            except InterlockError as error:
                self._fail(node, error)
        if not group:
            return
        starts = [start_of(node, self._run, self._clock.now()) for node in group]
        for node in group:
            assert node.run is not None
            node.run_id, node.status = node.run.id, "running"
            self._by_run[node.run_id] = node
        told = self.recorder.begin(starts, [node.in_graph() for node in group])
        known = {record.key for record in told.standing}
        begun = []
        for node in group:
            name = node.verdict.key if node.step.cache else ""
            if name in known or name in told.held:
                self._stand_back(node, told.held.get(name))
            else:
                begun.append(node)
                self._in_flight[node] = None
        for node in begun:
            self._execute(node)

    def _stand_back(self, node: Node, holder: str | None) -> None:
        """Have a call wait that another process executes, or look up again what one has just recorded."""
        self._by_run.pop(node.run_id, None)
        node.run, node.run_id, node.status, node.call = None, "", "waiting", None
        if holder is None:
            self._ready.append(node)
        else:
            node.reason = f"waiting: run {holder.rpartition('/')[2]} computes the same"
            self._elsewhere[node] = holder
            self.recorder.show((node.in_graph(),))

    def _call_of(self, node: Node) -> Call:
        assert node.plan is not None
        arguments = self._carrier.arguments(node)
        return Call(
            perform_carried,
            (self._carrier, node.plan.code.symbols, node.step, arguments.args, arguments.kwargs),
            name=node.step.name,
            resources=resources_of(node.step.config, self._folder),
            priority=node.step.config.priority,
            expected_s=self._planner.expected_s(node.step),
        )

    def _execute(self, node: Node) -> None:
        assert node.plan is not None and node.call is not None
        call, node.call = node.call, None
        try:
            setting = setting_for(node.step, key=node.plan.key, folder=self._folder)
            self._is_inside = True
            future = self._executor.start(
                Call(
                    call.function,
                    (*call.args, node.run_id, setting),
                    name=call.name,
                    resources=call.resources,
                    priority=call.priority,
                    expected_s=call.expected_s,
                )
            )
        except InterlockError as error:
            self._fail(node, error)
            return
        finally:
            self._is_inside = False
        self._in_flight[node] = future
        future.add_done_callback(lambda done: self._finished.put((node, done)))

    def _take_in_finished(self) -> None:
        while True:
            try:
                item = self._finished.get_nowait()
            except Empty:
                break
            if item is not None:
                self._settle(*item)
        self.check_cancelled()

    def _wait(self) -> None:
        """Wait until a step has ended, or it is time to see whether another process has done with one."""
        try:
            item = self._finished.get(timeout=self._poll_s if self._elsewhere else None)
        except Empty:
            self._poll_s = min(2 * self._poll_s, _LONGEST_POLL_S)
            waiting, self._elsewhere = self._elsewhere, {}
            self._settler.take_over(waiting)
            self._ready.extend(waiting)
            return
        if item is not None:
            self._settle(*item)
        self.check_cancelled()

    def _wake_up(self) -> None:
        """Have the pipeline's thread notice that it was cancelled; interrupt a step that runs inside it."""
        self._finished.put(None)
        if self._is_inside and self._thread is threading.main_thread():
            # as Ctrl-C does: a real signal also ends waiting for a lock or a socket
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                _thread.interrupt_main()

    def _settle(self, node: Node, future: Future[Performed]) -> None:
        if self._in_flight.pop(node, None) is None:
            return
        self._poll_s = _FIRST_POLL_S
        try:
            error = future.exception()
            if error is not None and was_lost(error) and node.losses < node.step.config.retries:
                node.losses += 1
                node.call, self._in_flight[node] = self._call_of(node), None
                self._execute(node)
            elif error is not None:
                self._fail(node, error)
            else:
                made = self._settler.record(node, future.result())
                self._look_up.add(placed(made, node.verdict))
                self._resolve(node, record=made)
        except InterlockError as refusal:
            self._fail(node, refusal)

    def _fail(self, node: Node, error: BaseException) -> None:
        """Give a node its error, and record it where its run had begun."""
        self._in_flight.pop(node, None)
        node.status = "failed"
        node.reason = node.reason or "not run: its inputs could not be read"
        if node.run_id:
            node.error = step_failed(node, error)
            self._settler.fail(node, error)
        else:
            node.error = error if isinstance(error, InterlockError) else step_failed(node, error)
        self._resolve(node, error=node.error)

    def _lose(self, run_id: str, error: InterlockError) -> None:
        """Have a step fail whose output could not be stored, after it ended."""
        node = self._by_run[run_id]
        node.status, node.error = "failed", step_failed(node, error)
        self.recorder.show((node.in_graph(),))

    def _resolve(self, node: Node, *, record: StepRecord | None = None, error: InterlockError | None = None) -> None:
        node.record, node.error = record, error
        if record is not None:
            node.find_parts(self.recorder.content)
        self.recorder.show((node.in_graph(),))
        for dependent in node.dependents:
            dependent.pending -= 1
            if dependent.pending == 0:
                self._ready.append(dependent)
