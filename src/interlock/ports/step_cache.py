"""Port: what steps produced before, by the key of everything that went into them."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

import msgspec


class StepRecord(msgspec.Struct, frozen=True):
    """One execution of a step that may be reused.

    Args:
        key: Hash of code, inputs, parameters and libraries.
        step: Qualified name of the step.
        run: Id of the run that executed it.
        created_at: When it was executed.
        duration_s: How long it took.
        symbols: Each function, constant and class it depends on, to the hash of its meaning.
        inputs: Each argument, to the digest of its value.
        libraries: Each distribution it really refers to, with its version.
        output: Digest of the stored output.
        output_form: How the output is stored (`arrow`, `msgpack`, `skops`, …).
        shown: Short readable values of constants and arguments, so that a change can be named.
    """

    key: str
    step: str
    run: str
    created_at: datetime
    duration_s: float
    symbols: dict[str, str]
    inputs: dict[str, str]
    libraries: dict[str, str]
    output: str
    output_form: str
    shown: dict[str, str] = {}


class StepCache(Protocol):
    """Step records, every version kept.

    Thread-safe and process-safe. `put` is idempotent by key: the first record stands and is returned, so of
    two concurrent runs of one step both get the same output.
    """

    @abstractmethod
    def find(self, key: str) -> StepRecord | None:
        """Return the record of a key or None."""

    @abstractmethod
    def put(self, record: StepRecord) -> StepRecord:
        """Store a record; return the one that stands for its key."""

    @abstractmethod
    def history(self, step: str, *, limit: int = 20) -> list[StepRecord]:
        """List the records of a step, newest first."""

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Forget a record; return whether it was there."""
