"""Name one check of a server, say whether it holds, and collect checks under groups."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Need = Literal["http", "grpc", "tritonclient", "kserve"]
"""What a check cannot do without: `http` and `grpc` are addresses, the others clients."""
Verdict = Literal["pass", "fail", "not run"]

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
TIMEOUT_S = 20.0
"""How long a check may take; a server that does not answer by then has failed it."""


class Mismatch(AssertionError):
    """A server did something else than the protocol says.

    Args:
        expected: What the protocol says.
        got: What the server did.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class Target(msgspec.Struct, frozen=True):
    """The server that is checked.

    Args:
        url: Where it answers HTTP (`http://127.0.0.1:8080`).
        grpc: Where it answers gRPC (`127.0.0.1:8001`), or empty.
        token: What it wants to be shown, or empty.
    """

    url: str
    grpc: str = ""
    token: str = ""

    @property
    def netloc(self) -> str:
        """The address without the scheme, as NVIDIA's client wants it."""
        return self.url.partition("://")[2].rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(frozen=True)
class Check:
    """One thing that a server has to do.

    Args:
        group: Under which heading it stands.
        title: What the server does if it passes, as a sentence without its stop.
        run: Raises `Mismatch` if it does not.
        needs: What the check cannot do without.
    """

    group: str
    title: str
    run: Callable[[Target], None]
    needs: tuple[Need, ...] = ("http",)

    @property
    def name(self) -> str:
        """What names it in tables and on the command line."""
        return f"{self.group}: {self.title}"


class Outcome(msgspec.Struct, frozen=True):
    """What became of one check.

    Args:
        group: Its heading.
        title: What the server should do.
        verdict: Whether it does.
        expected: What was expected, where it does not.
        got: What it did, or why the check was not run.
        seconds: How long that took.
    """

    group: str
    title: str
    verdict: Verdict
    expected: str = ""
    got: str = ""
    seconds: float = 0.0


class Group:
    """Checks under one heading, in the order in which they were written.

    Example:
        >>> group = Group("Health")
        >>> @group.check("the server is live")
        ... def live(target: Target) -> None: ...
        >>> [check.name for check in group.checks]
        ['Health: the server is live']
    """

    def __init__(self, title: str, *, needs: Iterable[Need] = ("http",)) -> None:
        self.title = title
        self.checks: list[Check] = []
        self._needs = tuple(needs)

    def check(self, title: str) -> Callable[[Callable[[Target], None]], Callable[[Target], None]]:
        """Add the decorated function as a check."""

        def add(run: Callable[[Target], None]) -> Callable[[Target], None]:
            self.add(title, run)
            return run

        return add

    def add(self, title: str, run: Callable[[Target], None]) -> None:
        """Add a check."""
        self.checks.append(Check(self.title, title, run, self._needs))


def lacking(needs: Iterable[Need], target: Target) -> str:
    """Return why checks with these needs cannot run here, or the empty string."""
    for need in needs:
        if need == "grpc" and not target.grpc:
            return "no address of gRPC was given"
        if need in ("tritonclient", "kserve") and importlib.util.find_spec(need) is None:
            return f"the client '{need}' is not installed"
    return ""


def expect(holds: bool, *, expected: str, got: Any) -> None:
    """Fail the check unless something holds.

    Raises:
        Mismatch: It does not.
    """
    if not holds:
        raise Mismatch(expected, short(got))


def expect_equal(got: Any, expected: Any, *, of: str = "") -> None:
    """Fail the check unless two plain values are equal.

    Raises:
        Mismatch: They are not.
    """
    expect(got == expected, expected=f"{of} {short(expected)}".strip(), got=got)


def short(value: Any) -> str:
    """Return a value in a few words.

    Example:
        >>> short("x" * 500)[-6:]
        "xxxxx…"
    """
    text = value if isinstance(value, str) else repr(value)
    # where an object lies in memory is no part of what it is
    text = _ADDRESS.sub("", " ".join(text.split()))
    return text if len(text) <= 160 else text[:159] + "…"
