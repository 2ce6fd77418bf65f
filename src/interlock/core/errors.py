"""Define the one error tree: what happened, why, and how to fix it.

```
InterlockError                      IL500  exit 70
├── InvalidInput (ValueError)       IL400  exit 2    a value is of the wrong kind or out of range
│   ├── WrongType (TypeError)       IL421  exit 2    a call, or a value handed on, is not what was announced
│   └── SchemaMismatch              IL422  exit 2    a row or table does not fit its signature or schema
├── Unauthorised (PermissionError)  IL401  exit 5
├── Refused                         IL403  exit 1    a gate or a policy said no
├── NotFound (LookupError)          IL404  exit 3
├── Conflict                        IL409  exit 4    it exists, or it changed under you
├── LimitExceeded (ValueError)      IL413  exit 2    larger, deeper or longer than allowed
├── NewerSchema                     IL426  exit 7    the workspace was written by a newer version
├── Overloaded                      IL429  exit 5
├── MissingExtra (ImportError)      IL501  exit 7    an optional library is not installed
├── Unavailable (ConnectionError)   IL503  exit 5    a server does not answer
├── TimedOut (TimeoutError)         IL504  exit 5
├── StorageFull (OSError)           IL507  exit 6
├── Corrupt                         IL510  exit 6    stored bytes are not what was written
├── PortTaken (OSError)             IL511  exit 5
└── StepFailed (RuntimeError)       IL520  exit 1    user code raised
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class InterlockError(Exception):
    """Say what happened, why, and what to do next.

    Args:
        what: One sentence: what could not be done, naming the thing.
        why: What was expected and what was found.
        fix: A command or a line of code that helps.

    Example:
        >>> print(NotFound("model 'churn' has no alias 'champion'", why="aliases are: latest"))
        error: model 'churn' has no alias 'champion' [IL404]
        because: aliases are: latest
    """

    code: ClassVar[str] = "IL500"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        lines = [f"error: {self.what} [{self.code}]"]
        if self.why:
            lines.append(f"because: {self.why}")
        if self.fix:
            lines.append(f"try: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.why, self.fix))


def _rebuild(kind: type[InterlockError], what: str, why: str, fix: str) -> InterlockError:
    return kind(what, why=why, fix=fix)


class InvalidInput(InterlockError, ValueError):
    """A value is of the wrong kind or out of range."""

    code, http_status, exit_code = "IL400", 400, 2


class SchemaMismatch(InvalidInput):
    """A row or a table does not fit its signature or schema."""

    code, http_status, exit_code = "IL422", 422, 2


class WrongType(InvalidInput, TypeError):
    """A call does not fit its function, or a value is not of the type that was announced for it."""

    code, http_status, exit_code = "IL421", 422, 2


class Unauthorised(InterlockError, PermissionError):
    """The caller may not do this."""

    code, http_status, exit_code = "IL401", 401, 5


class Refused(InterlockError):
    """A gate or a policy said no."""

    code, http_status, exit_code = "IL403", 403, 1


class NotFound(InterlockError, LookupError):
    """The named thing does not exist."""

    code, http_status, exit_code = "IL404", 404, 3


class Conflict(InterlockError):
    """The thing exists already, or it changed since it was read."""

    code, http_status, exit_code = "IL409", 409, 4


class LimitExceeded(InterlockError, ValueError):
    """The input is larger, deeper or longer than allowed."""

    code, http_status, exit_code = "IL413", 413, 2


class NewerSchema(InterlockError):
    """The workspace was written by a newer version of Interlock."""

    code, http_status, exit_code = "IL426", 500, 7


class Overloaded(InterlockError):
    """Too many requests are in flight."""

    code, http_status, exit_code = "IL429", 429, 5


class MissingExtra(InterlockError, ImportError):
    """An optional library is not installed."""

    code, http_status, exit_code = "IL501", 501, 7


class Unavailable(InterlockError, ConnectionError):
    """A server does not answer."""

    code, http_status, exit_code = "IL503", 503, 5


class TimedOut(InterlockError, TimeoutError):
    """The work did not finish in time."""

    code, http_status, exit_code = "IL504", 504, 5


class StorageFull(InterlockError, OSError):
    """The disk or the quota is full."""

    code, http_status, exit_code = "IL507", 507, 6


class Corrupt(InterlockError):
    """Stored bytes are not what was written."""

    code, http_status, exit_code = "IL510", 500, 6


class PortTaken(InterlockError, OSError):
    """Another process listens on the address."""

    code, http_status, exit_code = "IL511", 500, 5


class StepFailed(InterlockError, RuntimeError):
    """User code raised while Interlock ran it."""

    code, http_status, exit_code = "IL520", 500, 1


class Cancelled(InterlockError):
    """Somebody asked for it to be stopped."""

    code, http_status, exit_code = "IL521", 409, 130


def error_types() -> dict[str, type[InterlockError]]:
    """Return every class of the tree by its code; a class that only carries more has the code of its base."""
    found: dict[str, type[InterlockError]] = {}
    waiting: list[type[InterlockError]] = [InterlockError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found


def missing_extra(library: str, *, extra: str, purpose: str) -> MissingExtra:
    """Build the error for a library that an extra brings."""
    return MissingExtra(
        f"{purpose} needs the library '{library}'",
        why="it is not installed in this environment",
        fix=f"pip install 'interlock[{extra}]'",
    )


def missing_library(library: str, *, purpose: str) -> MissingExtra:
    """Build the error for a library that no extra brings, as it is large or the user's own choice."""
    return MissingExtra(
        f"{purpose} needs the library '{library}'",
        why="it is not installed in this environment",
        fix=f"pip install {library}",
    )


def did_you_mean(name: str, known: Iterable[str], *, limit: int = 8) -> str:
    """Name the nearest known names, or list the first few.

    Example:
        >>> did_you_mean("delya", ["delay", "fare"])
        "did you mean 'delay'?"
    """
    names = sorted(set(known))
    if not names:
        return "there are none yet"
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    shown = ", ".join(names[:limit])
    return f"known: {shown}" + (f" and {len(names) - limit} more" if len(names) > limit else "")
