"""Port: what steps produced before, by the key of everything that went into them, and how pipelines stand.

A pipeline's run writes in groups: what ended, what begins, and how its graph stands, in one transaction.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, Run

NodeStatus = Literal["waiting", "running", "finished", "reused", "failed", "skipped", "cancelled", "killed"]
"""How a step call stands: `skipped` if one that it needs failed, `killed` if its process died under it."""


class Touched(msgspec.Struct, frozen=True):
    """A thing that a step read without being given it, and what it was like then.

    Args:
        name: `file:<path>`, `folder:<path>` (its names), `tree:<path>` (its files) or `env:<variable>`.
        state: Digest of its content, or `absent`.
        stamp: What the file system said of a file: inode, size, times; empty where that proves nothing.
    """

    name: str
    state: str
    stamp: str = ""


class StepRecord(msgspec.Struct, frozen=True):
    """One execution of a step that may be reused.

    Args:
        key: Hash of code, inputs, parameters and libraries.
        step: Qualified name of the step.
        run: Id of the run that executed it.
        created_at: When it was executed.
        duration_s: How long it took.
        symbols: Each function, constant and class it depends on, to the hash of its meaning.
        inputs: Each argument, to the digest of its value.
        libraries: Each distribution it really refers to, with its version.
        output: Digest of the stored output.
        output_form: How the output is stored (`arrow`, `msgpack`, `skops`, …).
        shown: Short readable values of constants and arguments, so that a change can be named.
        touched: What it read besides its inputs; the output may be reused only where all of it is as it was.
        doubts: Why executing it again might give something else: `clock: time.time in features.load (features.py:9)`.
    """

    key: str
    step: str
    run: str
    created_at: datetime
    duration_s: float
    symbols: dict[str, str]
    inputs: dict[str, str]
    libraries: dict[str, str]
    output: str
    output_form: str
    shown: dict[str, str] = {}
    touched: tuple[Touched, ...] = ()
    doubts: tuple[str, ...] = ()


class GraphNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step call of a pipeline's run, as it stands: a node of its graph, with the edges that lead to it.

    Args:
        node: Its place among the calls of the run, from 0; its id within the graph.
        step: The step's name.
        status: How it stands.
        inputs: The nodes whose outputs it takes, in order: the edges of the graph.
        group: The pipelines inside this one that called it, as a path (`features/clean/`); empty for none.
        key: Its cache key, once its inputs are known.
        run: Id of the run that executed it, now or (if reused) then.
        reason: Why it ran, was reused or was not run.
        started_at: When it began, in seconds since 1970 UTC; 0 if it did not.
        duration_s: How long the execution took, now or then.
        error: Why it failed or was not run, if so.
        output: Digest of its stored output, once it has one.
        output_form: How that is stored.
        change: In which write to the graph it changed last, from 1; who follows asks for those after the last seen.
    """

    node: int
    step: str
    status: NodeStatus
    inputs: tuple[int, ...] = ()
    group: str = ""
    key: str = ""
    run: str = ""
    reason: str = ""
    started_at: float = 0.0
    duration_s: float = 0.0
    error: str | None = None
    output: str = ""
    output_form: str = ""
    change: int = 0


class Claim(msgspec.Struct, frozen=True):
    """The right to compute something, so that others wait for it instead of doing it too.

    Args:
        name: What it is the right to: a cache key, or `run:<id>` for the right to go on with a pipeline's run.
        holder: Who has it.
        expires_at: When it lapses unless taken again.
    """

    name: str
    holder: str
    expires_at: datetime


class StepStart(msgspec.Struct, frozen=True):
    """A run that begins.

    Args:
        run: Its record, `running`.
        edges: What leads to it; an empty target is the run.
        claim: What its writer must have the right to for it to begin; empty for nothing.
        artifacts: Files that it has from the beginning.
    """

    run: Run
    edges: tuple[Edge, ...] = ()
    claim: str = ""
    artifacts: tuple[ArtifactEntry, ...] = ()


class StepEnd(msgspec.Struct, frozen=True):
    """A run that ends.

    Args:
        run: Its record as it ended; of what it was created with, only its end and its error may differ.
        artifacts: Its files.
        edges: What leads to and from it; an empty target is the run.
        tags: Tags that it got at its end.
        record: What may be reused, if anything.
    """

    run: Run
    artifacts: tuple[ArtifactEntry, ...] = ()
    edges: tuple[Edge, ...] = ()
    tags: dict[str, str] = {}
    record: StepRecord | None = None


class Occurrence(msgspec.Struct, frozen=True):
    """An event to tell of."""

    kind: str
    subject: str
    payload: dict[str, Any] = {}


class Advance(msgspec.Struct, frozen=True):
    """How far a pipeline's run has come since its last write; all of it is written, or none.

    Args:
        pipeline: Id of the pipeline's run.
        holder: Who writes; what it claims is its.
        now: The present.
        ttl_s: How long what it claims stays its, unless claimed again, in seconds.
        ends: Runs that end, in order.
        starts: Runs that begin, in order, each only if its claim can be had and no record stands for it.
        nodes: Nodes of the graph that changed.
        free: Claims given back.
        told: Events to tell, after all else.
    """

    pipeline: str
    holder: str
    now: datetime
    ttl_s: float = 30.0
    ends: tuple[StepEnd, ...] = ()
    starts: tuple[StepStart, ...] = ()
    nodes: tuple[GraphNode, ...] = ()
    free: tuple[str, ...] = ()
    told: tuple[Occurrence, ...] = ()


class Advanced(msgspec.Struct, frozen=True):
    """What a write met.

    Args:
        standing: Records that stood before for what ended or was to begin; the runs that were to begin did not.
        held: What was to be claimed and is another's, with the holder; the runs that wanted it did not begin.
    """

    standing: tuple[StepRecord, ...] = ()
    held: dict[str, str] = {}


class StepCache(Protocol):
    """Step records, every version kept, and the graphs of pipelines' runs.

    Thread-safe and process-safe. The first record of a key stands and is returned, so of two concurrent runs of one
    step both get the same output. A claim is one holder's at a time until it lapses, is freed, or is taken over.

    Events: of `advance`, those of the run store (`run.started`, `run.finished`, …) and those it is told.
    """

    @abstractmethod
    def find(self, key: str) -> StepRecord | None:
        """Return the record of a key or None."""

    @abstractmethod
    def find_many(self, keys: Sequence[str]) -> list[StepRecord]:
        """Return the records of those keys that have one, in no order."""

    @abstractmethod
    def put(self, record: StepRecord) -> StepRecord:
        """Store a record; return the one that stands for its key."""

    @abstractmethod
    def history(self, step: str, *, limit: int = 20) -> list[StepRecord]:
        """List the records of a step, newest first."""

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Forget a record; return whether it was there."""

    @abstractmethod
    def advance(self, advance: Advance) -> Advanced:
        """Write how far a pipeline's run has come, in one transaction.

        A run that is to begin and is there already is left as it is, and so is one that is to end and is not running.

        Raises:
            NotFound: The parent of a run that begins is unknown.
            Conflict: Its experiment is deleted.
        """

    @abstractmethod
    def nodes(self, pipeline: str, *, after: int = 0) -> list[GraphNode]:
        """List the nodes of a pipeline's run that changed after a change, by node; also while it runs."""

    @abstractmethod
    def claim(
        self, names: Sequence[str], *, holder: str, ttl_s: float, now: datetime, over: str | None = None
    ) -> list[Claim]:
        """Take or renew claims, also those of the holder `over`; return all that stand for the names, whoever's."""

    @abstractmethod
    def claims(self, names: Sequence[str]) -> list[Claim]:
        """Return the claims that were last taken on some names, lapsed or not, in no order."""
