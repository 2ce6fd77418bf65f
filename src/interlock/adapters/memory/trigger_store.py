"""Keep triggers in a dictionary."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.core.errors import NotFound, did_you_mean
from interlock.core.refs import check_name
from interlock.ports.trigger_store import Trigger, TriggerStore


class MemoryTriggerStore(TriggerStore):
    """Triggers in memory."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._triggers: dict[str, Trigger] = {}

    def apply(self, trigger: Trigger) -> Trigger:
        check_name(trigger.name, of="trigger")
        new = settled(trigger)
        with self._journal.lock:
            before = self._triggers.get(new.name)
            if before is not None:
                new = msgspec.structs.replace(new, cursor=before.cursor)
            if new != before:
                self._triggers[new.name] = new
                self._journal.append(
                    "trigger.applied", f"trigger:{new.name}", payload={"action": new.action, "enabled": new.enabled}
                )
            return new

    def get(self, name: str) -> Trigger:
        with self._journal.lock:
            if name not in self._triggers:
                raise NotFound(f"there is no trigger '{name}'", why=did_you_mean(name, self._triggers))
            return self._triggers[name]

    def triggers(self) -> list[Trigger]:
        with self._journal.lock:
            return [self._triggers[name] for name in sorted(self._triggers)]

    def advance(self, name: str, *, expect: int, to: int, fired: dict[str, Any] | None = None) -> bool:
        with self._journal.lock:
            trigger = self._triggers.get(name)
            if trigger is None or trigger.cursor != expect:
                return False
            self._triggers[name] = msgspec.structs.replace(trigger, cursor=to)
            if fired is not None:
                self._journal.append("trigger.fired", f"trigger:{name}", payload=fired)
            return True

    def delete(self, name: str) -> bool:
        with self._journal.lock:
            return self._triggers.pop(name, None) is not None
