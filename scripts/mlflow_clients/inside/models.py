"""Steps that log, register, alias, load and evaluate models."""

from __future__ import annotations

import warnings
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from facts import Facts, files_of, last_metrics, logged_models, model_facts, plain, refusal, run_facts
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression

RNG = np.random.default_rng(7)
ROWS = pd.DataFrame(RNG.normal(size=(80, 3)), columns=["distance", "hour", "wind"])
LATE = (ROWS["distance"] + ROWS["wind"] > 0).astype(int)
MINUTES = 3 * ROWS["distance"] - ROWS["hour"]


class Doubler(mlflow.pyfunc.PythonModel):
    """A model of MLflow's own kind, with a parameter."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Return twice the sum of each row, or more."""
        return model_input.sum(axis=1).to_numpy() * (params or {}).get("times", 2)


def registry(seen: Facts) -> None:
    """Register versions, alias them, load them by every address, search, rename and delete."""
    mlflow.set_experiment("registry")
    client = mlflow.MlflowClient()
    for depth in (0.1, 10.0):
        model = LogisticRegression(C=depth).fit(ROWS, LATE)
        with mlflow.start_run() as run:
            info = mlflow.sklearn.log_model(
                model,
                name="model",
                input_example=ROWS.head(3),
                signature=infer_signature(ROWS, model.predict(ROWS)),
                registered_model_name="Flight delay",
            )
    seen |= model_facts(info.model_uri)
    client.set_registered_model_alias("Flight delay", "champion", "1")
    client.set_registered_model_alias("Flight delay", "candidate", "2")
    client.set_registered_model_tag("Flight delay", "team", "ops")
    client.set_model_version_tag("Flight delay", "2", "checked", "yes")
    client.update_model_version("Flight delay", "2", description="the *better* one")
    client.update_registered_model("Flight delay", description="late or not")
    for address in ("Flight delay@champion", "Flight delay@candidate", "Flight delay/1", "Flight delay/latest"):
        loaded = mlflow.pyfunc.load_model(f"models:/{address}")
        seen[f"predicts {address}"] = plain(loaded.predict(ROWS.head(20)).tolist())
    native = mlflow.sklearn.load_model("models:/Flight delay@candidate")
    seen["native"] = plain(native.predict_proba(ROWS.head(3)).tolist())
    seen["from its run"] = plain(mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(ROWS[:2]).tolist())
    seen["signature"] = plain(mlflow.models.get_model_info("models:/Flight delay@candidate").signature.to_dict())
    version = client.get_model_version_by_alias("Flight delay", "candidate")
    seen["version"] = [str(version.version), version.tags, list(version.aliases), version.description, version.status]
    seen["its run"] = version.run_id == run.info.run_id
    seen["model"] = [
        plain(client.get_registered_model("Flight delay").aliases),
        client.get_registered_model("Flight delay").tags,
    ]
    seen["versions"] = [str(one.version) for one in client.search_model_versions("name = 'Flight delay'")]
    seen["models"] = [one.name for one in client.search_registered_models("name ILIKE 'flight%'")]
    seen["tagged"] = [str(one.version) for one in client.search_model_versions("tags.checked = 'yes'")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.transition_model_version_stage("Flight delay", "1", "Production")
        seen["stages"] = [str(one.version) for one in client.get_latest_versions("Flight delay", ["Production"])]
    copy = client.copy_model_version("models:/Flight delay@champion", "Flight delay copy")
    seen["copy"] = plain(
        mlflow.pyfunc.load_model(f"models:/Flight delay copy/{copy.version}").predict(ROWS[:5]).tolist()
    )
    client.delete_registered_model_alias("Flight delay", "champion")
    seen["no alias"] = refusal(lambda: client.get_model_version_by_alias("Flight delay", "champion"))
    client.rename_registered_model("Flight delay copy", "Renamed")
    client.delete_model_version("Flight delay", "1")
    client.delete_registered_model("Renamed")
    seen["left"] = [(one.name, str(one.version)) for one in client.search_model_versions()]
    seen["gone"] = refusal(lambda: client.get_registered_model("Renamed"))
    seen["twice"] = refusal(lambda: client.create_registered_model("Flight delay"))


def logged(seen: Facts) -> None:
    """Log models of MLflow's own kind, give them params, tags and metrics, search them."""
    experiment = mlflow.set_experiment("logged").experiment_id
    signature = infer_signature(ROWS, np.zeros(2), params={"times": 2})
    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model(
            name="doubler",
            python_model=Doubler(),
            signature=signature,
            input_example=(ROWS.head(2), {"times": 3}),
            params={"size": 3},
            tags={"kind": "toy"},
        )
        mlflow.log_metric("error", 0.25, step=1, model_id=info.model_id)
    seen |= model_facts(info.model_uri)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    seen["predicts"] = plain(loaded.predict(ROWS.head(3), params={"times": 5}).tolist())
    external = mlflow.create_external_model(name="elsewhere", params={"kind": "llm"}, model_type="agent")
    mlflow.set_logged_model_tags(external.model_id, {"tier": "gold"})
    mlflow.log_model_params({"width": "8"}, model_id=external.model_id)
    for number, one in enumerate(logged_models(experiment)):
        tags = {key: value for key, value in one.tags.items() if not key.startswith("mlflow.")}
        seen[f"logged {number}"] = [
            one.name,
            str(one.status),
            one.model_type or None,
            one.params,
            tags,
            last_metrics(one),
        ]
    found = mlflow.search_logged_models(
        experiment_ids=[experiment],
        filter_string="metrics.error < 0.5 AND params.size = '3'",
        order_by=[{"field_name": "metrics.error", "ascending": False}],
        output_format="list",
    )
    seen["found"] = [one.name for one in found]
    outputs = mlflow.get_run(run.info.run_id).outputs
    seen["outputs"] = [one.model_id == info.model_id for one in outputs.model_outputs] if outputs else []
    seen["files of the run"] = files_of(run.info.run_id)
    mlflow.delete_logged_model_tag(external.model_id, "tier")
    mlflow.finalize_logged_model(external.model_id, "FAILED")
    seen["external"] = [
        mlflow.get_logged_model(external.model_id).status,
        mlflow.get_logged_model(external.model_id).tags.get("tier"),
    ]
    mlflow.MlflowClient().delete_logged_model(external.model_id)
    seen["left"] = [one.name for one in logged_models(experiment)]


def evaluate(seen: Facts) -> None:
    """Evaluate a classifier, a regressor and a table of answers."""
    mlflow.set_experiment("evaluate")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(LogisticRegression().fit(ROWS, LATE), name="model", input_example=ROWS.head(3))
        result = mlflow.models.evaluate(
            info.model_uri,
            ROWS.assign(late=LATE),
            targets="late",
            model_type="classifier",
            evaluator_config={"log_explainer": False, "log_model_explainability": False},
        )
    seen |= run_facts(mlflow.get_run(run.info.run_id), "classifier ")
    seen["classifier result"] = [plain(result.metrics), sorted(result.artifacts)]
    with mlflow.start_run() as run:
        model = LinearRegression().fit(ROWS, MINUTES)
        answers = ROWS.assign(minutes=MINUTES, said=model.predict(ROWS))
        data = mlflow.data.from_pandas(answers, predictions="said", targets="minutes", name="answers")
        result = mlflow.models.evaluate(data=data, model_type="regressor")
    # what is left of the figures of a perfect fit is rounding
    seen["regressor"] = [sorted(result.metrics), round(result.metrics["r2_score"], 9)]
    seen |= {key: value for key, value in run_facts(mlflow.get_run(run.info.run_id)).items() if "metric" not in key}
    again = mlflow.models.EvaluationResult(metrics={"a": 1.0}, artifacts={})
    seen["table"] = again.metrics


STEPS = (registry, logged, evaluate)
