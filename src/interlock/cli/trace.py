"""Show what a thing was made from, and what it led to."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.cli.noun import Here
from interlock.cli.output import Answer, Table, fields
from interlock.loop.tracing import TraceStep
from interlock.workspace import open_workspace


def trace(ref: str, /, *, session: Here) -> Answer:
    """Show the way back from a thing to all it was made from, and the way forward to all it led to.

    Args:
        ref: Any Ref: `prediction:<id>`, `model:delay@champion`, `dataset:flights@1`, `run:<id>` …
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.loop.trace(ref)
    blocks: list[str | Table] = [f"{found.ref}  {found.title}".rstrip(), fields(found.facts)]
    if found.back:
        blocks += ["Made from:", _steps(found.back)]
    if found.forward:
        blocks += ["Led to:", _steps(found.forward)]
    return Answer(found, tuple(block for block in blocks if not isinstance(block, Table) or block.rows))


def _steps(steps: Sequence[TraceStep]) -> str:
    lines: list[str] = []
    for step in steps:
        indent = "  " * step.depth
        lines.append(f"{indent}{step.ref}  ({step.relation.replace('_', ' ')})  {step.title}".rstrip())
        lines += [f"{indent}    {name}: {value}" for name, value in step.facts.items()]
    return "\n".join(lines)
