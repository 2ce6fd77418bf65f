"""Play random operations on a backend and on memory, and demand the same outcomes, errors included."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from interlock.core.errors import InterlockError
from interlock.ports.journal import Event
from interlock.ports.stores import Stores

Plays = Mapping[str, st.SearchStrategy[dict[str, Any]]]
"""Operation name to a strategy for its keyword arguments. Small pools of names make operations meet."""


def state_machine(
    port: str,
    plays: Plays,
    *,
    model: Callable[[], AbstractContextManager[Stores]],
    backend: Callable[[], AbstractContextManager[Stores]],
    forget: Mapping[type, tuple[str, ...]] | None = None,
) -> type[RuleBasedStateMachine]:
    """Build the state machine of one port.

    Args:
        port: Name of the store in the bundle (`models`).
        plays: What may be played.
        model: Opens the fresh memory stores that say what is right.
        backend: Opens fresh stores of the backend under test.
        forget: Record type to the fields whose values may differ (ids and times made by the store).
    """
    ignored = {Event: ("id", "time"), **(forget or {})}

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self._exit = contextlib.ExitStack()
            self._model = self._exit.enter_context(model())
            self._backend = self._exit.enter_context(backend())

        @rule(data=st.data())
        def play(self, data: st.DataObject) -> None:
            name = data.draw(st.sampled_from(sorted(plays)), label="operation")
            arguments = data.draw(plays[name], label="arguments")
            # a name with a dot is an operation of another store, which shares something with this one
            path = name if "." in name else f"{port}.{name}"
            expected = _outcome(self._model, path, arguments, ignored)
            found = _outcome(self._backend, path, arguments, ignored)
            assert found == expected, f"{path}({arguments})"

        def teardown(self) -> None:
            try:
                assert _history(self._backend) == _history(self._model), "the journals differ"
            finally:
                self._exit.close()

    Machine.__name__ = Machine.__qualname__ = f"{port.title()}Machine"
    return Machine


def _outcome(stores: Stores, path: str, arguments: dict[str, Any], ignored: Mapping[type, tuple[str, ...]]) -> Any:
    try:
        result = operator.attrgetter(path)(stores)(**arguments)
        return plain(list(result) if isinstance(result, Iterator) else result, ignored)
    except InterlockError as error:
        return (type(error).__name__, error.code)


def _history(stores: Stores) -> list[tuple[str, str, Any]]:
    events = stores.journal.events(limit=100_000)
    return [(event.kind, event.subject, event.payload) for event in events]


def plain(value: Any, ignored: Mapping[type, tuple[str, ...]] | None = None) -> Any:
    """Return a record as plain values that compare exactly (NaN equal to itself), without ignored fields."""
    skip = ignored or {}
    if isinstance(value, msgspec.Struct):
        fields = {
            field: plain(getattr(value, field), skip)
            for field in value.__struct_fields__
            if field not in skip.get(type(value), ())
        }
        return (type(value).__name__, fields)
    if isinstance(value, dict):
        return {plain(key, skip): plain(item, skip) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, skip) for item in value]
    if isinstance(value, float) and value != value:
        return "NaN"
    return value
