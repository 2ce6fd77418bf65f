"""Name every versioned thing by one string: `kind:name` or `kind:name@version`."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import msgspec

from interlock.core.errors import InvalidInput, did_you_mean

KINDS = frozenset(
    {
        "alert",
        "artifact",
        "dataset",
        "deployment",
        "endpoint",
        "event",
        "experiment",
        "feature",
        "feedback",
        "labels",
        "model",
        "monitor",
        "pipeline",
        "prediction",
        "record",
        "report",
        "run",
        "service",
        "step",
        "study",
        "trace",
        "trigger",
        "verdict",
        "webhook",
        "workspace",
    }
)
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,249}")
_TITLED = frozenset({"experiment", "model"})
_LONGEST_TITLE = 500
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_EXAMPLE = "dataset:flights@3, run:01J…, model:delay@champion, endpoint:delay"


class Ref(msgspec.Struct, frozen=True, order=True):
    """One thing in a workspace, by kind, name and (for some kinds) version or alias.

    Experiments and models may have any name; in a Ref what is outside `A-Z a-z 0-9 . _ / - ~` is percent-encoded.

    Example:
        >>> ref = Ref.parse("model:delay@champion")
        >>> ref.kind, ref.name, ref.version
        ('model', 'delay', 'champion')
        >>> str(Ref("dataset", "flights", "3"))
        'dataset:flights@3'
    """

    kind: str
    name: str
    version: str | None = None

    def __str__(self) -> str:
        return ref_of(self.kind, self.name) + (f"@{self.version}" if self.version is not None else "")

    @property
    def number(self) -> int | None:
        """The version as a number, or None where it is an alias or absent."""
        return int(self.version) if self.version is not None and self.version.isdigit() else None

    @classmethod
    def parse(cls, text: str, *, kind: str | None = None) -> Ref:
        """Read a Ref; with `kind`, a bare name is accepted and another kind refused.

        Raises:
            InvalidInput: The text is no Ref, or is one of another kind.
        """
        if kind is not None and ":" not in text:
            text = f"{kind}:{text}"
        head, colon, tail = text.partition(":")
        if not colon:
            raise InvalidInput(
                f"'{text}' is not a Ref", why=f"a Ref is kind:name@version, as in {_EXAMPLE}", fix=_EXAMPLE
            )
        if head not in KINDS:
            raise InvalidInput(f"'{head}' in '{text}' is not a kind of Ref", why=did_you_mean(head, KINDS))
        if kind is not None and head != kind:
            raise InvalidInput(f"'{text}' is a {head}", why=f"a {kind} is expected here, as in {kind}:NAME")
        name, at, version = tail.partition("@")
        if head in _TITLED:
            name = check_title(unquote(name), of=head)
        else:
            check_name(name, of=head)
        if at and not NAME_PATTERN.fullmatch(version):
            raise InvalidInput(f"'{version}' in '{text}' is not a version", why="a version is a number or an alias")
        return cls(head, name, version if at else None)


def check_name(name: str, *, of: str) -> str:
    """Return the name if it may name a thing of that kind.

    Raises:
        InvalidInput: It is empty, too long, or holds a character outside `A-Z a-z 0-9 . _ / -`.
    """
    if not NAME_PATTERN.fullmatch(name) or ".." in name or "//" in name or name.endswith("/"):
        raise InvalidInput(
            f"'{name}' cannot name a {of}",
            why="a name is 1 to 250 of A-Z a-z 0-9 . _ / -, begins with a letter or a digit, and holds no '..' or '//'",
        )
    return name


def check_title(name: str, *, of: str) -> str:
    """Return the name if it may name an experiment or a model: a line of any text.

    Raises:
        InvalidInput: It is no text, empty, too long, holds a control character, or is a path that leads elsewhere.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_TITLE or _UNPRINTABLE.search(name):
        raise InvalidInput(
            f"{name!r:.80} cannot name a {of}",
            why=f"a name is one line of 1 to {_LONGEST_TITLE} characters, none of them a control character",
        )
    parts = name.removeprefix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidInput(f"'{name}' cannot name a {of}", why="a part of it between '/' is empty, '.' or '..'")
    return name


def ref_of(kind: str, name: str) -> str:
    """Return the Ref of a thing without a version.

    Example:
        >>> ref_of("experiment", "Flight delay"), ref_of("run", "01J")
        ('experiment:Flight%20delay', 'run:01J')
    """
    return f"{kind}:{quote(name, safe='/')}"
