"""Teach a shell to complete interlock's commands."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from interlock.cli.commands import build_app
from interlock.cli.noun import Here
from interlock.cli.output import Answer
from interlock.core.errors import InvalidInput

app = App(name="completion", help="Complete commands with the Tab key of your shell.")
Shell = Literal["bash", "zsh", "fish", "powershell"]


@app.command
def install(*, shell: Shell | None = None, session: Here) -> Answer:
    """Write the completion script where the shell looks for it, and say where.

    Args:
        shell: Which shell; by default the one that is running.
    """
    chosen = shell or _running_shell()
    path = build_app().install_completion(shell=chosen)
    return Answer({"shell": chosen, "path": str(path)}, (f"{path} written; open a new {chosen} to use it",))


@app.command
def show(*, shell: Shell | None = None, session: Here) -> Answer:
    """Print the completion script.

    Args:
        shell: For which shell; by default the one that is running.
    """
    chosen = shell or _running_shell()
    script = build_app().generate_completion(shell=chosen)
    return Answer({"shell": chosen, "script": script}, (script.rstrip("\n"),))


def _running_shell() -> Shell:
    from cyclopts.completion import ShellDetectionError, detect_shell

    try:
        found: Shell = detect_shell()
    except ShellDetectionError as error:
        raise InvalidInput(
            "the running shell is not known", why=str(error), fix="interlock completion install --shell bash"
        ) from None
    return found
