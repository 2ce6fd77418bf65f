"""Say in words why a step ran again, by naming what differs from the nearest earlier execution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from interlock.pipelines.reuse import changed_in_words, doubtful
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
    places: Mapping[str, str] | None = None,
) -> str:
    """Return `first run`, or `re-ran:` and what changed since the most similar execution.

    Args:
        symbols: Code symbol to its kind and hash.
        inputs: Argument to the id of its value.
        libraries: Distribution to version.
        shown: Readable values of constants and of arguments (as `input:<name>`).
        history: Earlier executions, newest first.
        places: Where functions and classes are written now.
    """
    if not history:
        return "first run"
    found = [list(_changes(symbols, inputs, libraries, shown, record, places or {})) for record in history]
    changes = min(found, key=len)
    if not changes:
        nearest = history[found.index(changes)]
        return f"re-ran: {doubtful(nearest.doubts) if nearest.doubts else 'its output was not kept'}"
    more = len(changes) - _MOST
    return "re-ran: " + "; ".join(changes[:_MOST]) + (f"; and {more} more" if more > 0 else "")


def reason_to_reuse(record: StepRecord) -> str:
    """Return why an earlier output stands."""
    return f"reused: same code, inputs and libraries as run {record.run}"


def differences(old: StepRecord, new: StepRecord) -> tuple[str, ...]:
    """Return in words everything in which two executions of a step differ; nothing if they are the same."""
    found = list(_changes(new.symbols, new.inputs, new.libraries, new.shown, old, {}))
    before, after = ({one.name: one.state for one in record.touched} for record in (old, new))
    for name in sorted({*before, *after}):
        if name not in before or name not in after:
            found.append(f"{'no longer reads' if name in before else 'reads'} {name.replace(':', ' ', 1)}")
        elif before[name] != after[name]:
            found.append(changed_in_words(name))
    found += [f"now in doubt: {doubt}" for doubt in new.doubts if doubt not in old.doubts]
    if old.output != new.output:
        found.append("another output")
    return tuple(found)


def _changes(
    symbols: Mapping[str, str],
    inputs: Mapping[str, str],
    libraries: Mapping[str, str],
    shown: Mapping[str, str],
    record: StepRecord,
    places: Mapping[str, str],
) -> Iterator[str]:
    changed = [name for name in symbols if name in record.symbols and symbols[name] != record.symbols[name]]
    for name in changed:
        place = f" ({places[name]})" if name in places else ""
        yield f"{_kind(symbols[name])} `{name}` {_difference(name, shown, record)}{place}"
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
