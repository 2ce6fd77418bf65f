"""Say which traces to find and in which order."""

from __future__ import annotations

from typing import Literal

import msgspec

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "RLIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
TracePart = Literal["attribute", "tag", "metadata", "feedback", "expectation", "issue", "link"]
SpanPart = Literal["name", "kind", "status", "attribute", "text"]
TRACE_ATTRIBUTES = ("id", "experiment", "start_ms", "duration_ms", "end_ms", "status", "client_request")
NUMBERS = ("experiment", "start_ms", "duration_ms", "end_ms")
"""The attributes that are numbers; the others are text."""


class TraceCompare(msgspec.Struct, frozen=True, tag="compare"):
    """One comparison; a trace that lacks the field matches `IS NULL` only.

    `LIKE` has `%` and `_` and tells case; `ILIKE` does not (of ASCII letters); `RLIKE` looks for a regular expression
    of RE2 anywhere. A feedback or expectation matches if a valid one of that name does, of the trace or of its
    session; its value compares as text, and as a number with what reads as one. `link` means a Ref that the trace is
    tied to (for a run, also one that made it) and `issue` the name of an issue; both only with `=`.

    Args:
        part: What kind of thing is compared.
        key: Its name; of `link` and `issue` nothing.
        operator: How.
        value: With what.
    """

    part: TracePart
    key: str
    operator: Operator
    value: str | int | float | tuple[str, ...] | None = None


class SpanCompare(msgspec.Struct, frozen=True):
    """One comparison with a span.

    `text` is its name, and each of its attributes as `key: value`; `attribute` the value under the key, as text.
    """

    part: SpanPart
    operator: Operator
    value: str | tuple[str, ...] | None = None
    key: str = ""


class AnySpan(msgspec.Struct, frozen=True, tag="span"):
    """The traces with a span that all the comparisons match."""

    compares: tuple[SpanCompare, ...]


class TraceNot(msgspec.Struct, frozen=True, tag="not"):
    """The traces that a condition does not match."""

    clause: TraceFilter


class AllTraces(msgspec.Struct, frozen=True, tag="all"):
    """The traces that every condition matches."""

    clauses: tuple[TraceFilter, ...]


class AnyTraces(msgspec.Struct, frozen=True, tag="any"):
    """The traces that at least one condition matches."""

    clauses: tuple[TraceFilter, ...]


TraceFilter = TraceCompare | AnySpan | TraceNot | AllTraces | AnyTraces


class TraceOrder(msgspec.Struct, frozen=True):
    """One key of an order; traces without a value come last either way."""

    part: Literal["attribute", "tag", "metadata"]
    key: str
    descending: bool = False
