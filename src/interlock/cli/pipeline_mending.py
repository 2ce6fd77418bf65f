"""Deal with runs of pipelines that went wrong: resume, cancel, compare, and debug one step on its recorded inputs."""

from __future__ import annotations

import sys
from typing import Any

from cyclopts import App

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, listing
from interlock.cli.pipeline_progress import progress
from interlock.cli.pipeline_running import compared, told
from interlock.core.errors import InterlockError, Refused
from interlock.workspace import open_workspace


def add_to(app: App) -> None:
    """Add the commands about runs that went wrong."""
    app.command(resume)
    app.command(cancel)
    app.command(diff)
    app.command(debug)
    app.command(verify)


def resume(run: str, /, *, on: str | None = None, quiet: bool = False, session: Here) -> Answer:
    """Go on with a run that failed or was killed, with the arguments it had; what had finished is reused.

    Args:
        run: Its id or Ref.
        on: Where its steps run.
        quiet: Print nothing but errors.
    """
    run_id = name_of(run, kind="run")
    with open_workspace(session.uri, create=False) as workspace:
        pipelines = workspace.pipelines.on(on) if on else workspace.pipelines
        before = workspace.stores.runs.get(run_id)
        with progress(workspace, before.name, quiet=quiet):
            made = pipelines.resume(run_id)
    return Answer(None) if quiet else told(made)


def cancel(run: str, /, *, session: Here) -> Answer:
    """Stop a running pipeline, in whichever process it runs; what has finished is kept.

    Args:
        run: Its id or Ref.
    """
    with open_workspace(session.uri, create=False) as workspace:
        ended = workspace.pipelines.cancel(name_of(run, kind="run"))
    return Answer(ended, (f"run:{ended.id} is told to stop; go on with it: interlock pipeline resume run:{ended.id}",))


def diff(one: str, two: str, /, *, session: Here) -> Answer:
    """Say which steps of two runs differ, and why.

    Args:
        one: A run.
        two: The run that is compared with it.
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.pipelines.diff(name_of(one, kind="run"), name_of(two, kind="run"))
    columns = {
        "step": lambda each: each.step,
        "what": lambda each: each.what,
        "why": lambda each: each.why,
        "first took": lambda each: each.one.duration_s if each.one else None,
        "second took": lambda each: each.two.duration_s if each.two else None,
    }
    return listing(found, columns, empty="every step of the two runs is the same")


def debug(step: str, /, *, run: str, call: int | None = None, session: Here) -> Answer:
    """Call one step of a run again on the inputs it had, under the debugger on a terminal; nothing is recorded.

    Args:
        step: The step's name.
        run: The run.
        call: Its place among the calls of the run, where the step was called several times; if not given, the call
            that failed, or else the first.
    """
    run_id = name_of(run, kind="run")
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.pipelines.recorded_call(step, run_id, number=call)
    sys.stderr.write(
        f"{step}, call {found.node.node} of run:{run_id}, {found.node.status} then: {_given(found.arguments)}\n"
    )
    try:
        value = found.debug() if sys.stdin.isatty() and not session.as_json else found.again()
    except InterlockError:
        raise
    except Exception as error:  # noqa: BLE001 (the step is the user's and may raise anything)
        why = f"{type(error).__name__}: {error}"
        return Answer({"step": step, "error": why}, (f"it raised {why}",), exit_code=Refused.exit_code)
    return Answer({"step": step, "value": repr(value)}, (f"it returned {value!r}",))


def verify(run: str, /, *, share: float = 0.1, session: Here) -> Answer:
    """Make some results of a run again and compare them with what is kept; exit with 1 if one differs.

    A result that comes out differently is marked and reused no more.

    Args:
        run: The run.
        share: How much of it, above 0 and up to 1.
    """
    with open_workspace(session.uri, create=False) as workspace:
        return compared(workspace.pipelines.verify(name_of(run, kind="run"), share=share))


def _given(arguments: dict[str, Any]) -> str:
    texts = (f"{name}={value!r}" for name, value in arguments.items())
    return ", ".join(text if len(text) < 80 else f"{text[:79]}…" for text in texts) or "no arguments"
