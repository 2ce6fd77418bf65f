from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interlock.core.errors import Conflict, InvalidInput
from interlock.loop.triggers import Firing, Triggers, next_time
from interlock.ports.trigger_store import Trigger
from tests.unit.loop.world import START, World


class Recorder:
    """An action that remembers, and fails or dies when asked to; it takes no params."""

    def check(self, params: Mapping[str, Any]) -> None:
        if params:
            raise InvalidInput("it takes no params")

    def __init__(self) -> None:
        self.seen: list[Firing] = []
        self.raises: BaseException | None = None

    def __call__(self, firing: Firing) -> str:
        self.seen.append(firing)
        if self.raises is not None:
            raise self.raises
        return "done"


@pytest.fixture
def action() -> Recorder:
    return Recorder()


@pytest.fixture
def triggers(world: World, action: Recorder) -> Triggers:
    return Triggers(world.stores.triggers, world.stores.journal, {"note": action})


def due(triggers: Triggers, now: datetime = START) -> list[str]:
    return triggers.run_due(now=now, upto=now)


def test_an_event_fires_once(world: World, triggers: Triggers, action: Recorder) -> None:
    triggers.apply(Trigger(name="t", action="note", on="alert.opened"))
    event = world.stores.journal.append("alert.opened", "alert:a")
    assert due(triggers) == ["t: done"]
    assert due(triggers) == []
    assert [firing.event for firing in action.seen] == [event]


def test_only_matching_events_fire(world: World, triggers: Triggers, action: Recorder) -> None:
    triggers.apply(
        Trigger(name="t", action="note", on="alert.opened", where={"endpoint": "delay", "subject": "alert:b"})
    )
    world.stores.journal.append("alert.opened", "alert:a", payload={"endpoint": "delay"})
    world.stores.journal.append("alert.opened", "alert:b", payload={"endpoint": "other"})
    world.stores.journal.append("alert.opened", "alert:b", payload={"endpoint": "delay"})
    world.stores.journal.append("run.started", "run:x")
    due(triggers)
    assert len(action.seen) == 1


def test_many_events_are_worked_off_in_order(world: World, triggers: Triggers, action: Recorder) -> None:
    triggers.apply(Trigger(name="t", action="note", on="x.y"))
    for number in range(7):
        world.stores.journal.append("x.y", f"run:{number}")
    assert len(due(triggers)) == 7
    assert [firing.event.subject for firing in action.seen if firing.event] == [f"run:{n}" for n in range(7)]


def test_a_disabled_trigger_rests(world: World, triggers: Triggers, action: Recorder) -> None:
    triggers.apply(Trigger(name="t", action="note", on="x.y", enabled=False))
    world.stores.journal.append("x.y", "run:x")
    assert due(triggers) == []


def test_a_failing_action_is_recorded_and_not_repeated(world: World, triggers: Triggers, action: Recorder) -> None:
    triggers.apply(Trigger(name="t", action="note", on="x.y"))
    world.stores.journal.append("x.y", "run:x")
    action.raises = Conflict("busy", why="something runs")
    assert due(triggers) == ["t: failed: busy"]
    assert due(triggers) == []
    failure = world.stores.journal.events(kinds=["trigger.failed"])[0]
    assert failure.payload["why"] == "something runs"


def test_a_killed_action_is_run_again(world: World, triggers: Triggers, action: Recorder) -> None:
    triggers.apply(Trigger(name="t", action="note", on="x.y"))
    event = world.stores.journal.append("x.y", "run:x")
    action.raises = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        due(triggers)
    action.raises = None
    assert due(triggers) == ["t: done"]
    assert [firing.event for firing in action.seen] == [event, event]
    assert due(triggers) == []


def test_another_process_that_was_first_leaves_nothing_to_do(
    world: World, triggers: Triggers, action: Recorder
) -> None:
    triggers.apply(Trigger(name="t", action="note", on="x.y"))
    stale = world.stores.triggers.get("t")
    world.stores.journal.append("x.y", "run:x")
    due(triggers)
    assert triggers._due_events(stale, START) == []
    assert len(action.seen) == 1


def test_a_schedule_starts_from_now_and_makes_up_once(triggers: Triggers, action: Recorder) -> None:
    triggers.apply(Trigger(name="t", action="note", cron="0 4 * * *"))
    assert due(triggers, START) == []
    assert due(triggers, START + timedelta(hours=3)) == []
    assert due(triggers, START + timedelta(hours=5)) == ["t: done"]
    assert due(triggers, START + timedelta(hours=6)) == []
    assert due(triggers, START + timedelta(days=9)) == ["t: done"], "nine missed days are made up for once"
    assert [firing.event for firing in action.seen] == [None, None]


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (Trigger(name="t", action="nope", on="x.y"), "unknown action"),
        (Trigger(name="t", action="note", on="x.y", params={"x": 1}), "takes no params"),
        (Trigger(name="t", action="note"), "exactly one"),
        (Trigger(name="t", action="note", on="x.y", cron="* * * * *"), "exactly one"),
        (Trigger(name="t", action="note", cron="61 * * * *"), "not a cron expression"),
        (Trigger(name="t", action="note", cron="* * * * *", time_zone="Mars/Phobos"), "not a time zone"),
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused(
    world: World, triggers: Triggers, trigger: Trigger, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        triggers.apply(trigger)
    assert world.stores.triggers.triggers() == []


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        # Berlin skips 02:00 to 03:00 on 29 March 2026, and has it twice on 25 October 2026
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (datetime(2026, 10, 24, 22, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (datetime(2026, 7, 1, 12, 0, tzinfo=UTC), datetime(2026, 7, 2, 0, 30, tzinfo=UTC)),
    ],
)
def test_daylight_saving_neither_skips_nor_doubles(after: datetime, expected: datetime) -> None:
    assert next_time("30 2 * * *", "Europe/Berlin", after=after) == expected


def test_a_time_that_occurs_twice_fires_once() -> None:
    first = next_time("30 2 * * *", "Europe/Berlin", after=datetime(2026, 10, 24, 22, 30, tzinfo=UTC))
    assert next_time("30 2 * * *", "Europe/Berlin", after=first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
