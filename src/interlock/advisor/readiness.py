"""Say how ready a project is to run models, from what its folder and its workspace show.

Software practice comes first: a pipeline, a registry and monitors help little where code is not under version control
and nothing tests a change. So the level counts stages from the first, and stops at the first that is not whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from interlock.advisor.evidence import Evidence, gather
from interlock.ports.stores import Stores

State = Literal["met", "unmet", "unknown"]
Answer = tuple[State, str]

STAGES = (
    "software practice",
    "traceable models",
    "judged and served",
    "watched",
    "closed loop",
)
"""The stages in order; the level is how many are whole, counted from the first."""


class Practice(msgspec.Struct, frozen=True):
    """One question, and how the project answers it.

    Args:
        id: A short name that stays.
        stage: Which stage it belongs to.
        title: The practice, as a statement that holds or does not.
        state: Whether it does; `unknown` where nothing can be seen.
        evidence: What was seen.
        next_step: What to do where it is not met; empty where it is.
    """

    id: str
    stage: str
    title: str
    state: State
    evidence: str
    next_step: str


class Readiness(msgspec.Struct, frozen=True):
    """How ready a project is: its level, 0 to 5, and every practice in order."""

    level: int
    practices: tuple[Practice, ...]

    @property
    def next_practice(self) -> Practice | None:
        """The first practice that is not met: what to do next."""
        return next((practice for practice in self.practices if practice.state != "met"), None)


class _Question(msgspec.Struct, frozen=True):
    id: str
    stage: int
    title: str
    answer: Callable[[Evidence], Answer]
    next_step: str


def readiness(stores: Stores, project: Path | None = None) -> Readiness:
    """Judge a project.

    Args:
        stores: The workspace's stores; only read.
        project: The project's folder; without it the questions on its files stay `unknown`.
    """
    seen = gather(stores, project)
    practices = []
    for question in QUESTIONS:
        state, evidence = question.answer(seen)
        step = "" if state == "met" else question.next_step
        practices.append(Practice(question.id, STAGES[question.stage], question.title, state, evidence, step))
    whole = [all(one.state == "met" for one in practices if one.stage == stage) for stage in STAGES]
    return Readiness(whole.index(False) if False in whole else len(STAGES), tuple(practices))


def _file(what: str) -> Callable[[Evidence], Answer]:
    def answer(seen: Evidence) -> Answer:
        if seen.files is None:
            return "unknown", "no project folder was given"
        found = seen.files[what]
        return ("met", f"found {found}") if found else ("unmet", "nothing found in the project folder")

    return answer


def _clean_code(seen: Evidence) -> Answer:
    if not seen.training_runs:
        return "unknown", "no training run yet"
    committed = sum(bool(run.code.get("commit")) for run in seen.training_runs)
    text = f"{committed} of the last {len(seen.training_runs)} training runs name their commit"
    return ("met" if committed == len(seen.training_runs) else "unmet"), text


def _snapshots(seen: Evidence) -> Answer:
    count = len(seen.snapshots)
    return ("met" if count else "unmet"), f"datasets: {count}"


def _lineage(seen: Evidence) -> Answer:
    if not seen.models:
        return "unknown", "no model yet"
    joined = [version.model for version in seen.models if version.run or version.ref in seen.with_inputs]
    text = f"{len(joined)} of {len(seen.models)} models name the run or the data they came from"
    return ("met" if len(joined) == len(seen.models) else "unmet"), text


def _cards(seen: Evidence) -> Answer:
    if not seen.models:
        return "unknown", "no model yet"
    carded = sum(version.card is not None for version in seen.models)
    return ("met" if carded == len(seen.models) else "unmet"), f"{carded} of {len(seen.models)} models have a card"


def _pipelines(seen: Evidence) -> Answer:
    count = seen.pipeline_runs
    return ("met" if count else "unmet"), f"pipeline runs: {count}"


def _gate(seen: Evidence) -> Answer:
    if not seen.live:
        return "unknown", "no endpoint yet"
    judged = [ref for ref in seen.live if ref in seen.passed]
    text = f"{len(judged)} of {len(seen.live)} live versions passed a gate"
    return ("met" if len(judged) == len(seen.live) else "unmet"), text


def _endpoint(seen: Evidence) -> Answer:
    count = len(seen.endpoints)
    return ("met" if count else "unmet"), f"endpoints: {count}"


def _monitored(kind: str) -> Callable[[Evidence], Answer]:
    def answer(seen: Evidence) -> Answer:
        if not seen.endpoints:
            return "unknown", "no endpoint yet"
        watched = {monitor.endpoint for monitor in seen.monitors if monitor.kind == kind}
        bare = [endpoint.name for endpoint in seen.endpoints if endpoint.name not in watched]
        if bare:
            return "unmet", f"no {kind} monitor on " + ", ".join(bare)
        return "met", f"a {kind} monitor on every endpoint"

    return answer


def _feedback(seen: Evidence) -> Answer:
    if not seen.endpoints:
        return "unknown", "no endpoint yet"
    silent = [endpoint.name for endpoint in seen.endpoints if not seen.truths[endpoint.name]]
    if silent:
        return "unmet", "no truth has come back for " + ", ".join(silent)
    return "met", f"{sum(seen.truths.values()):,} truths came back"


def _alerts(seen: Evidence) -> Answer:
    if not seen.monitors:
        return "unknown", "no monitor yet"
    return ("unmet" if seen.open_alerts else "met"), f"open alerts: {seen.open_alerts}"


def _retrain(seen: Evidence) -> Answer:
    live = [trigger.name for trigger in seen.triggers if trigger.enabled]
    return ("met", "triggers: " + ", ".join(live)) if live else ("unmet", "no trigger is enabled")


def _promotions(seen: Evidence) -> Answer:
    if not seen.endpoints:
        return "unknown", "no endpoint yet"
    again = [endpoint.name for endpoint in seen.endpoints if endpoint.revision > 1]
    if again:
        return "met", "the routing changed since the first deployment on " + ", ".join(again)
    return "unmet", "no endpoint has ever changed its model"


QUESTIONS = (
    _Question("version-control", 0, "The code is under version control", _file("version control"), "git init"),
    _Question("tests", 0, "The code has tests", _file("tests"), "write tests/test_features.py and run it with pytest"),
    _Question("ci", 0, "Every change is tested by a machine", _file("ci"), "add a CI file that runs the tests"),
    _Question(
        "checks", 0, "Format and types are checked", _file("checks"), "configure ruff and mypy in pyproject.toml"
    ),
    _Question("lock", 0, "The libraries are locked", _file("lock"), "uv lock"),
    _Question("snapshots", 1, "Training data is kept as snapshots", _snapshots, 'workspace.data.commit("name", frame)'),
    _Question(
        "commits", 1, "Training runs name their commit", _clean_code, "train from a Git checkout, with il.run(...)"
    ),
    _Question("lineage", 1, "Every model names what it came from", _lineage, "register(..., run=run.id, inputs=[...])"),
    _Question("cards", 1, "Every model has a card", _cards, "register(..., card_facts={...})"),
    _Question("pipeline", 1, "Training runs as a pipeline", _pipelines, "mark the steps with @step and @pipeline"),
    _Question(
        "served", 2, "A model answers at a stable address", _endpoint, "il.deploy(model, example=rows, name=...)"
    ),
    _Question("gated", 2, "What is live has passed a gate", _gate, "judge candidates by a gate before they go live"),
    _Question("drift", 3, "Every endpoint is watched for drift", _monitored("drift"), "apply a drift monitor"),
    _Question("feedback", 3, "The truth comes back", _feedback, "send feedback by prediction id"),
    _Question(
        "performance", 3, "Realised performance is measured", _monitored("performance"), "apply a performance monitor"
    ),
    _Question("alerts", 3, "No alert is left open", _alerts, "look into the open alerts and resolve them"),
    _Question(
        "trigger", 4, "A retrain starts by itself", _retrain, "apply a trigger on alert.opened, or on a schedule"
    ),
    _Question("turned", 4, "The loop has turned once", _promotions, "let a candidate pass shadow and canary"),
)
"""The questions, in the order in which to work on them."""
