"""What a team does in a day, with the unmodified MLflow client; `test_mlflow_client.py` runs it by itself."""

from __future__ import annotations

import json
import math
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

warnings.filterwarnings("ignore")

import mlflow  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402


def track(seen: dict[str, Any]) -> str:
    mlflow.set_experiment("Flight delay")
    with mlflow.start_run(run_name="first", tags={"team": "ops"}) as run:
        mlflow.log_params({"depth": 3, "kind": "tree"})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"nan": math.nan, "inf": math.inf})
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "d.json")
        with mlflow.start_run(nested=True, run_name="inner"):
            mlflow.log_metric("loss", 0.5)
    client = mlflow.MlflowClient()
    got = client.get_run(run.info.run_id)
    seen["status"] = got.info.status
    seen["params"] = got.data.params
    seen["metrics"] = {key: repr(value) for key, value in sorted(got.data.metrics.items())}
    seen["team"] = got.data.tags["team"]
    seen["history"] = [point.step for point in client.get_metric_history(run.info.run_id, "loss")]
    seen["files"] = sorted(one.path for one in client.list_artifacts(run.info.run_id))
    seen["text"] = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/hello.txt")
    seen["found"] = len(client.search_runs([run.info.experiment_id], "metrics.loss < 0.1 AND params.depth = '3'"))
    seen["or"] = len(client.search_runs([run.info.experiment_id], "metrics.loss < 0.1 OR min(metrics.loss) = 0.5"))
    seen["children"] = len(
        client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    )
    return str(run.info.run_id)


def refuse(run_id: str, seen: dict[str, Any]) -> None:
    client = mlflow.MlflowClient()
    refusals = {
        "param": lambda: client.log_param(run_id, "depth", 4),
        "run": lambda: client.get_run("nobody"),
        "filter": lambda: client.search_runs(["0"], "metrics.a >"),
        "experiment": lambda: client.create_experiment("Flight delay"),
    }
    for name, call in refusals.items():
        try:
            call()
        except MlflowException as error:
            seen[f"refused {name}"] = error.error_code


def large_file(run_id: str, seen: dict[str, Any]) -> None:
    """Upload and download in parts, as the client does from some size on."""
    client = mlflow.MlflowClient()
    data = bytes(range(256)) * 40_000
    with TemporaryDirectory() as folder, TemporaryDirectory() as other:
        path = Path(folder) / "large.bin"
        path.write_bytes(data)
        client.log_artifact(run_id, str(path), "big")
        back = client.download_artifacts(run_id, "big/large.bin", other)
        seen["large file is back"] = Path(back).read_bytes() == data


def register(run_id: str, seen: dict[str, Any]) -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    client.create_registered_model("delay model", description="late or not")
    version = client.create_model_version("delay model", f"{run.info.artifact_uri}/notes", run_id)
    client.set_registered_model_alias("delay model", "champion", version.version)
    client.set_model_version_tag("delay model", version.version, "stage", "good")
    seen["champion"] = client.get_model_version_by_alias("delay model", "champion").version
    seen["models"] = [one.name for one in client.search_registered_models("name LIKE 'delay%'")]
    seen["versions"] = [one.version for one in client.search_model_versions("name = 'delay model'")]
    folder = mlflow.artifacts.download_artifacts("models:/delay model@champion")
    seen["version files"] = sorted(path.name for path in Path(folder).iterdir() if path.is_file())


def fit(seen: dict[str, Any]) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, truth = load_iris(return_X_y=True)
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run(run_name="auto") as run:
        LogisticRegression(max_iter=300).fit(rows, truth)
    got = mlflow.MlflowClient().get_run(run.info.run_id)
    seen["autolog"] = got.data.params["max_iter"], "training_score" in got.data.metrics


def trace(seen: dict[str, Any]) -> None:
    @mlflow.trace
    def double(value: int) -> int:
        return 2 * value

    double(21)
    mlflow.flush_trace_async_logging()
    (found,) = mlflow.search_traces(return_type="list", locations=[experiment_id()])
    seen["trace"] = [span.name for span in found.data.spans]


def experiment_id() -> str:
    found = mlflow.get_experiment_by_name("Flight delay")
    assert found is not None
    return str(found.experiment_id)


def main(url: str) -> None:
    seen: dict[str, Any] = {"version": mlflow.__version__}
    mlflow.set_tracking_uri(url)
    run_id = track(seen)
    refuse(run_id, seen)
    large_file(run_id, seen)
    register(run_id, seen)
    fit(seen)
    trace(seen)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1])
