"""List every command with the place of its code, so that help needs none of that code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cyclopts import App


class Command(NamedTuple):
    """One word after `interlock`.

    Args:
        name: The word.
        target: Where its code is, as `module:attribute`.
        summary: What it is for, in one line.
    """

    name: str
    target: str
    summary: str


SECTIONS: dict[str, tuple[Command, ...]] = {
    "The whole loop": (
        Command("demo", "interlock.cli.demo:demo", "Take real flights data all the way round the loop."),
        Command("up", "interlock.cli.up:up", "Start the platform: UI, API, serving, triggers."),
        Command("loop", "interlock.cli.loop:app", "See where each station of the loop stands."),
        Command("trace", "interlock.cli.trace:trace", "Show what a thing was made from, and what it led to."),
        Command("event", "interlock.cli.event:app", "Read the log of everything that happened."),
    ),
    "The model loop": (
        Command("data", "interlock.cli.data:app", "Commit, read and compare dataset snapshots."),
        Command("label", "interlock.cli.label:app", "List label sets and how far annotators agree."),
        Command("feature", "interlock.cli.feature:app", "List feature views and read their definitions."),
        Command("pipeline", "interlock.cli.pipeline:app", "Run and schedule pipelines; see why steps ran."),
        Command("run", "interlock.cli.run:app", "List, search, compare and query runs."),
        Command("reproduce", "interlock.cli.reproducing:reproduce", "Run a run again, and say if the same comes out."),
        Command("spool", "interlock.cli.spool:spool", "Let MLflow clients survive an outage of their server."),
        Command("study", "interlock.cli.study:app", "List studies and their trials."),
        Command("model", "interlock.cli.model:app", "List versions, cards, aliases and verdicts."),
    ),
    "The software loop": (
        Command("deploy", "interlock.cli.deploy:deploy", "Put a model behind an endpoint that answers."),
        Command("serve", "interlock.cli.serve:serve", "Serve endpoints over HTTP, and nothing else."),
        Command("endpoint", "interlock.cli.endpoint:app", "List, route, watch and roll back endpoints."),
        Command("monitor", "interlock.cli.monitor:app", "List monitors, reports and alerts."),
        Command("advisor", "interlock.cli.advisor:app", "Read the technology radar and your readiness."),
    ),
    "Housekeeping": (
        Command("sync", "interlock.cli.sync:sync", "Bring to the store what runs wrote while it was away."),
        Command("import", "interlock.cli.importing:app", "Bring runs and models over from other trackers."),
        Command("export", "interlock.cli.exporting:export", "Write runs and all they logged as Parquet and files."),
        Command("verify", "interlock.cli.verify:verify", "Read every stored byte back and name what is damaged."),
        Command("gc", "interlock.cli.gc:gc", "Free what nobody needs any more."),
        Command("doctor", "interlock.cli.doctor:doctor", "Say what is installed, what is missing, and how to get it."),
        Command("completion", "interlock.cli.completion:app", "Complete commands with the Tab key of your shell."),
    ),
}
COMMANDS = {command.name: command for commands in SECTIONS.values() for command in commands}
OPTIONS = {
    "--dir FOLDER": "Use the workspace in this folder (or INTERLOCK_URI; else the nearest .interlock).",
    "--json": "Answer in JSON.",
    "--version": "Print the version.",
    "--help, -h": "Print this, or the help of one command.",
}


def root_help() -> str:
    """Write the page that `interlock --help` prints.

    Cost: no import beyond this module; the parser's own help would load 250 modules.
    """
    width = max(map(len, [*COMMANDS, *OPTIONS]))
    lines = ["Usage: interlock [--dir FOLDER] [--json] COMMAND", "", "The machine-learning lifecycle as two loops.", ""]
    for title, commands in SECTIONS.items():
        lines += [f"{title}:", *(f"  {command.name:<{width}}  {command.summary}" for command in commands), ""]
    lines += [
        "Options, before or after the command:",
        *(f"  {name:<{width}}  {does}" for name, does in OPTIONS.items()),
    ]
    return "\n".join(lines)


def build_app() -> App:
    """Make the parser of the whole command line; a command's code is loaded when it is used."""
    from cyclopts import App

    app = App(
        name="interlock",
        help="The machine-learning lifecycle as two loops.",
        help_flags=("--help", "-h"),
        version_flags=(),
        help_epilogue="Every command also takes --dir FOLDER and --json.",
    )
    for command in COMMANDS.values():
        app.command(command.target, name=command.name, help=command.summary)
    return app
