"""Run pipelines from the command line: with flags made of their signature, from a file, over partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from interlock.cli.noun import Here
from interlock.cli.output import Answer, Table, announce, cell, fields, listing, table
from interlock.cli.pipeline_progress import progress
from interlock.core.errors import Conflict, InterlockError, InvalidInput, Refused
from interlock.core.units import human_seconds
from interlock.loop.turns import TurnRight
from interlock.pipelines.arguments import arguments_from_values, flags_of, texts_of_words
from interlock.pipelines.declarations import SUFFIXES, Declaration, read_declaration
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.outcomes import PipelineRun
from interlock.pipelines.partitions import partitions
from interlock.pipelines.targets import load_pipeline
from interlock.pipelines.verifying import Verified
from interlock.workspace import Workspace, open_workspace

Words = Annotated[str, Parameter(allow_leading_hyphen=True)]


def add_to(app: App) -> None:
    """Add the commands that run pipelines."""
    app.command(run)
    app.command(arguments, name="arguments")
    app.command(backfill)


def run(
    target: str,
    /,
    *words: Words,
    on: str | None = None,
    quiet: bool = False,
    verify: float = 0.0,
    arguments: Annotated[str, Parameter(show=False)] = "{}",
    trigger: Annotated[str | None, Parameter(show=False)] = None,
    session: Here,
) -> Answer:
    """Run a pipeline: `interlock pipeline run train.py:nightly --alphas 0.1,1`.

    Its own flags come from the signature of its function: `interlock pipeline arguments TARGET` lists them.

    Args:
        target: `FILE.py:NAME`, `MODULE:NAME`, or a YAML file that says which pipeline and with which arguments.
        words: The pipeline's own flags.
        on: Where its steps run: `inline`, `pool`, `ray`, `dask`, perhaps with a number of workers: `pool:4`.
        quiet: Print nothing but errors.
        verify: Make this share of the results again afterwards and compare; 0.1 is a tenth.
        arguments: Arguments as a JSON object.
        trigger: The trigger that started this.
    """
    declared, pipeline = declared_pipeline(target)
    given = {**_written(pipeline, declared, arguments), **texts_of_words(pipeline, words)}
    bound = arguments_from_values(pipeline, given)
    with open_workspace(session.uri) as workspace, _alone(workspace, trigger):
        pipelines = workspace.pipelines.on(engine) if (engine := on or declared.on) else workspace.pipelines
        with progress(workspace, pipeline.name, quiet=quiet):
            made = pipelines.run(pipeline, **bound)
        checked = compared(pipelines.verify(made.run.id, pipeline, share=verify)) if verify else None
    said = Answer(None) if quiet else told(made)
    if checked is None:
        return said
    data = {**(said.data or {}), "verified": checked.data}
    return Answer(data, (*said.blocks, *checked.blocks), exit_code=checked.exit_code)


def arguments(target: str, /, *, session: Here) -> Answer:
    """List the arguments of a pipeline as flags, with their types and defaults.

    Args:
        target: `FILE.py:NAME`, `MODULE:NAME`, or a YAML file.
    """
    _, pipeline = declared_pipeline(target)
    columns = {
        "flag": lambda flag: flag.word,
        "type": lambda flag: flag.kind or None,
        "default": lambda flag: "must be given" if flag.default is None else flag.default,
    }
    return listing(flags_of(pipeline), columns, empty=f"pipeline '{pipeline.name}' takes no arguments")


def backfill(
    target: str,
    argument: str,
    span: str,
    /,
    *words: Words,
    every: str = "day",
    stop_on_failure: bool = False,
    session: Here,
) -> Answer:
    """Run a pipeline once for each of many values of one argument; what ran before is reused.

    Example: `interlock pipeline backfill train.py:nightly day 2026-01-01..2026-01-31`.

    Args:
        target: The pipeline.
        argument: The name of the argument.
        span: `FROM..TO`, both ends included, or a list `a,b,c`.
        words: The pipeline's other flags.
        every: `hour`, `day`, `week` or `month`.
        stop_on_failure: Stop at the first partition that fails; else the others go on.
    """
    declared, pipeline = declared_pipeline(target)
    values = partitions(span, every=every)
    name = argument.replace("-", "_")
    # every argument is read before the first partition runs
    fixed = {**_written(pipeline, declared, "{}"), **texts_of_words(pipeline, words)}
    bound = [arguments_from_values(pipeline, {**fixed, name: value}) for value in values]
    done: list[dict[str, Any]] = []
    with open_workspace(session.uri) as workspace:
        for value, each in zip(values, bound, strict=True):
            done.append(_partition(workspace, pipeline, value, each))
            if not session.as_json:
                announce(done[-1], f"{value}  {done[-1]['status']}", as_json=False)
            if stop_on_failure and done[-1]["error"]:
                break
    failed = [one for one in done if one["error"]]
    caption = f"{len(done) - len(failed)} of {len(values)} partitions done, {len(failed)} failed"
    shown = {
        "partition": lambda one: one["partition"],
        "status": lambda one: one["status"],
        "executed": lambda one: one["executed"],
        "reused": lambda one: one["reused"],
        "run": lambda one: one["run"],
        "error": lambda one: one["error"],
    }
    return Answer(done, (table(done, shown, caption=caption),), exit_code=Refused.exit_code if failed else 0)


def _partition(
    workspace: Workspace, pipeline: Pipeline[..., Any], value: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    said: dict[str, Any] = {"partition": value, "status": "failed", "executed": 0, "reused": 0, "run": None}
    try:
        made = workspace.pipelines.run(pipeline, **arguments)
    except InterlockError as error:
        return {**said, "error": f"{error.what}: {error.why}" if error.why else error.what}
    return {
        **said,
        "status": made.run.status,
        "executed": made.executed,
        "reused": made.reused,
        "run": made.run.id,
        "error": None,
    }


def declared_pipeline(target: str) -> tuple[Declaration, Pipeline[..., Any]]:
    """Return the pipeline that a target or a file names, and what else the file says."""
    if target.endswith(SUFFIXES):
        declared = read_declaration(Path(target))
        return declared, load_pipeline(declared.pipeline, folder=Path(target).parent)
    return Declaration(target), load_pipeline(target)


def _written(pipeline: Pipeline[..., Any], declared: Declaration, arguments: str) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            "--arguments is no JSON object", why=str(error), fix="""--arguments '{"alpha": 0.1}'"""
        ) from error
    return {**declared.arguments, **given}


@contextmanager
def _alone(workspace: Workspace, trigger: str | None) -> Iterator[None]:
    """Hold the right to run for a trigger, so that its runs do not overlap."""
    if trigger is None:
        with nullcontext():
            yield
        return
    right = TurnRight(
        workspace.stores.leases,
        workspace.clock,
        name=f"pipeline of {trigger}",
        what=f"the last run of trigger '{trigger}' still goes on",
    )
    try:
        with right.held():
            yield
    except Conflict as error:
        workspace.stores.journal.append("trigger.skipped", f"trigger:{trigger}", payload={"why": error.what})
        raise


def told(made: PipelineRun) -> Answer:
    """Say what a run came to."""
    columns = {
        "step": lambda step: step.step,
        "took": lambda step: human_seconds(step.duration_s),
        "why": lambda step: step.reason,
    }
    head = fields(
        {
            "run": f"run:{made.run.id}",
            "status": made.run.status,
            "steps": f"{made.executed} executed, {made.reused} reused",
            "value": _short(made.value),
        }
    )
    blocks: tuple[str | Table, ...] = (head, table(made.steps, columns)) if made.steps else (head,)
    return Answer({"run": made.run, "value": _short(made.value), "steps": made.steps}, blocks)


def compared(found: Sequence[Verified]) -> Answer:
    """Say which results came out as they are kept."""
    columns = {
        "step": lambda one: one.step,
        "call": lambda one: one.node,
        "same": lambda one: one.same,
        "difference": lambda one: one.difference or None,
    }
    said = listing(found, columns, empty="no result was made again: the run has too few steps for this share")
    return Answer(said.data, said.blocks, exit_code=0 if all(one.same for one in found) else Refused.exit_code)


def _short(value: Any) -> str:
    text = cell(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
