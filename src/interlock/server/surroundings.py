"""Open what stands around a data plane: its statistics, its access log and traces, and the keys of its callers."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.core.errors import InvalidInput
from interlock.core.owner_keys import owner_key
from interlock.server.access_log import AccessLog
from interlock.server.api_keys import KeyGate
from interlock.server.explain import Explaining
from interlock.server.observing import Gauge, Observer
from interlock.server.serving_folder import ACCESS_FILE, serving_folder
from interlock.server.tracing import SWITCH, Tracing
from interlock.serving.api_keys import ApiKeys
from interlock.serving.request_statistics import RequestBook
from interlock.serving.statistics import StatisticsBook
from interlock.workspace import Workspace

ACCESS_LOG = "INTERLOCK_ACCESS_LOG"
"""Names the access log: a path, `-` for standard output, `on` for a file in the workspace's folder, or `off`."""


@dataclass(frozen=True)
class Surroundings:
    """What stands around a data plane.

    Args:
        statistics: Counts what versions do.
        observer: Counts and logs requests.
        keys: Admits callers by their keys.
        explaining: Explains answers.
    """

    statistics: StatisticsBook
    observer: Observer
    keys: KeyGate
    explaining: Explaining


@contextlib.contextmanager
def surroundings(
    workspace: Workspace, environ: Mapping[str, str], *, access_log: str | None = None
) -> Iterator[Surroundings]:
    """Open them for the length of a block.

    Args:
        workspace: Whose endpoints are served.
        environ: `INTERLOCK_ACCESS_LOG` names the access log; `INTERLOCK_TRACES=otel` switches tracing on.
        access_log: Names the access log, in place of the environment.

    Raises:
        InvalidInput: The log cannot be written, or a setting makes no sense.
        MissingExtra: Traces are wanted, and OpenTelemetry is not installed.
    """
    folder = serving_folder(workspace)
    with contextlib.ExitStack() as exits:
        statistics = exits.enter_context(contextlib.closing(StatisticsBook(folder)))
        named = access_log or environ.get(ACCESS_LOG, "").strip() or "off"
        if named == "on":
            named = str(folder / ACCESS_FILE) if folder is not None else "off"
        log = None if named == "off" else exits.enter_context(contextlib.closing(AccessLog(named)))
        tracing = exits.enter_context(contextlib.closing(Tracing(environ))) if _wants_traces(environ) else None
        requests = exits.enter_context(contextlib.closing(RequestBook(folder)))
        stores = workspace.stores
        keys = KeyGate(
            ApiKeys(stores.records, stores.journal, clock=workspace.clock),
            stores.journal,
            folder=folder,
            clock=workspace.clock,
            owner=owner_key(workspace.secret),
        )
        exits.callback(keys.close)
        keys.start()
        explaining = exits.enter_context(contextlib.closing(Explaining(workspace, folder)))
        observer = Observer(requests, access_log=log, tracing=tracing, gauges=_log_gauges(workspace.folder))
        yield Surroundings(statistics, observer, keys, explaining)


def _log_gauges(folder: Path) -> list[Gauge]:
    """Return how far the prediction log is behind what is spooled for it."""
    spool = folder / "predictions"

    def waiting() -> list[float]:
        found = []
        for path in spool.glob("*.spool") if spool.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                found.append(path.stat().st_mtime)
        return found

    def lag_s() -> float:
        return max(0.0, time.time() - min(waiting(), default=math.inf))

    return [
        ("interlock_prediction_log_waiting_files", "Files of answers on their way to the log.", lambda: len(waiting())),
        ("interlock_prediction_log_lag_seconds", "How long the oldest of them has waited.", lag_s),
    ]


def _wants_traces(environ: Mapping[str, str]) -> bool:
    said = environ.get(SWITCH, "").strip().lower()
    if said not in ("", "off", "otel"):
        raise InvalidInput(f"{SWITCH} cannot be '{said[:40]}'", why="expected otel or off", fix=f"{SWITCH}=otel")
    return said == "otel"
