"""What a step saw, in words that are the same on every store: no ids, no times, no addresses.

Runs inside the client's own Python; MLflow and the standard library are all it may import.
"""

from __future__ import annotations

import json
import re
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.models import Model

Facts = dict[str, Any]
Step = Callable[[Facts], None]

_IDS = re.compile(r"\b(m-[0-9a-f]{32}|tr-[0-9a-f]{32}|[0-9a-f]{32}|[0-9A-HJKMNP-TV-Z]{26})\b")
_PLACES = re.compile(r"(file|mlflow-artifacts|sqlite|https?)://\S*|/tmp/\S*")  # noqa: S108
_PASSING_TAGS = ("mlflow.source.", "mlflow.user", "mlflow.runName", "mlflow.runColor")


def plain(value: Any) -> str:
    """Write a value as text; numbers to nine digits, so that the order of a sum does not count."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, float)):
        return f"{float(value):.9g}"
    if isinstance(value, dict):
        return json.dumps({str(key): plain(one) for key, one in sorted(value.items())})
    if isinstance(value, (list, tuple)):
        return json.dumps([plain(one) for one in value])
    return _PLACES.sub("<place>", _IDS.sub("<id>", str(value)))


def files_of(run_id: str, path: str | None = None) -> list[str]:
    """List the files of a run, below a folder or all."""
    found: list[str] = []
    for entry in mlflow.MlflowClient().list_artifacts(run_id, path):
        found += files_of(run_id, entry.path) if entry.is_dir else [entry.path]
    return sorted(found)


def run_facts(run: Run, prefix: str = "") -> Facts:
    """Tell all that a run says: params, metrics with their series, tags, data, files."""
    client = mlflow.MlflowClient()
    seen: Facts = {f"{prefix}status": run.info.status, f"{prefix}files": files_of(run.info.run_id)}
    for key, value in run.data.params.items():
        seen[f"{prefix}param {key}"] = plain(value)
    for key, value in run.data.metrics.items():
        if key.endswith("_time"):
            seen[f"{prefix}metric {key}"] = "a time"
            continue
        points = client.get_metric_history(run.info.run_id, key)
        seen[f"{prefix}metric {key}"] = [plain(value), *(f"{one.step}: {plain(one.value)}" for one in points)]
    for key, value in run.data.tags.items():
        if not key.startswith(_PASSING_TAGS):
            seen[f"{prefix}tag {key}"] = plain(value)
    for number, used in enumerate(run.inputs.dataset_inputs if run.inputs else []):
        data = used.dataset
        tags = {tag.key: tag.value for tag in used.tags}
        seen[f"{prefix}data {number}"] = [data.name, data.digest, data.source_type, data.schema, data.profile, tags]
    return seen


def model_facts(uri: str, prefix: str = "model ") -> Facts:
    """Tell what a model's folder holds: flavours, signature, example, files."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
        model = Model.load(str(local))
        seen: Facts = {f"{prefix}file {path.relative_to(local)}": True for path in local.rglob("*") if path.is_file()}
        example = model.load_input_example(str(local)) if model.saved_input_example_info else None
    seen[f"{prefix}flavours"] = sorted(model.flavors)
    seen[f"{prefix}signature"] = plain(model.signature.to_dict()) if model.signature else None
    seen[f"{prefix}example"] = None if example is None else plain(str(example))
    return seen


def logged_models(experiment_id: str) -> list[Any]:
    """List the logged models of an experiment, oldest first."""
    found = mlflow.search_logged_models(experiment_ids=[experiment_id], output_format="list")
    return sorted(found, key=lambda one: (one.creation_timestamp, one.name))


def last_metrics(model: Any) -> Facts:
    """Return what the metrics of a logged model came to; MLflow tells every step of them, Interlock the last."""
    return {one.key: plain(one.value) for one in sorted(model.metrics or [], key=lambda one: (one.step, one.timestamp))}


def refusal(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call ends with."""
    try:
        call()
    except mlflow.exceptions.MlflowException as error:
        return str(error.error_code)
    return "no error"


def seen_by(step: Step) -> Facts:
    """Do a step; tell what it saw, and how it failed where it did."""
    seen: Facts = {}
    try:
        step(seen)
    except Exception as error:  # noqa: BLE001 (whatever fails is what the step saw)
        seen["error"] = f"{type(error).__name__}: {plain(str(error))[:500]}"
        seen["error at"] = traceback.format_exc(limit=-4)
    while mlflow.active_run():
        mlflow.end_run("FAILED")
    return seen
