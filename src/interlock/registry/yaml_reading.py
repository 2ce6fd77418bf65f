"""Read the block YAML that `MLmodel` files are written in, every scalar as text."""

from __future__ import annotations

import re
from typing import Any

from interlock.core.errors import InvalidInput, LimitExceeded

DEEPEST = 32

_KEY = re.compile(r"""('(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s'"\[\]{},#&*!|>%@`-][^#]*?|-[^\s#][^#]*?)\s*:(?:\s+|$)""")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_NAMED = dict(zip("0abtnvfre", "\0\a\b\t\n\v\f\r\x1b", strict=True)) | {
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def read_section(text: str, key: str) -> Any:
    r"""Return what a document's mapping holds under a key: mappings, lists, text, or None; None too without the key.

    Source: YAML 1.1; block mappings and sequences, plain and quoted scalars over one or more lines, and empty flow
    collections, which is all that PyYAML writes in block style. Other parts of the document are not looked at.

    Raises:
        InvalidInput: The part under the key is not of this kind.
        LimitExceeded: It nests too deeply.

    Example:
        >>> read_section("a: 1\nflavors:\n  sklearn:\n    code: null\n", "flavors")
        {'sklearn': {'code': None}}
    """
    lines = text.splitlines()
    begins = [at for at, line in enumerate(lines) if line.startswith(f"{key}:")]
    if not begins:
        return None
    end = begins[0] + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " -#") and lines[end][:3] != "---":
        end += 1
    reader = _Reader(lines[begins[0] : end])
    found = reader.mapping(0, DEEPEST)
    reader.check_done()
    return found[key]


class _Reader:
    """Goes through lines, one value after the other."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def mapping(self, indent: int, depth: int) -> dict[str, Any]:
        """Read the entries that begin at a column."""
        found: dict[str, Any] = {}
        while self._indent() == indent and not self._is_item():
            line = self._lines[self._at]
            head = _KEY.match(line, indent)
            if head is None:
                raise _unreadable(line)
            self._at += 1
            found[_unquoted(head[1])] = self._value(line[head.end() :].strip(), indent, depth, in_mapping=True)
        return found

    def check_done(self) -> None:
        """Refuse what is left over: it lies at a column of its own."""
        if self._indent() is not None:
            raise _unreadable(self._lines[self._at])

    def _sequence(self, indent: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while self._indent() == indent and self._is_item():
            line = self._lines[self._at]
            rest = line[indent + 1 :]
            inner = indent + 1 + len(rest) - len(rest.lstrip())
            if rest.strip() and (_KEY.match(line, inner) or re.match(r"-(\s|$)", line[inner:])):
                # what begins on the line of its dash goes on below it
                self._lines[self._at] = " " * inner + line[inner:]
                found.append(self._block(inner, depth))
            else:
                self._at += 1
                found.append(self._value(rest.strip(), indent, depth, in_mapping=False))
        return found

    def _block(self, indent: int, depth: int) -> Any:
        if depth == 0:
            raise LimitExceeded("a YAML document is nested too deeply", why=f"it may nest {DEEPEST} deep")
        return self._sequence(indent, depth - 1) if self._is_item() else self.mapping(indent, depth - 1)

    def _value(self, rest: str, indent: int, depth: int, *, in_mapping: bool) -> Any:
        """Read what follows a key or a dash: on its line, or indented below it."""
        if not rest or rest.startswith("#"):
            below = self._indent()
            if below is not None and (below > indent or (in_mapping and below == indent and self._is_item())):
                return self._block(below, depth)
            return None
        if rest in ("{}", "[]"):
            return {} if rest == "{}" else []
        if rest[0] in "'\"":
            return self._quoted(rest)
        if rest[0] in "[{&*!|>%@`":
            raise _unreadable(rest)
        while (below := self._indent()) is not None and below > indent:
            part = self._lines[self._at].strip()
            if _KEY.match(part):
                raise _unreadable(part)
            rest += " " + part
            self._at += 1
        rest = re.split(r"\s#", rest, maxsplit=1)[0].rstrip()
        return None if rest in _NULLS else rest

    def _quoted(self, text: str) -> str:
        """Read a quoted scalar, folding its lines into one as YAML does."""
        mark, parts, part = text[0], [], text[1:]
        while True:
            end = _end_of_quote(part, mark)
            if end is not None:
                if not re.fullmatch(r"\s*(#.*)?", part[end + 1 :]):
                    raise _unreadable(text)
                parts.append(part[:end])
                return _unquoted(mark + _folded(parts, mark) + mark)
            parts.append(part)
            if self._at >= len(self._lines):
                raise _unreadable(text)
            part = self._lines[self._at].strip()
            self._at += 1

    def _indent(self) -> int | None:
        """Return the column at which the next line with content begins, or None at the end."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip() and not line.lstrip().startswith("#"):
                return len(line) - len(line.lstrip(" "))
            self._at += 1
        return None

    def _is_item(self) -> bool:
        return re.match(r" *-(\s|$)", self._lines[self._at]) is not None


def _end_of_quote(line: str, mark: str) -> int | None:
    """Return where a quoted scalar ends on a line, or None where it goes on."""
    inside = re.compile(r"(?:[^']|'')*" if mark == "'" else r'(?:[^"\\]|\\.)*')
    found = inside.match(line)
    assert found is not None
    return found.end() if line[found.end() : found.end() + 1] == mark else None


def _folded(parts: list[str], mark: str) -> str:
    """Join the lines of a scalar: a break becomes a blank, an empty line a break, an escaped break nothing."""
    joined = [parts[0]]
    breaks = 0
    for at, part in enumerate(parts[1:], start=1):
        last = joined[-1]
        if not part and at < len(parts) - 1:
            breaks += 1
            continue
        if breaks:
            joined.append("\n" * breaks)
        elif mark == '"' and (len(last) - len(last.rstrip("\\"))) % 2:
            joined[-1] = last[:-1]
        else:
            joined.append(" ")
        joined.append(part)
        breaks = 0
    return "".join(joined)


def _unquoted(text: str) -> str:
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] == '"':
        return _ESCAPE.sub(_escaped, text[1:-1])
    return text


def _escaped(found: re.Match[str]) -> str:
    mark = found[1]
    return chr(int(mark[1:], 16)) if len(mark) > 1 else _NAMED.get(mark, mark)


def _unreadable(line: str) -> InvalidInput:
    return InvalidInput(
        f"the YAML at {line.strip()[:60]!r} cannot be read",
        why="expected block mappings and sequences of plain or quoted scalars, as MLflow writes them",
    )
