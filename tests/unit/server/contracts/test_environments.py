from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput
from interlock.server.contracts.environments import NOWHERE, Environment, read_environment


def read(environ: dict[str, str], *there: str) -> Environment:
    return read_environment(environ, exists=lambda path: str(path) in there)


def test_nothing_said_is_nowhere() -> None:
    assert read({"HOME": "/root"}) is NOWHERE
    assert read({"SAGEMAKER_JOB_NAME": "a-notebook"}) is NOWHERE


def test_vertex_says_port_routes_and_where_the_model_lies() -> None:
    found = read(
        {
            "AIP_HTTP_PORT": "9000",
            "AIP_HEALTH_ROUTE": "/health",
            "AIP_PREDICT_ROUTE": "/predict",
            "AIP_STORAGE_URI": "/m",
        },
        "/m",
    )
    assert (found.platform, found.port, found.model) == ("vertex", 9000, Path("/m"))
    assert (found.health_route, found.predict_route) == ("/health", "/predict")


def test_vertex_has_routes_by_default_and_an_address_that_only_its_client_reads() -> None:
    found = read(
        {
            "AIP_STORAGE_URI": "gs://bucket/model",
            "AIP_ENDPOINT_ID": "7",
            "AIP_DEPLOYED_MODEL_ID": "9",
            "INTERLOCK_MODEL_DIR": "/opt/ml/model",
        },
        "/opt/ml/model",
    )
    assert (found.port, found.model) == (8080, Path("/opt/ml/model"))
    assert found.health_route == "/v1/endpoints/7/deployedModels/9"
    assert found.predict_route == "/v1/endpoints/7/deployedModels/9:predict"


def test_sagemaker_is_known_by_its_model_folder() -> None:
    found = read({}, "/opt/ml/model")
    assert (found.platform, found.port, found.model) == ("sagemaker", 8080, Path("/opt/ml/model"))
    assert not found.is_multi_model


def test_sagemaker_says_how_batches_come_and_where_to_listen() -> None:
    found = read(
        {
            "SAGEMAKER_BIND_TO_PORT": "9191",
            "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999",
            "SAGEMAKER_BATCH_STRATEGY": "SingleRecord",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "8",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
        },
        "/opt/ml/model",
    )
    assert (found.port, found.workers) == (9191, 3)
    assert (found.batch.strategy, found.batch.concurrent, found.batch.payload_mb) == ("SINGLE_RECORD", 8, 20)


@pytest.mark.parametrize(("span", "port"), [("9000-9999", 9000), ("8000-8999", 8080)])
def test_a_port_lies_in_the_range_that_is_safe(span: str, port: int) -> None:
    assert read({"SAGEMAKER_SAFE_PORT_RANGE": span}, "/opt/ml/model").port == port


def test_several_models_of_sagemaker_come_later() -> None:
    found = read({"SAGEMAKER_MULTI_MODEL": "true"})
    assert (found.is_multi_model, found.model) == (True, Path("/opt/ml/models"))
    assert read({"SAGEMAKER_MULTI_MODEL": "1", "INTERLOCK_MODELS_DIR": "/m"}).model == Path("/m")


def test_azure_says_script_model_origins_and_time() -> None:
    found = read(
        {
            "AZUREML_ENTRY_SCRIPT": "src/score.py",
            "AML_APP_ROOT": "/app",
            "AZUREML_MODEL_DIR": "/models",
            "SCORING_TIMEOUT_MS": "1500",
            "WORKER_COUNT": "2",
            "AML_CORS_ORIGINS": "Example.com, https://b.org",
        }
    )
    assert (found.platform, found.port, found.model) == ("azureml", 5001, Path("/models"))
    assert (found.entry_script, found.timeout_s, found.workers) == (Path("/app/src/score.py"), 1.5, 2)
    assert found.cors_origins == ("example.com", "https://b.org")


def test_kserve_puts_models_where_it_always_does() -> None:
    found = read({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "K_SERVICE": "delay-predictor-00001"}, "/mnt/models")
    assert (found.platform, found.name, found.model) == ("kserve", "delay", Path("/mnt/models"))
    assert read({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is NOWHERE
    assert read({}, "/mnt/models") is NOWHERE


def test_our_own_image_says_where_its_model_lies_and_what_is_logged() -> None:
    found = read({"INTERLOCK_MODEL_DIR": "/opt/ml/model", "PORT": "9", "INTERLOCK_LOG_DIR": "/logs"}, "/opt/ml/model")
    assert (found.platform, found.port, found.log) == ("container", 9, Path("/logs"))


@pytest.mark.parametrize(
    "environ",
    [
        {"AIP_HTTP_PORT": "0"},
        {"AIP_HTTP_PORT": "http"},
        {"AIP_PREDICT_ROUTE": "predict"},
        {"AIP_PREDICT_ROUTE": "/{name}"},
        {"SAGEMAKER_BIND_TO_PORT": "70000"},
        {"SAGEMAKER_SAFE_PORT_RANGE": "9-8"},
        {"SAGEMAKER_BATCH_STRATEGY": "some"},
        {"AZUREML_MODEL_DIR": "/m", "SCORING_TIMEOUT_MS": "-1"},
    ],
)
def test_what_means_nothing_is_refused_by_name(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(environ, "/opt/ml/model")
    assert list(environ)[-1] in caught.value.what
