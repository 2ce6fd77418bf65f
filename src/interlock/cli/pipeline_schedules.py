"""Have pipelines run by themselves: at times, or when something happens."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cyclopts import App

from interlock.cli.noun import Here
from interlock.cli.output import Answer, listing
from interlock.cli.pipeline_running import Words, declared_pipeline
from interlock.core.clock import Clock
from interlock.core.errors import InvalidInput, NotFound, did_you_mean
from interlock.core.refs import check_name
from interlock.loop.starting import PIPELINE, PipelineOrder
from interlock.loop.triggers import next_time
from interlock.pipelines.arguments import arguments_from_values, texts_of_words
from interlock.pipelines.declarations import SUFFIXES, Schedule
from interlock.ports.trigger_store import Trigger
from interlock.workspace import open_workspace

_HOW = "interlock pipeline schedule train.py:nightly --cron '0 4 * * *'"


def add_to(app: App) -> None:
    """Add the commands about schedules."""
    app.command(schedule)
    app.command(schedules)
    app.command(unschedule)


def schedule(
    target: str,
    /,
    *words: Words,
    cron: str | None = None,
    time_zone: str = "UTC",
    event: str | None = None,
    where: tuple[str, ...] = (),
    name: str | None = None,
    on: str | None = None,
    session: Here,
) -> Answer:
    """Have a pipeline run at times (`--cron`) or when something happens (`--event`); `interlock up` starts it.

    Args:
        target: `FILE.py:NAME`, `MODULE:NAME`, or a YAML file, which may say all the rest.
        words: The pipeline's own flags; `{date}`, `{time}` and `{subject}` in them are filled in at each start.
        cron: Five fields of cron.
        time_zone: The zone in which they are read.
        event: A kind of event: `dataset.committed`, `alert.opened`, `labels.published` …
        where: What the event has to be, as `subject=dataset:flights`.
        name: What the schedule is called; the pipeline's name if not given.
        on: Where its steps run.
    """
    declared, pipeline = declared_pipeline(target)
    when = declared.schedule or Schedule()
    wanted = dict(_condition(one) for one in where)
    when = msgspec.structs.replace(
        when,
        cron=cron or (None if event else when.cron),
        event=event or (None if cron else when.event),
        time_zone=time_zone if time_zone != "UTC" else when.time_zone,
        where=wanted or when.where,
    )
    if (when.cron is None) == (when.event is None):
        raise InvalidInput("this does not say when", why="expected one of --cron and --event", fix=_HOW)
    given = {**declared.arguments, **(texts_of_words(pipeline, words) if words else {})}
    if not _has_blanks(given):
        arguments_from_values(pipeline, given)
    is_file = target.endswith(SUFFIXES)
    order = PipelineOrder(
        declared.pipeline if is_file else target,
        str((Path(target).parent if is_file else Path()).resolve()),
        given,
        on or declared.on,
    )
    trigger = Trigger(
        name=check_name(name or declared.name or pipeline.name, of="schedule"),
        action=PIPELINE,
        on=when.event,
        where=when.where,
        cron=when.cron,
        time_zone=when.time_zone,
        params=msgspec.to_builtins(order),
    )
    with open_workspace(session.uri) as workspace:
        applied = workspace.loop.triggers.apply(trigger)
        said = f"trigger:{applied.name} runs {order.target} {_when(applied, workspace.clock)}; `interlock up` starts it"
    return Answer(applied, (said,))


def schedules(*, session: Here) -> Answer:
    """List the schedules of pipelines, with the next time of each."""
    with open_workspace(session.uri, create=False) as workspace:
        found = [one for one in workspace.stores.triggers.triggers() if one.action == PIPELINE]
        clock = workspace.clock
        columns = {
            "schedule": lambda one: one.name,
            "pipeline": lambda one: one.params.get("target"),
            "arguments": lambda one: one.params.get("arguments"),
            "when": lambda one: _when(one, clock),
            "enabled": lambda one: one.enabled,
        }
        return listing(found, columns, empty=f"no pipeline runs by itself: {_HOW}")


def unschedule(name: str, /, *, session: Here) -> Answer:
    """Take a schedule away; what it started goes on.

    Args:
        name: Its name.
    """
    name = name.removeprefix("trigger:")
    with open_workspace(session.uri, create=False) as workspace:
        store = workspace.stores.triggers
        known = [one.name for one in store.triggers() if one.action == PIPELINE]
        if name not in known:
            raise NotFound(f"there is no schedule '{name}'", why=did_you_mean(name, known))
        store.delete(name)
    return Answer({"deleted": name}, (f"schedule '{name}' is gone",))


def _when(trigger: Trigger, clock: Clock) -> str:
    if trigger.cron is None:
        wanted = ", ".join(f"{key}={value}" for key, value in trigger.where.items())
        return f"on {trigger.on}" + (f" where {wanted}" if wanted else "")
    due = next_time(trigger.cron, trigger.time_zone, after=clock.now())
    return f"at '{trigger.cron}' {trigger.time_zone}, next {due:%Y-%m-%d %H:%M} UTC"


def _condition(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidInput(
            f"--where '{text}' says nothing", why="expected KEY=VALUE", fix="--where subject=dataset:flights"
        )
    return key, value


def _has_blanks(given: dict[str, object]) -> bool:
    return any(isinstance(value, str) and "{" in value for value in given.values())
