"""Turn the ids that the spool gave into those of the upstream server, in whatever is sent, and back in the answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlsplit

from interlock.server.spool.records import ARTIFACTS
from interlock.server.spool.state import Made

_GIVEN = re.compile(rb"(?:m-)?[0-9a-f]{32}")
"""What an id that the spool gives looks like, wherever it stands in a text."""
_FOREIGN = re.compile(rb"(?:m-)?[0-9A-Za-z]{20,64}")
"""What ids of upstream servers look like; shorter ones cannot be told from other words and stay as they are."""
_EXPERIMENT = re.compile(rb'("experiment_?[iI]d"\s*:\s*")([^"\\]{1,64})(")')
_PROXIED = "mlflow-artifacts"


class Ids:
    """The ids that the spool gave, and what became of them.

    Changed by one thread, read by any.

    Args:
        made: What became of ids earlier.
    """

    def __init__(self, made: Iterable[Made] = ()) -> None:
        self._made: dict[bytes, Made | None] = {}
        self._back: dict[bytes, bytes] = {}
        self._experiments: dict[bytes, bytes] = {}
        for one in made:
            self.settle(one)

    def __bool__(self) -> bool:
        return bool(self._made)

    def __contains__(self, given: str) -> bool:
        return given.encode() in self._made

    def give(self, given: str) -> None:
        """Note an id for something that the upstream server does not know yet."""
        self._made.setdefault(given.encode(), None)

    def settle(self, made: Made) -> None:
        """Note what became of an id."""
        given, upstream = made.given.encode(), made.upstream.encode()
        self._made[given] = made
        if upstream and upstream != given:
            back = self._experiments if made.kind == "experiment" else self._back
            back.setdefault(upstream, given)

    def forget(self, given: str) -> None:
        """Note that the thing is to be created again."""
        self._made[given.encode()] = None

    def fate(self, given: str) -> Made | None:
        """Return what became of an id; None where it was not given here, or is still waiting."""
        return self._made.get(given.encode())

    def refused(self, ids: Iterable[str]) -> str | None:
        """Return the first of some ids whose thing the upstream server refused to create."""
        return next((one for one in ids if (fate := self.fate(one)) is not None and not fate.upstream), None)

    def waiting(self, *texts: bytes) -> bool:
        """Say whether a text holds an id that the upstream server does not know yet."""
        return any(self._made.get(one, _UNKNOWN) is None for text in texts for one in self._found(text))

    def _found(self, text: bytes) -> Iterable[bytes]:
        for found in _GIVEN.finditer(text) if self._made else ():
            whole = found[0]
            yield whole
            yield whole.removeprefix(b"m-")

    def forward(self, text: bytes) -> bytes:
        """Put the upstream server's ids in the place of the given ones."""
        return _GIVEN.sub(self._upstream, text) if self._made else text

    def _upstream(self, found: re.Match[bytes]) -> bytes:
        whole = found[0]
        made = self._made.get(whole)
        if made is not None and made.upstream:
            return made.upstream.encode()
        bare = self._made.get(whole[2:]) if whole.startswith(b"m-") else None
        return b"m-" + bare.upstream.encode() if bare is not None and bare.upstream else whole

    def backward(self, text: bytes) -> bytes:
        """Put the given ids back, so that a client meets again what it was told."""
        if self._experiments:
            text = _EXPERIMENT.sub(lambda found: found[1] + self._experiments.get(found[2], found[2]) + found[3], text)
        return _FOREIGN.sub(self._given, text) if self._back else text

    def _given(self, found: re.Match[bytes]) -> bytes:
        whole = found[0]
        if whole.startswith(b"m-") and whole not in self._back:
            return b"m-" + self._back.get(whole[2:], whole[2:])
        return self._back.get(whole, whole)

    def address(self, target: str) -> str | None:
        """Return an address in the upstream server's ids; None where it is of an artifact that it does not serve.

        Args:
            target: Path and query, still escaped.
        """
        path, mark, query = target.partition("?")
        head, served, below = path.partition(ARTIFACTS.removeprefix("/api"))
        if not self._made or not served:
            return self.forward(target.encode("latin-1")).decode("latin-1")
        if below.startswith("/"):
            found = self.artifact_path(below[1:])
            return None if found is None else f"{head}{served}/{found}{mark}{query}"
        fields = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            found = self.artifact_path(quote(value)) if name == "path" else quote(value)
            if found is None:
                return None
            fields.append(f"{quote(name)}={found}")
        return f"{path}{mark}{'&'.join(fields)}"

    def artifact_path(self, path: str) -> str | None:
        """Return where the upstream server keeps what a client knows by a path below the artifact proxy.

        Args:
            path: As in the address, still escaped.

        Returns:
            The path, escaped; None where the server keeps it somewhere that it does not serve.
        """
        segments = path.split("/")
        for place in reversed(range(len(segments))):
            made = self.fate(segments[place])
            if made is None or not made.upstream:
                continue
            root = proxied_path(made.root)
            if root is None:
                return None
            # a run's and a model's root ends with this segment and `artifacts`, an experiment's with this segment
            rest = segments[place + 1 :] if made.kind == "experiment" else segments[place + 2 :]
            return "/".join([*filter(None, quote(root, safe="/%").split("/")), *rest])
        return path


_UNKNOWN = Made("", "", "unknown", "")


def proxied_path(uri: str) -> str | None:
    """Return the path below the artifact proxy to which a URI leads, or None where it leads elsewhere.

    Example:
        >>> proxied_path("mlflow-artifacts:/0/abc/artifacts"), proxied_path("s3://bucket/0/abc")
        ('0/abc/artifacts', None)
    """
    parts = urlsplit(uri)
    if parts.scheme == _PROXIED:
        return parts.path.strip("/")
    if parts.scheme in ("http", "https") and ARTIFACTS in parts.path:
        return parts.path.partition(ARTIFACTS)[2].strip("/")
    return None
