"""The areas of MLflow's test tree that are run, and how each is turned to a server behind a URL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """One area: the tests to run and what they need.

    `client` says that the tests start no server of their own: before each of them the tracking URI is set.
    """

    name: str
    title: str
    paths: tuple[str, ...]
    client: bool = True
    needs: tuple[str, ...] = ()


AREAS = (
    Area("rest", "The tracking API over REST", ("tests/tracking/test_rest_tracking.py",), client=False),
    Area("registry", "The model registry over REST", ("tests/tracking/test_model_registry.py",), client=False),
    Area("artifacts", "Artifacts through the server", ("tests/tracking/test_mlflow_artifacts.py",), client=False),
    Area(
        "webhooks",
        "Webhooks",
        ("tests/tracking/test_client_webhooks.py", "tests/store/model_registry/test_rest_store_webhooks.py"),
        client=False,
    ),
    Area(
        "otel",
        "OpenTelemetry spans",
        ("tests/tracing/test_otel_logging.py", "tests/tracing/test_otel_loading.py"),
        client=False,
    ),
    Area("tracking", "The fluent tracking calls, end to end", ("tests/tracking/test_tracking.py",)),
    Area(
        "fluent",
        "mlflow.start_run, log_*, search_runs, autolog()",
        ("tests/tracking/fluent", "tests/tracking/_model_registry"),
    ),
    Area(
        "media",
        "Figures and images",
        ("tests/tracking/test_log_figure.py", "tests/tracking/test_log_image.py"),
    ),
    Area("client", "MlflowClient", ("tests/tracking/test_client.py", "tests/test_runs.py")),
    Area(
        "stores",
        "Artifacts and models by URI",
        (
            "tests/artifacts",
            "tests/store/artifact/test_cli.py",
            "tests/store/artifact/test_mlflow_artifact_repo.py",
            "tests/store/artifact/test_models_artifact_repo.py",
            "tests/store/artifact/test_runs_artifact_repo.py",
            "tests/tracking/test_artifact_utils.py",
        ),
    ),
    Area(
        "datasets",
        "Dataset inputs",
        ("tests/data/test_pandas_dataset.py", "tests/data/test_numpy_dataset.py", "tests/data/test_meta_dataset.py"),
    ),
    Area("models", "Logging and loading models", ("tests/models/test_model.py", "tests/models/test_artifacts.py")),
    Area("sklearn", "scikit-learn: autolog and models", ("tests/sklearn",), needs=("sklearn",)),
    Area("xgboost", "XGBoost: autolog and models", ("tests/xgboost",), needs=("xgboost",)),
    Area("lightgbm", "LightGBM: autolog and models", ("tests/lightgbm",), needs=("lightgbm",)),
    Area("statsmodels", "statsmodels: autolog and models", ("tests/statsmodels",), needs=("statsmodels",)),
    Area("pytorch", "PyTorch: autolog and models", ("tests/pytorch",), needs=("torch",)),
    Area("tensorflow", "TensorFlow: autolog and models", ("tests/tensorflow",), needs=("tensorflow",)),
    Area("evaluate", "mlflow.evaluate", ("tests/evaluate",), needs=("sklearn",)),
    Area("prompt", "Prompts", ("tests/prompt",)),
)
