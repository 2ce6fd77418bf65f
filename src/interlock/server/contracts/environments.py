"""Read what a cloud tells its containers: where to listen, which routes to answer, where the model lies.

Source: SageMaker's, Vertex AI's and Azure ML's contracts for inference containers, and where KServe's storage
initialiser puts models. `INTERLOCK_MODEL_DIR` says the same to our own images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from interlock.core.errors import InvalidInput

Platform = Literal["", "sagemaker", "vertex", "azureml", "kserve", "container"]

SAGEMAKER_MODEL = Path("/opt/ml/model")
SAGEMAKER_MODELS = Path("/opt/ml/models")
KSERVE_MODEL = Path("/mnt/models")
MODEL_DIR = "INTERLOCK_MODEL_DIR"
MODELS_DIR = "INTERLOCK_MODELS_DIR"
LOG_DIR = "INTERLOCK_LOG_DIR"
_MOST_WORKERS = 256


class Batch(msgspec.Struct, frozen=True):
    """How SageMaker's batch transform shall call.

    Args:
        strategy: `MULTI_RECORD` or `SINGLE_RECORD`.
        concurrent: How many requests at once.
        payload_mb: How large each may be. Unit: MB.
    """

    strategy: str = "MULTI_RECORD"
    concurrent: int = 4
    payload_mb: int = 6


class Environment(msgspec.Struct, frozen=True):
    """Where this process runs, and what it is told there.

    Args:
        platform: Which platform; empty where there is none.
        port: Where to listen.
        model: Folder of the model, or below which all models lie; None where a workspace has it.
        name: Name under which the model answers.
        workers: How many processes; 0 where nothing is said.
        timeout_s: How long an answer may take; 0 where nothing is said. Unit: seconds.
        health_route: A path of the platform's choice that answers whether the model can.
        predict_route: A path of the platform's choice that predicts.
        entry_script: A file with `init` and `run` that answers in the model's place.
        cors_origins: Pages that may call.
        is_multi_model: Whether models are loaded and unloaded by calls.
        batch: How a batch transform shall call.
        log: Folder of the workspace where predictions are logged; None where they are not.
    """

    platform: Platform = ""
    port: int = 8080
    model: Path | None = None
    name: str = "model"
    workers: int = 0
    timeout_s: float = 0.0
    health_route: str = ""
    predict_route: str = ""
    entry_script: Path | None = None
    cors_origins: tuple[str, ...] = ()
    is_multi_model: bool = False
    batch: Batch = Batch()
    log: Path | None = None


NOWHERE = Environment()
"""No platform: a workspace says what is served."""

Exists = Callable[[Path], bool]


def read_environment(environ: Mapping[str, str], *, exists: Exists = Path.exists) -> Environment:
    """Return where this process runs, by the variables that each platform sets.

    Args:
        environ: The environment.
        exists: Whether a folder is there.

    Raises:
        InvalidInput: A variable has a value that means nothing.

    Example:
        >>> read_environment({"AIP_HTTP_PORT": "9000", "AIP_STORAGE_URI": "/model"}).platform
        'vertex'
    """
    for read in (_vertex, _azureml, _sagemaker, _kserve, _container):
        found = read(environ, exists)
        if found is not None:
            log = environ.get(LOG_DIR, "").strip()
            return msgspec.structs.replace(found, log=Path(log)) if log else found
    return NOWHERE


def _vertex(environ: Mapping[str, str], exists: Exists) -> Environment | None:
    if not any(name in environ for name in ("AIP_HTTP_PORT", "AIP_PREDICT_ROUTE", "AIP_STORAGE_URI")):
        return None
    endpoint, deployed = environ.get("AIP_ENDPOINT_ID", ""), environ.get("AIP_DEPLOYED_MODEL_ID", "")
    default = f"/v1/endpoints/{endpoint}/deployedModels/{deployed}" if endpoint and deployed else ""
    return Environment(
        platform="vertex",
        port=_number(environ, "AIP_HTTP_PORT", 8080, most=65_535),
        # the platform gives an address in its store, which only its own client can read: the image holds a copy
        model=_first_there(exists, environ.get("AIP_STORAGE_URI", ""), environ.get(MODEL_DIR, "")),
        health_route=_path(environ, "AIP_HEALTH_ROUTE", default),
        predict_route=_path(environ, "AIP_PREDICT_ROUTE", f"{default}:predict" if default else ""),
    )


def _azureml(environ: Mapping[str, str], exists: Exists) -> Environment | None:
    script, model = environ.get("AZUREML_ENTRY_SCRIPT", ""), environ.get("AZUREML_MODEL_DIR", "")
    if not script and not model:
        return None
    root = Path(environ.get("AML_APP_ROOT") or environ.get("AZUREML_APP_ROOT") or "/var/azureml-app")
    origins = environ.get("AML_CORS_ORIGINS") or environ.get("AZUREML_CORS_ORIGINS") or ""
    return Environment(
        platform="azureml",
        port=_number(environ, "SERVER_PORT", 5001, most=65_535),
        model=Path(model) if model else None,
        workers=_number(environ, "WORKER_COUNT", 0, most=_MOST_WORKERS),
        timeout_s=_number(environ, "SCORING_TIMEOUT_MS", 3_600_000, most=86_400_000) / 1000,
        entry_script=root / script if script else None,
        cors_origins=tuple(origin.strip().lower() for origin in origins.split(",") if origin.strip()),
    )


def _sagemaker(environ: Mapping[str, str], exists: Exists) -> Environment | None:
    model = Path(environ.get("SAGEMAKER_MODEL_DIR") or environ.get("SM_MODEL_DIR") or SAGEMAKER_MODEL)
    is_multi_model = _is_true(environ, "SAGEMAKER_MULTI_MODEL")
    # notebooks have variables of SageMaker's too, but no model; our own image has a model where SageMaker puts its own
    is_told = any(name.startswith("SAGEMAKER_") for name in environ)
    if not is_multi_model and not (exists(model) and (is_told or MODEL_DIR not in environ)):
        return None
    strategy = environ.get("SAGEMAKER_BATCH_STRATEGY", "").upper().replace("SINGLERECORD", "SINGLE_RECORD")
    if strategy not in ("", "MULTI_RECORD", "MULTIRECORD", "SINGLE_RECORD"):
        raise _meaningless("SAGEMAKER_BATCH_STRATEGY", strategy, "expected MULTI_RECORD or SINGLE_RECORD")
    return Environment(
        platform="sagemaker",
        port=_safe_port(environ, _number(environ, "SAGEMAKER_BIND_TO_PORT", 8080, most=65_535)),
        model=Path(environ.get(MODELS_DIR) or SAGEMAKER_MODELS) if is_multi_model else model,
        workers=_number(environ, "SAGEMAKER_MODEL_SERVER_WORKERS", 0, most=_MOST_WORKERS),
        timeout_s=float(_number(environ, "SAGEMAKER_MODEL_SERVER_TIMEOUT", 60, most=3_600)),
        is_multi_model=is_multi_model,
        batch=Batch(
            strategy="SINGLE_RECORD" if strategy == "SINGLE_RECORD" else "MULTI_RECORD",
            concurrent=_number(environ, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 4, most=1_000),
            payload_mb=_number(environ, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6, most=100),
        ),
    )


def _safe_port(environ: Mapping[str, str], port: int) -> int:
    """Return the port, which must lie in SageMaker's range where several containers share a machine."""
    span = environ.get("SAGEMAKER_SAFE_PORT_RANGE", "").strip()
    if not span:
        return port
    first, _, last = span.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= 65_535):
        raise _meaningless("SAGEMAKER_SAFE_PORT_RANGE", span, "expected FIRST-LAST")
    if "SAGEMAKER_BIND_TO_PORT" in environ or int(first) <= port <= int(last):
        return port
    return int(first)


def _kserve(environ: Mapping[str, str], exists: Exists) -> Environment | None:
    if "KUBERNETES_SERVICE_HOST" not in environ or not exists(KSERVE_MODEL):
        return None
    name = environ.get("MODEL_NAME") or environ.get("K_SERVICE", "").partition("-predictor")[0] or "model"
    port = _number(environ, "HTTP_PORT" if "HTTP_PORT" in environ else "PORT", 8080, most=65_535)
    return Environment(platform="kserve", port=port, model=KSERVE_MODEL, name=name)


def _container(environ: Mapping[str, str], exists: Exists) -> Environment | None:
    model = environ.get(MODEL_DIR, "").strip()
    if not model:
        return None
    return Environment(platform="container", port=_number(environ, "PORT", 8080, most=65_535), model=Path(model))


def _first_there(exists: Exists, *paths: str) -> Path | None:
    named = [Path(path.removeprefix("file://")) for path in paths if path]
    return next((path for path in named if exists(path)), named[-1] if named else None)


def _number(environ: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not text.isascii() or not 0 < int(text) <= most:
        raise _meaningless(name, text, f"expected a whole number from 1 to {most}")
    return int(text)


def _path(environ: Mapping[str, str], name: str, default: str) -> str:
    text = environ.get(name, "").strip() or default
    if text and (not text.startswith("/") or "{" in text or "?" in text):
        raise _meaningless(name, text, "expected a path that begins with /")
    return text


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in ("true", "1", "yes")


def _meaningless(name: str, value: str, why: str) -> InvalidInput:
    return InvalidInput(f"{name} is '{value[:100]}'", why=why, fix=f"set {name} to another value, or unset it")
