"""Port: triggers, which turn an event or a time into an action, each exactly once."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

import msgspec


class Trigger(msgspec.Struct, frozen=True):
    """A standing order; its Ref is `trigger:<name>`.

    Args:
        name: Its name.
        action: Name of what to do (`retrain`).
        on: Kind of event that sets it off, or None.
        where: Values that the event's payload (or `subject`) must have.
        cron: Five-field cron expression that sets it off, or None.
        time_zone: Zone in which the cron expression is read.
        params: Arguments of the action.
        enabled: Whether it is live.
        cursor: The `seq` (or epoch second, for cron) up to which it has been handled.
    """

    name: str
    action: str
    on: str | None = None
    where: dict[str, Any] = {}
    cron: str | None = None
    time_zone: str = "UTC"
    params: dict[str, Any] = {}
    enabled: bool = True
    cursor: int = 0


class TriggerStore(Protocol):
    """Triggers and how far each has got.

    Thread-safe and process-safe. `advance` is compare-and-swap on the cursor: of two processes that see the
    same event one gets True and acts, the other False. Applying a changed trigger keeps its cursor.

    Events: `trigger.applied`, `trigger.fired` (written by `advance` when `fired` is given; payload: `fired`).
    """

    @abstractmethod
    def apply(self, trigger: Trigger) -> Trigger:
        """Create or replace a trigger."""

    @abstractmethod
    def get(self, name: str) -> Trigger:
        """Return a trigger."""

    @abstractmethod
    def triggers(self) -> list[Trigger]:
        """List triggers by name."""

    @abstractmethod
    def advance(self, name: str, *, expect: int, to: int, fired: dict[str, Any] | None = None) -> bool:
        """Move the cursor from `expect` to `to`; return whether this call moved it."""

    @abstractmethod
    def delete(self, name: str) -> bool:
        """Forget a trigger; return whether it was there."""
