"""Run one command: read the command line, print the answer or the error, return the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from interlock.cli.commands import COMMANDS, build_app, root_help
from interlock.cli.output import Answer, Stream, complain, show
from interlock.cli.session import Session, split_options
from interlock.core.errors import InterlockError, InvalidInput, did_you_mean

INTERRUPTED = 130
PIPE_CLOSED = 141
_COMPLETE = "__complete"


class _Parsed(Protocol):
    """A command with its arguments bound, ready to be called."""

    def __call__(self, session: Session, /) -> Answer | Stream | None: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; every way it can end comes through here.

    Exit codes: 0 done; 1 refused; 2 bad input; 3 not found; 4 conflict; 5 unavailable; 6 storage; 7 needs an
    upgrade or an extra; 70 a fault of Interlock; 130 interrupted.
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in tokens
    try:
        return _run(tokens, out=sys.stdout)
    except InterlockError as error:
        _maybe_trace()
        return complain(error, as_json=as_json, err=sys.stderr)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # the reader (head, less) has seen enough; Python must not complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 (the process edge: whatever it is, the user gets words)
        _maybe_trace()
        return complain(_fault(error), as_json=as_json, err=sys.stderr)


def _run(tokens: list[str], *, out: TextIO) -> int:
    if tokens[:1] == [_COMPLETE]:
        # the shell asks for candidates: its words are no options of ours
        _bind(tokens)(Session())
        return 0
    session, rest = split_options(tokens)
    if not rest or rest[0] in ("--help", "-h"):
        return show(Answer(root_help(), (root_help(),)), as_json=session.as_json, out=out)
    if rest[0] == "--version":
        return show(Answer({"version": _version()}, (_version(),)), as_json=session.as_json, out=out)
    return show(_bind(rest)(session), as_json=session.as_json, out=out)


def _bind(tokens: list[str]) -> _Parsed:
    """Find the command that the tokens name and bind its arguments.

    Raises:
        InvalidInput: There is no such command, or its arguments do not fit.
    """
    from cyclopts import CycloptsError

    noun = tokens[0]
    if noun not in COMMANDS and noun != _COMPLETE:
        raise InvalidInput(f"there is no command '{noun}'", why=did_you_mean(noun, COMMANDS), fix="interlock --help")
    try:
        command, bound, asked = build_app().parse_args(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        what, _, why = str(error).strip().partition(". ")
        raise InvalidInput(what[0].lower() + what[1:].rstrip("."), why=why, fix=f"interlock {noun} --help") from None

    def call(session: Session, /) -> Any:
        return command(*bound.args, **bound.kwargs, **dict.fromkeys(asked, session))

    return call


def _fault(error: Exception) -> InterlockError:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return InterlockError(
        f"a fault in Interlock: {type(error).__name__}: {error}",
        why=f"it was not expected{place}",
        fix="run again with INTERLOCK_DEBUG=1 and report what it prints",
    )


def _maybe_trace() -> None:
    if os.environ.get("INTERLOCK_DEBUG"):
        traceback.print_exc()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("interlock")
    except PackageNotFoundError:
        return "unknown: the package is not installed"


if __name__ == "__main__":
    sys.exit(main())
