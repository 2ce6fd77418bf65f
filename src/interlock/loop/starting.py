"""Start a pipeline when its trigger goes off: in a process of its own, so that neither waits for the other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from interlock.core.errors import InvalidInput, Unavailable
from interlock.loop.triggers import Firing

PIPELINE = "pipeline"
"""Name of the action."""


class PipelineOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a trigger says of the pipeline to start.

    Args:
        target: The pipeline, as `interlock pipeline run` takes it.
        folder: The absolute folder it is run in.
        arguments: Its arguments by name. In texts, `{date}`, `{time}` and `{subject}` stand for the day and the
            moment the trigger went off (in its time zone) and for the subject of the event.
        on: Where its steps run; the default if not given.
    """

    target: str
    folder: str
    arguments: dict[str, Any] = {}
    on: str | None = None


class PipelineStarts:
    """The action `pipeline`: starts `interlock pipeline run`, which outlives whoever turned the loop.

    A run that still goes on when the next one is due is not joined by a second: the new process says so and ends.

    Args:
        uri: The workspace that the pipeline runs in.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse params that name no pipeline or no folder."""
        order = _order(params)
        if not Path(order.folder).is_dir():
            raise InvalidInput(
                f"the folder '{order.folder}' of a pipeline is not there", why="it is run in that folder"
            )

    def __call__(self, firing: Firing) -> str:
        """Start the pipeline, and say so.

        Raises:
            Unavailable: The process cannot be started.
        """
        order = _order(firing.trigger.params)
        known = _known(firing)
        arguments = {name: _filled(value, known) for name, value in order.arguments.items()}
        command = [sys.executable, "-m", "interlock.cli.main", "--dir", self._uri, "pipeline", "run", order.target]
        command += ["--quiet", "--arguments", json.dumps(arguments), "--trigger", firing.trigger.name]
        command += ["--on", order.on] if order.on else []
        try:
            started = subprocess.Popen(
                command,
                cwd=order.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"pipeline '{order.target}' cannot be started", why=str(error)) from error
        # whoever ends first: a process that nobody waits for stays in the table of processes
        threading.Thread(target=started.wait, daemon=True, name="interlock-reaper").start()
        return f"started {order.target} as process {started.pid}"


def _order(params: Mapping[str, Any]) -> PipelineOrder:
    try:
        return msgspec.convert(dict(params), PipelineOrder)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            "these params start no pipeline", why=str(error), fix="interlock pipeline schedule …"
        ) from error


def _known(firing: Firing) -> dict[str, str]:
    zone = ZoneInfo(firing.trigger.time_zone)
    moment = firing.event.time if firing.event else datetime.fromtimestamp(firing.at, zone)
    local = moment.astimezone(zone)
    return {
        "{date}": local.date().isoformat(),
        "{time}": local.isoformat(timespec="seconds"),
        "{subject}": firing.event.subject if firing.event else "",
    }


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in known.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, list):
        return [_filled(one, known) for one in value]
    return value
