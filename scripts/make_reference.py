"""Write docs/reference/: commands, errors, events and ports, each from the code that defines it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App

from interlock.cli.commands import OPTIONS, build_app
from interlock.core.errors import error_types
from interlock.ports.endpoint_servers import EndpointServers
from interlock.ports.executor import Executor
from interlock.ports.feature_store import OfflineStore
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.stores import store_ports

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "interlock"
FOLDER = ROOT / "docs" / "reference"
NOTE = "Written by `make docs` from the code; do not edit.\n"
WRITERS = ("event", "append")
EVENT_KIND = re.compile(r"[a-z_]+\.[a-z_]+")


def pages() -> dict[str, str]:
    """Return the text of every reference page by its file name."""
    return {"cli.md": cli(), "errors.md": errors(), "events.md": events(), "ports.md": ports()}


def cli() -> str:
    """Return the page of the commands."""
    parts = ["# Commands\n", NOTE, "Options that every command takes, before or after it:\n"]
    parts.append("\n".join(f"- `{name}`: {does}" for name, does in OPTIONS.items()) + "\n")
    parts.append(
        "Exit codes: 0 done · 1 refused or a step failed · 2 bad input · 3 not found · 4 conflict · 5 unavailable · "
        "6 storage · 7 needs an upgrade or an extra · 70 a fault of Interlock · 130 interrupted.\n"
    )
    for path, command in leaves(build_app()):
        parts.append(_command(path, command))
    return _joined(parts)


def leaves(app: App, path: tuple[str, ...] = ("interlock",)) -> Iterator[tuple[str, App]]:
    """Yield every command that does something, with the words that call it."""
    for name in sorted(name for name in app if not name.startswith("-")):
        child = app[name]
        if child.default_command is not None:
            yield " ".join([*path, name]), child
        yield from leaves(child, (*path, name))


def _command(path: str, command: App) -> str:
    function = command.default_command
    text = inspect.getdoc(function) or ""
    lines = [f"## {path}\n", text.partition("\n\nArgs:")[0] + "\n"]
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if not argument.show or argument.parameter.parse is False:
            continue
        names = " ".join(f"`{name}`" for name in argument.names if not name.startswith("--no-"))
        default = argument.field_info.default
        shown = "" if default in (None, inspect.Parameter.empty, False, "") else f" Default: `{default}`."
        lines.append(f"- {names}: {argument.parameter.help or ''}{shown}")
    return "\n".join(lines).rstrip() + "\n"


def errors() -> str:
    """Return the page of the error tree."""
    parts = [
        "# Errors\n",
        NOTE,
        "Every error says what happened, why (expected and got) and what to try. On the command line it goes to "
        "stderr and sets the exit code; over HTTP it is a body with `code`, `what`, `why` and `fix`.\n",
    ]
    for code, kind in sorted(error_types().items()):
        if kind.__module__ != "interlock.core.errors":
            continue
        parents = [parent.__name__ for parent in kind.__bases__]
        parts.append(
            f"## {code} {kind.__name__}\n\n{_first_line(kind)}\n\n"
            f"A {' and '.join(f'`{name}`' for name in parents)}. HTTP {kind.http_status}, exit code {kind.exit_code}.\n"
        )
    return _joined(parts)


def events() -> str:
    """Return the page of the kinds of event."""
    parts = [
        "# Events\n",
        NOTE,
        "Everything that happens appends one event to the journal, in the transaction of what it describes. "
        "`interlock event tail` prints them as they come.\n",
    ]
    for kind, places in sorted(event_kinds().items()):
        parts.append(f"## {kind}\n\nWritten by {', '.join(f'`{place}`' for place in sorted(places))}.\n")
    return _joined(parts)


def event_kinds() -> dict[str, set[str]]:
    """Return each kind of event that the package writes, with the modules that write it."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "testing" in path.parts:
            continue
        place = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITERS:
                for kind in (kind for argument in node.args[:1] for kind in _kinds(argument)):
                    found.setdefault(kind, set()).add(place)
    return _spelt_out(found)


def _spelt_out(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Replace `run.*` (written as `f"run.{status}"`) by the kinds that the ports promise under that prefix."""
    spelt = {kind: set(places) for kind, places in found.items()}
    for kind, places in found.items():
        meant = {each for each in promised_kinds() if kind.endswith("*") and each.startswith(kind[:-1])}
        for each in meant:
            spelt.setdefault(each, set()).update(places)
        if meant:
            del spelt[kind]
    return spelt


def promised_kinds() -> set[str]:
    """Return the kinds of event that the ports' docstrings say are written."""
    return {
        kind
        for port in store_ports().values()
        for paragraph in re.findall(r"Events?: (.+?)(?:\n\n|\Z)", port.__doc__ or "", flags=re.DOTALL)
        for kind in re.findall(r"`([a-z_]+\.[a-z_]+)`", paragraph)
    }


def _kinds(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _kinds(node.body)
        yield from _kinds(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and EVENT_KIND.fullmatch(node.value):
        yield node.value
    elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        prefix = str(node.values[0].value)
        if prefix.endswith("."):
            yield prefix + "*"
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
        for value in node.value.values:
            yield from _kinds(value)


def ports() -> str:
    """Return the page of the ports."""
    parts = [
        "# Ports\n",
        NOTE,
        "A port is everything that can be replaced: implement its methods, subclass its contract suite in "
        "`interlock.testing`, and hand it to the room that asks for it.\n",
    ]
    kinds: list[type] = [*store_ports().values(), OfflineStore, Executor, ModelRuntime, Predictor, EndpointServers]
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        parts.append(f"## {kind.__name__}\n\n`{kind.__module__}`\n\n{inspect.getdoc(kind)}\n")
        parts.append("\n".join(_methods(kind)) + "\n")
    return _joined(parts)


def _methods(kind: type) -> Iterator[str]:
    for name, member in vars(kind).items():
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        if isinstance(member, property):
            yield f"- `{name}`: {_first_line(member)}"
        else:
            yield f"- `{name}({_parameters(member)})`: {_first_line(member)}"


def _parameters(member: Any) -> str:
    words: list[str] = []
    for parameter in list(inspect.signature(member).parameters.values())[1:]:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(parameter.name + ("" if parameter.default is inspect.Parameter.empty else "=…"))
    return ", ".join(words)


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _joined(parts: list[str]) -> str:
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
