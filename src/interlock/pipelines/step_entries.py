"""Say of one step call what is written of it: the run that begins and ends, and its node of the graph."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from datetime import datetime

import msgspec

from interlock.core.errors import InterlockError, StepFailed
from interlock.core.hashing import digest_of_value
from interlock.core.ids import new_id
from interlock.pipelines.lineage import artifact_ref, input_edges, plain_params
from interlock.pipelines.nodes import Node, shown_arguments
from interlock.pipelines.performing import Performed
from interlock.pipelines.value_keys import short
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, Run, RunStatus
from interlock.ports.step_cache import StepEnd, StepRecord, StepStart


def start_of(node: Node, pipeline: Run, now: datetime) -> StepStart:
    """Give a node its run, and return how that begins."""
    assert node.plan is not None
    node.run = Run(
        id=new_id(),
        experiment=pipeline.experiment,
        kind="step",
        name=node.step.name,
        status="running",
        started_at=now,
        parent=pipeline.id,
        params=plain_params(node.bound.arguments),
        tags={"step": node.step.full_name, "reason": node.reason},
        code={"key": node.plan.key, "symbols": digest_of_value(node.plan.code.symbols)},
        libraries=node.plan.code.libraries,
    )
    return StepStart(node.run, claim=node.verdict.key if node.step.cache else "")


def record_of(node: Node, performed: Performed, now: datetime, *, output: str, form: str) -> StepRecord:
    """Return what may be reused of a step that ran."""
    assert node.plan is not None
    assert node.run is not None
    return StepRecord(
        key=node.plan.key,
        step=node.step.full_name,
        run=node.run.id,
        created_at=now,
        duration_s=performed.duration_s,
        symbols=node.plan.code.symbols,
        inputs=node.plan.inputs,
        libraries=node.plan.code.libraries,
        output=output,
        output_form=form,
        shown=node.plan.shown,
        touched=performed.findings.touched,
        doubts=performed.findings.doubts,
    )


def finish_of(
    node: Node, performed: Performed, now: datetime, *, files: Sequence[ArtifactEntry], record: StepRecord | None
) -> StepEnd:
    """Return how the run of a node ends that has an output."""
    assert node.run is not None
    produced = dict.fromkeys(entry.digest for entry in files if entry.path.startswith("output"))
    return StepEnd(
        msgspec.structs.replace(node.run, status="finished", ended_at=now),
        artifacts=tuple(files),
        edges=(
            *input_edges(node.bound.arguments, f"run:{node.run.id}"),
            *(Edge(f"run:{node.run.id}", artifact_ref(digest), "produced") for digest in produced),
        ),
        tags={"attempts": str(performed.attempts)} if performed.attempts > 1 else {},
        record=record,
    )


def failure_of(
    node: Node, status: RunStatus, error: str, now: datetime, *, files: Sequence[ArtifactEntry] = ()
) -> StepEnd:
    """Return how the run of a node ends that has none."""
    assert node.run is not None
    return StepEnd(
        msgspec.structs.replace(node.run, status=status, ended_at=now, error=error),
        artifacts=tuple(files),
        edges=tuple(input_edges(node.bound.arguments, f"run:{node.run.id}")),
    )


def in_full(error: BaseException) -> str:
    """Write an error with where it came from."""
    return "".join(traceback.format_exception(error))


def step_failed(node: Node, error: BaseException) -> StepFailed:
    """Build the error that names the step and what it was given."""
    given = ", ".join(f"{name}={short(value) or 'lazy'}" for name, value in shown_arguments(node).items())
    failure = StepFailed(
        f"step '{node.step.name}' failed on {given or 'no arguments'}",
        why=f"{type(error).__name__}: {_in_words(error)}",
        fix=f"call it by itself to debug it: {node.step.__qualname__}(...)",
    )
    failure.__cause__ = error
    return failure


def _in_words(error: BaseException) -> str:
    if not isinstance(error, InterlockError):
        return str(error)
    return f"{error.what}: {error.why}" if error.why else error.what
