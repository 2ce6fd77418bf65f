"""Sum the year up: how good the answers were each month, with the loop and without it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from interlock.core.clock import from_micros
from interlock.demo import flight_delay, plan
from interlock.loop.gates import score_table
from interlock.loop.outcomes import judged_rows
from interlock.monitoring.auc import auc
from interlock.workspace import Workspace


class Month(msgspec.Struct, frozen=True):
    """One month of answers.

    Args:
        month: As `2013-02`.
        flights: How many answers have a truth.
        late_share: Share of flights that were late.
        never: AUC of the first model, never trained again.
        loop: AUC of what the loop had behind the endpoint.
        models: Which versions answered callers, in order of appearance.
    """

    month: str
    flights: int
    late_share: float
    never: float
    loop: float
    models: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What a demo came to.

    Args:
        workspace: Where it can be explored.
        months: Month by month.
        predictions: Answers that callers saw.
        truths: Truths that came back.
        reports: Windows that were judged.
        alerts: Alerts that opened.
        promotions: Versions that the loop promoted.
        refusals: Candidates that a gate, the shadow or the canary refused, each with the reason.
        example: A prediction to trace.
        leak: Held-back AUC of honest features and of the naive join.
        seconds: Time it took this time.
    """

    workspace: str
    months: tuple[Month, ...]
    predictions: int
    truths: int
    reports: int
    alerts: int
    promotions: tuple[str, ...]
    refusals: tuple[str, ...]
    example: str
    leak: dict[str, float]
    seconds: float


def summarise(workspace: Workspace, span: plan.Span, *, leak: dict[str, float], begun: float) -> Outcome:
    """Read the outcome back from the workspace."""
    journal = workspace.stores.journal
    retrains = journal.events(kinds=["retrain.finished"], limit=1000)
    rollouts = journal.events(kinds=["rollout."], limit=1000)
    refusals = [event for event in retrains if not event.payload["passed"]]
    refusals += [event for event in rollouts if event.kind == "rollout.rolled_back"]
    counts = workspace.stores.predictions.counts(plan.ENDPOINT)
    events = journal.counts()
    months, example = _months(workspace, span)
    return Outcome(
        workspace=workspace.uri,
        months=months,
        predictions=sum(n for name, n in counts.items() if name.endswith((" live", " canary"))),
        truths=counts.get("feedback", 0),
        reports=events.get("monitor.reported", 0),
        alerts=events.get("alert.opened", 0),
        promotions=tuple(event.payload["candidate"] for event in rollouts if event.kind == "rollout.promoted"),
        refusals=tuple(f"{event.payload['candidate']}: {event.payload['reason']}" for event in refusals),
        example=example,
        leak=leak,
        seconds=time.perf_counter() - begun,
    )


def _months(workspace: Workspace, span: plan.Span) -> tuple[tuple[Month, ...], str]:
    rows = list(
        judged_rows(workspace, plan.ENDPOINT, start=span.live, end=span.end, known_by=span.end + plan.HOLD_BACK)
    )
    truth = np.array([int(row.feedback.truth) for row in rows if row.feedback])
    loop = np.array([row.prediction.outputs["probability"] for row in rows])
    never = _first_model_scores(workspace, [row.prediction.id for row in rows])
    names = [f"{from_micros(row.prediction.event_time):%Y-%m}" for row in rows]
    months = []
    for name in sorted(set(names)):
        chosen = np.array([one == name for one in names])
        versions = dict.fromkeys(row.prediction.model for row, keep in zip(rows, chosen, strict=True) if keep)
        months.append(
            Month(
                month=name,
                flights=int(chosen.sum()),
                late_share=float(truth[chosen].mean()),
                never=_auc(truth[chosen], never[chosen]),
                loop=_auc(truth[chosen], loop[chosen]),
                models=tuple(version.removeprefix("model:") for version in versions),
            )
        )
    return tuple(months), f"prediction:{rows[-1].prediction.id}" if rows else ""


def _auc(truth: Any, scores: Any) -> float:
    found = auc(truth, scores)
    return float("nan") if found is None else float(found)


def _first_model_scores(workspace: Workspace, ids: list[str]) -> Any:
    """Score the same flights with the first version, which never saw anything but January."""
    first = workspace.stores.models.get(plan.MODEL, version=1)
    table = workspace.data.read(plan.FEATURES, columns=["flight_id", *flight_delay.INPUTS])
    positions = pc.index_in(pa.array(ids), value_set=table["flight_id"].combine_chunks())
    return score_table(workspace.load_model(first.ref), table.take(positions))


def month_table(outcome: Outcome) -> Table:
    """Lay the months out for people."""
    table = Table(title="AUC per month", title_justify="left")
    for title in ("month", "flights", "late", "never retrain", "the loop", "gain", "versions"):
        table.add_column(title, justify="left" if title in ("month", "versions") else "right")
    for month in outcome.months:
        gain = month.loop - month.never
        table.add_row(
            month.month,
            f"{month.flights:,}",
            f"{month.late_share:.1%}",
            f"{month.never:.3f}",
            f"{month.loop:.3f}",
            f"[green]{gain:+.3f}[/]" if gain > 0 else f"{gain:+.3f}",
            ", ".join(version.rpartition("@")[2] for version in month.models),
        )
    return table
