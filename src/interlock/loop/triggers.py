"""Fire triggers: an event or a time turns into an action, exactly once, also across killed processes.

A firing is two events: `trigger.fired`, written with the move of the cursor, and `trigger.done` or
`trigger.failed` after the action. A firing without an end belongs to a process that died; it is run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from interlock.core.clock import EPOCH
from interlock.core.errors import InterlockError, InvalidInput, did_you_mean
from interlock.ports.journal import Event, Journal
from interlock.ports.trigger_store import Trigger, TriggerStore

PAGE = 500


class Firing(msgspec.Struct, frozen=True):
    """One time that a trigger went off.

    Args:
        trigger: The trigger.
        at: Position that set it off: the event's `seq`, or the epoch second of a schedule.
        event: The event that set it off, for triggers on events.
        upto: Event time up to which the world is known.
    """

    trigger: Trigger
    at: int
    event: Event | None
    upto: datetime


class Action(Protocol):
    """What a trigger can set off."""

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse params that make no sense, with `InvalidInput`."""
        ...

    def __call__(self, firing: Firing) -> str:
        """Act, and say in a few words what came of it. It may be called again for the same firing."""
        ...


class Triggers:
    """Runs what is due. One process at a time should call `run_due`; the scheduler holds a lease for that."""

    def __init__(self, store: TriggerStore, journal: Journal, actions: Mapping[str, Action]) -> None:
        self._store = store
        self._journal = journal
        self._actions = actions

    def apply(self, trigger: Trigger) -> Trigger:
        """Record a trigger after checking that its action and its times make sense.

        Raises:
            InvalidInput: The action is unknown or its params make no sense, neither or both of `on` and `cron` are
                given, or the cron expression or the time zone cannot be read.
        """
        if trigger.action not in self._actions:
            raise InvalidInput(
                f"trigger '{trigger.name}' names an unknown action '{trigger.action}'",
                why=did_you_mean(trigger.action, self._actions),
            )
        if (trigger.on is None) == (trigger.cron is None):
            raise InvalidInput(
                f"trigger '{trigger.name}' needs exactly one of `on` and `cron`",
                why=f"got on={trigger.on!r} and cron={trigger.cron!r}",
            )
        if trigger.cron is not None:
            next_time(trigger.cron, trigger.time_zone, after=EPOCH)
        self._actions[trigger.action].check(trigger.params)
        return self._store.apply(trigger)

    def run_due(self, *, now: datetime, upto: datetime) -> list[str]:
        """Fire what is due and finish what a killed process left; return one line per firing."""
        lines: list[str] = []
        for trigger in self._store.triggers():
            if not trigger.enabled:
                continue
            lines += [self._run(firing) for firing in self._unfinished(trigger, upto)]
            lines += self._due_events(trigger, upto) if trigger.on is not None else self._due_times(trigger, now, upto)
        return lines

    def _due_events(self, trigger: Trigger, upto: datetime) -> list[str]:
        assert trigger.on is not None
        lines: list[str] = []
        cursor = trigger.cursor
        while events := self._journal.events(after=cursor, kinds=[trigger.on], limit=PAGE):
            for event in events:
                matches = all(_value(event, key) == wanted for key, wanted in trigger.where.items())
                fired = {"at": event.seq, "event": event.seq} if matches else None
                if not self._store.advance(trigger.name, expect=cursor, to=event.seq, fired=fired):
                    return lines
                cursor = event.seq
                if matches:
                    lines.append(self._run(Firing(trigger=trigger, at=event.seq, event=event, upto=upto)))
        return lines

    def _due_times(self, trigger: Trigger, now: datetime, upto: datetime) -> list[str]:
        assert trigger.cron is not None
        present = int(now.timestamp())
        if trigger.cursor == 0:
            # a new schedule starts from now; times before it existed are not made up for
            self._store.advance(trigger.name, expect=0, to=present)
            return []
        due = next_time(trigger.cron, trigger.time_zone, after=datetime.fromtimestamp(trigger.cursor, now.tzinfo))
        if due > now:
            return []
        # times missed while nothing ran are made up for once, not one by one
        if not self._store.advance(trigger.name, expect=trigger.cursor, to=present, fired={"at": present}):
            return []
        return [self._run(Firing(trigger=trigger, at=present, event=None, upto=upto))]

    def _unfinished(self, trigger: Trigger, upto: datetime) -> list[Firing]:
        history = self._journal.events(
            subject=f"trigger:{trigger.name}", kinds=["trigger."], limit=PAGE, newest_first=True
        )
        ended = {event.payload.get("at") for event in history if event.kind in ("trigger.done", "trigger.failed")}
        open_firings = [
            event for event in history if event.kind == "trigger.fired" and event.payload["at"] not in ended
        ]
        return [
            Firing(trigger=trigger, at=event.payload["at"], event=self._event(event.payload.get("event")), upto=upto)
            for event in reversed(open_firings)
        ]

    def _event(self, seq: int | None) -> Event | None:
        return self._journal.events(after=seq - 1, limit=1)[0] if seq is not None else None

    def _run(self, firing: Firing) -> str:
        trigger = firing.trigger
        subject = f"trigger:{trigger.name}"
        try:
            outcome = self._actions[trigger.action](firing)
        except InterlockError as error:
            self._journal.append(
                "trigger.failed",
                subject,
                payload={"at": firing.at, "error": error.what, "why": error.why},
                actor=subject,
            )
            return f"{trigger.name}: failed: {error.what}"
        self._journal.append("trigger.done", subject, payload={"at": firing.at, "outcome": outcome}, actor=subject)
        return f"{trigger.name}: {outcome}"


def next_time(cron: str, time_zone: str, *, after: datetime) -> datetime:
    """Return the first time after a moment at which a five-field cron expression is due.

    Daylight saving follows Debian cron, as cronsim does: a time in the gap fires right after it, and one that
    occurs twice fires once.

    Raises:
        InvalidInput: The expression or the time zone cannot be read.
    """
    from cronsim import CronSim, CronSimError

    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"'{time_zone}' is not a time zone", why=str(error), fix="UTC, or Europe/Berlin") from error
    try:
        due: datetime = next(CronSim(cron, after.astimezone(zone)))
    except (CronSimError, StopIteration) as error:
        raise InvalidInput(
            f"'{cron}' is not a cron expression", why=str(error) or "it never comes", fix="'0 4 * * *' is daily at 4"
        ) from error
    return due.astimezone(after.tzinfo)


def _value(event: Event, key: str) -> Any:
    return event.subject if key == "subject" else event.payload.get(key)
