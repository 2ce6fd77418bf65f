"""Steps that log runs and read them back."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from facts import Facts, files_of, plain, refusal, run_facts
from mlflow.entities import Metric, Param, RunTag, ViewType


def experiments(seen: Facts) -> None:
    """Create, find, rename, tag, delete and restore experiments."""
    client = mlflow.MlflowClient()
    ids = [client.create_experiment(f"{name} flights", tags={"team": name}) for name in ("early", "late", "cancelled")]
    client.set_experiment_tag(ids[0], "goal", "delay")
    client.rename_experiment(ids[1], "later flights")
    client.delete_experiment(ids[2])
    seen["by name"] = client.get_experiment_by_name("later flights").tags
    seen["nobody"] = client.get_experiment_by_name("no such flights")
    seen["deleted"] = client.get_experiment(ids[2]).lifecycle_stage
    found = client.search_experiments(filter_string="name LIKE '%flights'", order_by=["name DESC"])
    seen["found"] = [one.name for one in found]
    found = client.search_experiments(view_type=ViewType.ALL, filter_string="tags.team != 'early'")
    seen["all"] = sorted(one.name for one in found)
    page = client.search_experiments(max_results=1, order_by=["name ASC"])
    rest = client.search_experiments(max_results=100, order_by=["name ASC"], page_token=page.token)
    seen["pages"] = [one.name for one in [*page, *rest]]
    client.restore_experiment(ids[2])
    seen["restored"] = client.get_experiment(ids[2]).lifecycle_stage
    seen["again"] = refusal(lambda: client.create_experiment("early flights"))
    seen["default"] = client.get_experiment("0").name


def runs(seen: Facts) -> None:
    """Log a run in every way there is, with another inside it."""
    mlflow.set_experiment("runs")
    client = mlflow.MlflowClient()
    with mlflow.start_run(run_name="outer", tags={"team": "ops"}, description="a **note**") as outer:
        mlflow.log_params({"depth": 3, "kind": "tree", "rate": 1e-3, "none": None, "list": [1, 2]})
        mlflow.set_tags({"a": 1, "b": "two"})
        for step in range(10):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"auc": 0.9, "f1": 0.8}, step=3)
        mlflow.log_metric("later", 1.0, synchronous=False).wait()
        mlflow.log_params({"later": "yes"}, synchronous=False).wait()
        with mlflow.start_run(nested=True, run_name="inner") as inner:
            mlflow.log_metric("loss", 0.5)
        client.delete_tag(outer.info.run_id, "a")
    now = int(time.time() * 1000)
    batch = client.create_run(outer.info.experiment_id, run_name="batch")
    metrics = [Metric(f"m{one % 7}", one / 3, now, one) for one in range(1000)]
    params = [Param(f"p{one}", str(one)) for one in range(100)]
    client.log_batch(batch.info.run_id, metrics, params[:50], [RunTag("t", "v")])
    client.log_batch(batch.info.run_id, params=params[50:])
    client.set_terminated(batch.info.run_id, "KILLED", now)
    client.update_run(batch.info.run_id, name="batch 2")
    for name, run in {"outer": outer, "inner": inner, "batch": batch}.items():
        seen |= run_facts(client.get_run(run.info.run_id), f"{name} ")
    seen["name"] = client.get_run(batch.info.run_id).info.run_name
    seen["end"] = client.get_run(batch.info.run_id).info.end_time == now
    seen["child of"] = client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id
    client.delete_run(inner.info.run_id)
    seen["deleted"] = client.get_run(inner.info.run_id).info.lifecycle_stage
    seen["left"] = sorted(run.info.run_name for run in client.search_runs([outer.info.experiment_id]))
    client.restore_run(inner.info.run_id)
    seen["refused"] = [
        refusal(lambda: client.log_param(outer.info.run_id, "depth", 4)),
        refusal(lambda: client.get_run("0" * 32)),
        refusal(lambda: client.log_metric(outer.info.run_id, "bad\nkey", 1.0)),
        refusal(lambda: client.log_param(outer.info.run_id, "long", "x" * 7000)),
        refusal(lambda: client.delete_tag(outer.info.run_id, "nobody")),
    ]
    with mlflow.start_run(run_id=outer.info.run_id):
        mlflow.log_metric("loss", 0.01, step=10)
    seen["resumed"] = plain(client.get_run(outer.info.run_id).data.metrics["loss"])


def unusual(seen: Facts) -> None:
    """Log what is not finite, and keys and texts beyond ASCII."""
    mlflow.set_experiment("unusual")
    with mlflow.start_run() as run:
        mlflow.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf, "tiny": 5e-324, "large": 1.7e308})
        mlflow.log_metric("train/loss épочка", 1.0, step=-3)
        mlflow.log_param("größe/α-1 .x", "日本語 \N{SNOWMAN}")
        mlflow.set_tag("emoji", "\N{PARTY POPPER}" * 50)
    got = mlflow.get_run(run.info.run_id)
    seen |= {f"metric {key}": repr(value) for key, value in got.data.metrics.items()}
    seen |= {"params": got.data.params, "emoji": got.data.tags["emoji"]}
    seen["step"] = [one.step for one in mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/loss épочка")]


def search(seen: Facts) -> None:
    """Search runs with filters, orders and pages."""
    experiment = mlflow.set_experiment("search").experiment_id
    for number in range(25):
        with mlflow.start_run(run_name=f"run {number:02}", tags={"even": str(number % 2 == 0)}):
            mlflow.log_params({"depth": number % 5, "kind": "tree" if number % 3 else "line"})
            mlflow.log_metrics({"auc": number / 25, "loss": 1 - number / 30})
    queries = {
        "metric": ("metrics.auc > 0.5 AND metrics.loss <= 0.5", ["metrics.auc DESC"]),
        "param": ("params.depth = '3' and params.kind != 'line'", ["attributes.run_name"]),
        "like": ("params.kind LIKE 't%' AND tags.even = 'True'", ["params.depth ASC", "metrics.loss DESC"]),
        "ilike": ("attributes.run_name ILIKE 'RUN 1%'", ["attributes.run_name DESC"]),
        "status": ("attributes.status = 'FINISHED' AND metrics.`auc` < 0.2", ["start_time ASC"]),
        "null": ("tags.missing IS NULL AND metrics.auc >= 0.9", ["metrics.auc"]),
        "nothing": ("params.depth = '77'", None),
    }
    client = mlflow.MlflowClient()
    for name, (words, order) in queries.items():
        seen[name] = [run.info.run_name for run in client.search_runs([experiment], words, order_by=order)]
    token, pages = None, []
    while True:
        page = client.search_runs([experiment], max_results=7, order_by=["metrics.auc DESC"], page_token=token)
        pages.append([run.info.run_name for run in page])
        token = page.token
        if not token:
            break
    seen["pages"] = pages
    frame = mlflow.search_runs([experiment], "metrics.auc > 0.8", order_by=["metrics.auc"])
    seen["frame"] = [sorted(one for one in frame.columns if one[:6] in ("metric", "params")), len(frame)]
    seen["wrong"] = refusal(lambda: client.search_runs([experiment], "metrics.auc >"))
    seen["names"] = len(mlflow.search_runs(experiment_names=["search"], output_format="list"))


def artifacts(seen: Facts) -> None:
    """Bring files up, list them, and bring them back."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    mlflow.set_experiment("artifacts")
    figure = Figure()
    figure.add_subplot().plot([1, 3, 2])
    large = bytes(range(256)) * 50_000
    with tempfile.TemporaryDirectory() as text, mlflow.start_run() as run:
        folder = Path(text)
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "a b.txt").write_text("a")
        (folder / "deep" / "er" / "ä +&.txt").write_text("b")
        (folder / "large.bin").write_bytes(large)
        (folder / "empty").touch()
        mlflow.log_artifact(str(folder / "a b.txt"), "one")
        mlflow.log_artifacts(text, "all")
        mlflow.log_text("héllo", "notes/hello.txt")
        mlflow.log_dict({"a": [1, {"b": None}]}, "d.json")
        mlflow.log_dict({"a": 1}, "d.yaml")
        mlflow.log_figure(figure, "figure.png")
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), "image.png")
        mlflow.log_image(np.ones((8, 8, 3)), key="steps", step=4)
        mlflow.log_table({"question": ["why", "who"], "length": [3, 3]}, "table.json")
        mlflow.log_table(pd.DataFrame({"question": ["how"], "length": [3]}), "table.json")
        back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="all", dst_path=text)
        seen["large is back"] = (Path(back) / "large.bin").read_bytes() == large
        seen["odd name is back"] = (Path(back) / "deep" / "er" / "ä +&.txt").read_text()
        seen["empty is back"] = (Path(back) / "empty").stat().st_size
    seen["files"] = [name for name in files_of(run.info.run_id) if not name.startswith("images/")]
    seen["images"] = len(files_of(run.info.run_id, "images"))
    entries = mlflow.MlflowClient().list_artifacts(run.info.run_id, "all")
    seen["listed"] = [(one.path, one.is_dir, one.file_size) for one in entries]
    uri = run.info.artifact_uri
    seen["text"] = mlflow.artifacts.load_text(f"{uri}/notes/hello.txt")
    seen["dict"] = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/d.json")
    seen["image"] = mlflow.artifacts.load_image(f"{uri}/image.png").size
    seen["table"] = mlflow.load_table("table.json", run_ids=[run.info.run_id]).to_dict("list")
    seen["missing"] = refusal(lambda: mlflow.artifacts.load_text(f"{uri}/nobody.txt")) != "no error"


def datasets(seen: Facts) -> None:
    """Say which data a run read, and find the runs by it."""
    experiment = mlflow.set_experiment("datasets").experiment_id
    frame = pd.DataFrame({"distance": [1.5, 2.5, 3.5], "carrier": ["AA", "UA", "DL"], "late": [0, 1, 1]})
    table = mlflow.data.from_pandas(frame, source="flights.csv", name="flights", targets="late")
    array = mlflow.data.from_numpy(np.arange(12.0).reshape(4, 3), targets=np.arange(4), name="array")
    with mlflow.start_run(run_name="reads") as run:
        mlflow.log_input(table, context="training", tags={"month": "1"})
        mlflow.log_input(array, context="validation")
        mlflow.log_metric("auc", 0.5, dataset=table)
    got = mlflow.get_run(run.info.run_id)
    seen |= run_facts(got)
    used = got.inputs.dataset_inputs[0].dataset
    seen["source"] = type(mlflow.data.get_source(used)).__name__
    client = mlflow.MlflowClient()
    for words in ("dataset.name = 'flights'", "datasets.context = 'validation'", "dataset.name LIKE 'nob%'"):
        seen[words] = [one.info.run_name for one in client.search_runs([experiment], words)]


STEPS = (experiments, runs, unusual, search, artifacts, datasets)
