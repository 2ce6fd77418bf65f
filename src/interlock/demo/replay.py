"""Stations six to eight: the year goes by, hour by hour, through the endpoint, and the loop turns by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.clock import EPOCH, from_micros, to_micros
from interlock.core.schema import Signature
from interlock.demo import flight_delay, plan
from interlock.demo.client import EndpointClient
from interlock.demo.narrator import Narrator
from interlock.loop.loop import Turn
from interlock.ports.dataset_store import Snapshot
from interlock.workspace import Workspace

SUBJECT = f"endpoint:{plan.ENDPOINT}"
DONE = "replay.advanced"
HOUR_US = 3_600_000_000
WAIT_S = 120.0


def told(turn: Turn) -> list[str]:
    """Return the lines of a turn that matter: what was decided, and the alerts that led to it."""
    decided = [line for line in turn.actions if ": waits" not in line]
    return [*(turn.alerts if decided else ()), *decided, *turn.moves]


class Replay:
    """A period of real flights, in the order of time.

    Args:
        workspace: Where the loop turns.
        client: Asks the endpoint.
        features: Snapshot with one row per flight.
        span: The period.
    """

    def __init__(self, workspace: Workspace, client: EndpointClient, features: Snapshot, span: plan.Span) -> None:
        table = workspace.data.read(features.ref)
        inside = pc.and_(
            pc.greater_equal(table["asked_at"], pa.scalar(span.live)), pc.less(table["asked_at"], pa.scalar(span.end))
        )
        self._table = table.filter(inside).combine_chunks()
        self._asked = self._table["asked_at"].cast(pa.int64()).to_numpy()
        known = self._table.filter(pc.is_valid(self._table["arr_delay"])).sort_by("arrived")
        self._known = known["arrived"].cast(pa.int64()).to_numpy()
        self._truths = list(
            zip(known["flight_id"].to_pylist(), flight_delay.is_late(known["arr_delay"]).to_pylist(), strict=True)
        )
        self._workspace = workspace
        self._client = client
        self._features = features.ref
        self._span = span
        self._signature: Signature = workspace.registry.resolve(f"model:{plan.MODEL}@champion").signature

    def run(self, narrator: Narrator) -> None:
        """Replay what has not been replayed yet, day by day, and tell what the loop does."""
        days = list(self._days())
        # history is replayed at its own pace: whatever turns the loop by the wall clock has to wait
        right = self._workspace.loop.right.held(wait_s=WAIT_S)
        with right, narrator.progress("replay", total=len(days)) as bar:
            for start in days:
                end = min(start + plan.DAY, self._span.end)
                self._ask(start, end)
                self._tell(start, end)
                turn = self._workspace.loop.tick(upto=end)
                for line in told(turn):
                    narrator.note(f"{start:%d %b}  {line}")
                self._workspace.stores.journal.append(DONE, SUBJECT, payload={"upto": to_micros(end)}, actor="demo")
                bar.advance(f"{start:%d %b %Y}")

    def _days(self) -> Iterator[datetime]:
        done = self._workspace.stores.journal.events(kinds=[DONE], subject=SUBJECT, limit=1, newest_first=True)
        day = from_micros(done[0].payload["upto"]) if done else self._span.live
        while day < self._span.end:
            yield day
            day += plan.DAY

    def _ask(self, start: datetime, end: datetime) -> None:
        """Send the rows of a period, one request per hour."""
        low, high = np.searchsorted(self._asked, [to_micros(start), to_micros(end)])
        if low == high:
            return
        columns = self._table.slice(low, high - low).select([*flight_delay.INPUTS, "flight_id", "asked_at"]).to_pydict()
        hours = self._asked[low:high] // HOUR_US
        edges = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), int(high - low)]
        for first, last in pairwise(edges):
            ids = columns["flight_id"][first:last]
            self._client.infer(
                self._signature,
                {name: columns[name][first:last] for name in flight_delay.INPUTS},
                ids=ids,
                event_times=[moment.isoformat() for moment in columns["asked_at"][first:last]],
                entities=[f"flight_id={one}" for one in ids],
                features=self._features,
            )

    def _tell(self, start: datetime, end: datetime) -> None:
        """Send the truths that became known in a period."""
        low, high = np.searchsorted(self._known, [to_micros(start), to_micros(end)])
        truths: list[dict[str, Any]] = [
            {
                "prediction_id": flight_id,
                "truth": late,
                "known_at": (EPOCH + timedelta(microseconds=int(self._known[position]))).isoformat(),
                "source": "arrival",
            }
            for position, (flight_id, late) in enumerate(self._truths[low:high], start=low)
        ]
        if truths:
            self._client.feedback(truths)
