"""Share what every command group needs: how a command is told its session, and refs of one kind."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from interlock.cli.session import Session
from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref

Here = Annotated[Session, Parameter(parse=False)]
"""The session, handed to a command by `main` rather than read from the command line."""


def name_of(text: str, *, kind: str) -> str:
    """Return the name in a Ref of one kind, or in a bare name."""
    return Ref.parse(text, kind=kind).name


def numbered(text: str, *, kind: str) -> tuple[str, int | None]:
    """Return name and version number of a Ref; the number is None where the newest is meant.

    Raises:
        InvalidInput: The version is a word.
    """
    ref = Ref.parse(text, kind=kind)
    if ref.version is not None and ref.number is None:
        raise InvalidInput(f"'{ref.version}' is not a version of a {kind}", why="its versions are numbers: 1, 2, 3 …")
    return ref.name, ref.number
