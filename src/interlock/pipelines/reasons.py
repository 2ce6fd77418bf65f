"""Say in words why a step ran again, by naming what differs from the nearest earlier execution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from interlock.ports.step_cache import StepRecord

_MOST = 4
INPUT = "input:"
"""Prefix of an argument's name among the shown values."""


def reason_to_run(
    symbols: Mapping[str, str],
    inputs: Mapping[str, str],
    libraries: Mapping[str, str],
    shown: Mapping[str, str],
    history: Sequence[StepRecord],
) -> str:
    """Return `first run`, or `re-ran:` and what changed since the most similar execution.

    Args:
        symbols: Code symbol to its kind and hash.
        inputs: Argument to the id of its value.
        libraries: Distribution to version.
        shown: Readable values of constants and of arguments (as `input:<name>`).
        history: Earlier executions, newest first.
    """
    if not history:
        return "first run"
    found = [list(_changes(symbols, inputs, libraries, shown, record)) for record in history]
    changes = min(found, key=len)
    if not changes:
        return "re-ran: its output was not kept"
    more = len(changes) - _MOST
    return "re-ran: " + "; ".join(changes[:_MOST]) + (f"; and {more} more" if more > 0 else "")


def reason_to_reuse(record: StepRecord) -> str:
    """Return why an earlier output stands."""
    return f"reused: same code, inputs and libraries as run {record.run}"


def _changes(
    symbols: Mapping[str, str],
    inputs: Mapping[str, str],
    libraries: Mapping[str, str],
    shown: Mapping[str, str],
    record: StepRecord,
) -> Iterator[str]:
    changed = [name for name in symbols if name in record.symbols and symbols[name] != record.symbols[name]]
    for name in changed:
        yield f"{_kind(symbols[name])} `{name}` {_difference(name, shown, record)}"
    for name in sorted({*inputs, *record.inputs}):
        if inputs.get(name) != record.inputs.get(name):
            yield f"input `{name}` {_difference(INPUT + name, shown, record)}"
    for name in sorted({*libraries, *record.libraries}):
        old, new = record.libraries.get(name), libraries.get(name)
        if old is None:
            yield f"uses library {name} {new}"
        elif new is None:
            yield f"no longer uses library {name}"
        elif old != new:
            yield f"library {name} {old} → {new}"
    if not changed:
        for name in sorted(symbols.keys() - record.symbols.keys()):
            yield f"uses {_kind(symbols[name])} `{name}`"
        for name in sorted(record.symbols.keys() - symbols.keys()):
            yield f"no longer uses {_kind(record.symbols[name])} `{name}`"


def _kind(symbol: str) -> str:
    return symbol.partition(":")[0]


def _difference(name: str, shown: Mapping[str, str], record: StepRecord) -> str:
    old, new = record.shown.get(name), shown.get(name)
    if old and new and old != new:
        return f"{old} → {new}"
    return "changed"
