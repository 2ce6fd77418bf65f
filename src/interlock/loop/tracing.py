"""Walk the lineage: from one prediction back to everything that made it, and forward from any thing."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput, NotFound
from interlock.core.hashing import digest_of_value
from interlock.core.refs import Ref
from interlock.loop.ground import Ground
from interlock.ports.journal import Edge
from interlock.ports.prediction_log import JudgedPrediction

SHOWN = 8
"""How many libraries a trace names."""


class TraceStep(msgspec.Struct, frozen=True):
    """One thing on the way.

    Args:
        ref: What it is.
        relation: How the thing before it is joined to it.
        title: One line on it.
        facts: What is known of it, ready to be shown.
        depth: How far it is from the start.
    """

    ref: str
    relation: str
    title: str
    facts: dict[str, str] = {}
    depth: int = 0


class Trace(msgspec.Struct, frozen=True):
    """The ways from one thing.

    Args:
        ref: Where it starts.
        title: One line on the start.
        facts: What is known of the start.
        back: What it was made from, nearest first.
        forward: What was made from it, nearest first.
    """

    ref: str
    title: str
    facts: dict[str, str]
    back: tuple[TraceStep, ...]
    forward: tuple[TraceStep, ...]


def trace(ground: Ground, ref: str) -> Trace:
    """Return the ways back and forward from a thing.

    Raises:
        NotFound: Nothing of that name is known.
        InvalidInput: The text is no Ref.
    """
    parsed = Ref.parse(ref)
    if parsed.kind == "prediction":
        return _trace_prediction(ground, parsed)
    if parsed.kind == "model":
        ref = ground.registry.resolve(ref).ref
    elif parsed.kind == "dataset" and parsed.version is None:
        ref = ground.stores.datasets.get(parsed.name).ref
    title, facts = describe(ground, ref)
    back, forward = _ways(ground, ref)
    return Trace(ref=ref, title=title, facts=facts, back=back, forward=forward)


def _ways(ground: Ground, ref: str) -> tuple[tuple[TraceStep, ...], tuple[TraceStep, ...]]:
    journal = ground.stores.journal
    back = _steps(ground, ref, journal.walk(ref, direction="back"), back=True)
    forward = _steps(ground, ref, journal.walk(ref, direction="forward"), back=False)
    return back, forward


def _steps(ground: Ground, start: str, edges: list[Edge], *, back: bool) -> tuple[TraceStep, ...]:
    depths = {start: 0}
    steps = []
    for edge in edges:
        here, there = (edge.target, edge.source) if back else (edge.source, edge.target)
        if there in depths:
            continue
        depths[there] = depths[here] + 1
        title, facts = describe(ground, there)
        steps.append(TraceStep(ref=there, relation=edge.relation, title=title, facts=facts, depth=depths[there]))
    return tuple(steps)


def _trace_prediction(ground: Ground, ref: Ref) -> Trace:
    answers = ground.stores.predictions.find(ref.name)
    if not answers:
        raise NotFound(
            f"there is no prediction '{ref.name}'",
            why="no answer was logged under this id",
            fix="interlock endpoint show NAME lists recent ones",
        )
    seen = answers[0]
    prediction = seen.prediction
    deployment = f"deployment:{prediction.endpoint}/{prediction.revision}"
    steps = [
        _step(ground, deployment, "answered_by", 1),
        _step(ground, prediction.model, "computed_by", 1),
    ]
    features = prediction.context.get("features")
    if features is not None:
        steps.append(_feature_step(ground, features, prediction.context.get("entity", ""), seen))
    known = {step.ref for step in steps}
    back, _ = _ways(ground, prediction.model)
    for step in back:
        if step.ref not in known:
            steps.append(msgspec.structs.replace(step, depth=step.depth + 1))
    for verdict in ground.stores.models.verdicts(candidate=prediction.model):
        steps.append(_step(ground, f"verdict:{verdict.id}", "judged_in", 2))
    forward = tuple(
        TraceStep(
            ref=f"labels:{prediction.endpoint}-outcomes",
            relation="became",
            title=f"truth {seen.feedback.truth!r}, known at {from_micros(seen.feedback.known_at).isoformat()}",
            facts={"source": seen.feedback.source},
            depth=1,
        )
        for _ in range(1)
        if seen.feedback is not None
    )
    return Trace(
        ref=str(ref),
        title=_prediction_title(seen),
        facts=_prediction_facts(ground, answers),
        back=tuple(steps),
        forward=forward,
    )


def _step(ground: Ground, ref: str, relation: str, depth: int) -> TraceStep:
    title, facts = describe(ground, ref)
    return TraceStep(ref=ref, relation=relation, title=title, facts=facts, depth=depth)


def _prediction_title(answer: JudgedPrediction) -> str:
    outputs = ", ".join(f"{name} {_short(value)}" for name, value in answer.prediction.outputs.items())
    truth = f", truth {answer.feedback.truth!r}" if answer.feedback else ", truth not known yet"
    return outputs + truth


def _prediction_facts(ground: Ground, answers: list[JudgedPrediction]) -> dict[str, str]:
    prediction = answers[0].prediction
    names = ground.registry.resolve(prediction.model).signature.input_names
    facts = {
        "endpoint": f"{prediction.endpoint} (revision {prediction.revision}, {prediction.role})",
        "event time": from_micros(prediction.event_time).isoformat(),
        "served at": from_micros(prediction.served_at).isoformat(),
        "inputs": ", ".join(f"{name}={_short(value)}" for name, value in zip(names, prediction.inputs, strict=False)),
    }
    facts.update({key: value for key, value in prediction.context.items() if key != "features"})
    for other in answers[1:]:
        shown = _short(other.prediction.outputs.get("probability"))
        facts[f"in the shadow {other.prediction.model}"] = shown
    return facts


def _feature_step(ground: Ground, features: str, entity: str, answer: JudgedPrediction) -> TraceStep:
    """Find the feature row that was asked about, and say whether it is what was served."""
    key, _, value = entity.partition("=")
    try:
        table = ground.data.read(features)
    except (NotFound, InvalidInput) as error:
        # callers name the snapshot, and may name anything
        return TraceStep(ref=features, relation="asked_with", title=error.what, facts={"row": entity}, depth=1)
    title = f"{features} has no column '{key}'"
    if key in table.column_names:
        position = table.column(key).cast("string").index(value).as_py()
        if position < 0:
            title = f"no row with {entity} in {features}"
        else:
            row = table.slice(position, 1).to_pylist()[0]
            names = ground.registry.resolve(answer.prediction.model).signature.input_names
            served = dict(zip(names, answer.prediction.inputs, strict=False))
            equal = all(_same(row.get(name), served[name]) for name in names)
            title = f"feature row {entity}, " + ("equal to what was served" if equal else "NOT what was served")
    return TraceStep(ref=features, relation="asked_with", title=title, facts={"row": entity}, depth=1)


def _same(stored: Any, served: Any) -> bool:
    if stored is None or served is None or stored != stored or served != served:
        return (stored is None or stored != stored) and (served is None or served != served)
    return bool(stored == served)


def describe(ground: Ground, ref: str) -> tuple[str, dict[str, str]]:
    """Return one line on a thing, and what is known of it.

    Raises:
        NotFound: Nothing of that name is known.
    """
    parsed = Ref.parse(ref)
    describer = _DESCRIBERS.get(parsed.kind)
    if describer is not None:
        return describer(ground, parsed)
    if not ground.stores.journal.events(subject=ref, limit=1) and not ground.stores.journal.walk(
        ref, direction="back", depth=1
    ):
        raise NotFound(f"there is no {ref}", why="nothing in the journal names it", fix="interlock event list")
    return (parsed.kind, {})


def _describe_dataset(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    snapshot = ground.stores.datasets.get(ref.name, version=ref.number)
    facts = {"content": snapshot.content[:19], "source": snapshot.source, "message": snapshot.message}
    if snapshot.quarantined_rows:
        facts["quarantined"] = ", ".join(f"{name} {count:,}" for name, count in snapshot.violations.items())
    return f"{snapshot.rows:,} rows × {len(snapshot.columns)} columns", {k: v for k, v in facts.items() if v}


def _describe_model(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    version = ground.registry.resolve(str(ref))
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(version.metrics.items()))
    return f"{version.flavor} served by {version.engine}" + (f", {metrics}" if metrics else ""), {
        "registered": version.created_at.isoformat(timespec="seconds"),
        "inputs": str(len(version.signature.inputs)),
    }


def _describe_run(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    run = ground.stores.runs.get(ref.name)
    facts = {
        "params": ", ".join(f"{key}={_short(value)}" for key, value in sorted(run.params.items())),
        "metrics": ", ".join(f"{key} {summary.last:.4g}" for key, summary in sorted(run.metrics.items())),
        "code": _code(run.code),
        "library lock": _lock(run.libraries),
    }
    return f"{run.kind} run '{run.name}', {run.status}", {key: value for key, value in facts.items() if value}


def _lock(libraries: dict[str, str]) -> str:
    """Return the digest of all distributions with their versions, and the first few of them."""
    if not libraries:
        return ""
    shown = ", ".join(f"{name} {version}" for name, version in sorted(libraries.items())[:SHOWN])
    rest = f" and {len(libraries) - SHOWN} more" if len(libraries) > SHOWN else ""
    return f"{digest_of_value(libraries)[:19]}: {shown}{rest}"


def _code(code: dict[str, Any]) -> str:
    commit = str(code.get("commit") or "")
    if not commit:
        return str(code.get("entry_point") or "")
    return f"commit {commit[:10]}" + (" with uncommitted changes" if code.get("dirty") else "")


def _describe_verdict(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    verdict = ground.stores.models.get_verdict(ref.name)
    checks = {check.name: f"{'ok' if check.passed else 'FAILED'} {check.detail}" for check in verdict.checks}
    return f"{verdict.stage} {'passed' if verdict.passed else 'refused'}: {verdict.reason}", checks


def _describe_alert(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    alert = ground.stores.monitors.get_alert(ref.name)
    return alert.reason, {"resolution": alert.resolution} if alert.resolution else {}


def _describe_endpoint(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    endpoint = ground.stores.deployments.get(ref.name)
    behind = ", ".join(f"{d.role} {d.model} {d.share:.0%}" for d in endpoint.deployments)
    return f"revision {endpoint.revision}", {"behind it": behind}


def _describe_deployment(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    name, _, revision = ref.name.rpartition("/")
    for endpoint in ground.stores.deployments.history(name, limit=1000):
        if str(endpoint.revision) == revision:
            behind = ", ".join(f"{d.role} {d.model} {d.share:.0%}" for d in endpoint.deployments)
            return f"endpoint '{name}' at revision {revision}", {"behind it": behind, "reason": endpoint.reason}
    raise NotFound(f"there is no {ref}", why=f"endpoint '{name}' was never at revision {revision}")


def _describe_labels(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    labels = ground.stores.labels.get(ref.name, version=ref.number)
    return f"{labels.count:,} labels", {"as of": labels.as_of.isoformat(timespec="seconds")}


def _describe_feature(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    view = ground.stores.features.get(ref.name, version=ref.number)
    names = ", ".join(column.name for column in view.features)
    return view.description or "feature view", {"features": names, "by": ", ".join(view.entity)}


def _describe_monitor(ground: Ground, ref: Ref) -> tuple[str, dict[str, str]]:
    monitor = ground.stores.monitors.get(ref.name)
    return f"{monitor.kind}: fires where {monitor.metric} is {monitor.direction} {monitor.threshold:g}", {}


_DESCRIBERS = {
    "dataset": _describe_dataset,
    "model": _describe_model,
    "run": _describe_run,
    "verdict": _describe_verdict,
    "alert": _describe_alert,
    "endpoint": _describe_endpoint,
    "deployment": _describe_deployment,
    "labels": _describe_labels,
    "feature": _describe_feature,
    "monitor": _describe_monitor,
}


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
