"""Answer the endpoints of MLflow's prompt lab: keep what was tried as a run, and reach the gateway it is tried on."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.core.clock import aware
from interlock.core.ids import new_id
from interlock.ports.run_store import Run, RunBatch
from interlock.server.mlflow.file_tree import FileTree, path_of
from interlock.server.mlflow.known_runs import active_experiment, moment_of, shown
from interlock.server.mlflow.places import RunPlace, uri_of
from interlock.server.mlflow.run_names import run_name
from interlock.server.mlflow.run_records import MADE_BY_MLFLOW, USER, KeyValue
from interlock.server.mlflow.runs import RunAnswer
from interlock.server.mlflow.wire import Endpoint, Failure, Ground, invalid

TARGET = "MLFLOW_DEPLOYMENTS_TARGET"
"""Environment variable with the address of the gateway, as MLflow's server reads it."""

_TABLE = "eval_results_table.json"
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,40}")
_INVOCATION = re.compile(r"gateway/[^/?#\s]+/invocations")
_ENDPOINTS = "api/2.0/endpoints"
_NEEDED = ("experiment_id", "prompt_template", "prompt_parameters", "model_route", "model_input", "mlflow_version")
_TIMEOUT_S = 60.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024


class _Pair(msgspec.Struct):
    key: str = ""
    value: Any = ""


class _Create(msgspec.Struct):
    experiment_id: str = ""
    run_name: str = ""
    tags: list[KeyValue] = []
    prompt_template: str = ""
    prompt_parameters: list[_Pair] = []
    model_route: str = ""
    model_parameters: list[_Pair] = []
    model_input: str = ""
    model_output: str | None = None
    model_output_parameters: list[_Pair] = []
    mlflow_version: str = ""
    user_id: str = "unknown"
    start_time: int | None = None


class _Proxied(msgspec.Struct):
    gateway_path: str = ""
    json_data: Any = None


def _create(ground: Ground, asked: _Create) -> RunAnswer:
    for name in _NEEDED:
        if not getattr(asked, name):
            raise invalid(f"CreatePromptlabRun request must specify {name}.")
    if not _VERSION.fullmatch(asked.mlflow_version):
        raise invalid(f"Invalid mlflow_version '{asked.mlflow_version[:80]}'.")
    experiment = active_experiment(ground, asked.experiment_id)
    started = ground.clock.now() if asked.start_time is None else moment_of(asked.start_time, path="start_time")
    tags = {one.key: one.value for one in asked.tags}
    run = ground.stores.runs.create(
        Run(
            id=new_id(),
            experiment=experiment.name,
            kind="training",
            name=asked.run_name or run_name(),
            status="running",
            started_at=aware(started),
            tags=tags,
            code={"vcs": "none"},
            environment={**MADE_BY_MLFLOW, "user": asked.user_id or tags.get(USER, "unknown")},
        )
    )
    root = path_of(uri_of(RunPlace(experiment.id, run.id)))
    for path, text in _files(asked, run.id).items():
        blob = ground.stores.artifacts.put(text.encode())
        FileTree(ground.stores, ground.clock).put(f"{root}/{path}", blob)
    batch = RunBatch(
        params={
            **_texts(asked.model_parameters),
            "model_route": asked.model_route,
            "prompt_template": asked.prompt_template,
        },
        tags={
            "mlflow.loggedArtifacts": json.dumps([{"path": _TABLE, "type": "table"}]),
            "mlflow.runSourceType": "PROMPT_ENGINEERING",
        },
    )
    ground.stores.runs.log(run.id, batch)
    return RunAnswer(shown(ground, ground.stores.runs.end(run.id, status="finished", ended_at=ground.clock.now())))


def _texts(pairs: list[_Pair]) -> dict[str, str]:
    return {one.key: str(one.value) for one in pairs}


def _files(asked: _Create, run_id: str) -> dict[str, str]:
    """Return the files of a run of the prompt lab: the table that the web UI shows, and a model that asks again."""
    inputs, outputs = _texts(asked.prompt_parameters), _texts(asked.model_output_parameters)
    requirement = f"mlflow[gateway]=={asked.mlflow_version}"
    table = {
        "columns": [*inputs, "prompt", "output", *outputs],
        "data": [[*inputs.values(), asked.model_input, asked.model_output, *outputs.values()]],
    }
    model = {
        "artifact_path": "model",
        "run_id": run_id,
        "mlflow_version": asked.mlflow_version,
        "flavors": {
            "python_function": {
                "loader_module": "mlflow.prompt.promptlab_model",
                "parameters_path": "parameters.yaml",
                "env": {"virtualenv": "python_env.yaml"},
            }
        },
        "signature": {
            "inputs": json.dumps([{"type": "string", "name": name, "required": True} for name in inputs]),
            "outputs": json.dumps([{"type": "string", "name": "output", "required": True}]),
        },
    }
    parameters = {
        "prompt_template": asked.prompt_template,
        "prompt_parameters": inputs,
        "model_parameters": _texts(asked.model_parameters),
        "model_route": asked.model_route,
    }
    # JSON is YAML, too
    return {
        _TABLE: json.dumps(table),
        "model/MLmodel": json.dumps(model, indent=2),
        "model/parameters.yaml": json.dumps(parameters, indent=2),
        "model/requirements.txt": f"{requirement}\n",
        "model/python_env.yaml": json.dumps({"dependencies": [requirement]}),
    }


def _read_gateway(ground: Ground, asked: _Proxied) -> Mapping[str, Any]:
    path = _checked(asked, "GET", fits=asked.gateway_path.strip("/") == _ENDPOINTS)
    return _asked_of_gateway(path, None)


def _ask_gateway(ground: Ground, asked: _Proxied) -> Mapping[str, Any]:
    path = _checked(asked, "POST", fits=_INVOCATION.fullmatch(asked.gateway_path.strip("/")) is not None)
    return _asked_of_gateway(path, json.dumps(asked.json_data).encode())


def _checked(asked: _Proxied, method: str, *, fits: bool) -> str:
    if not asked.gateway_path:
        raise invalid("Deployments proxy request must specify a gateway_path.")
    if not fits:
        raise invalid(f"Invalid gateway_path: {asked.gateway_path[:200]} for method: {method}")
    return asked.gateway_path.strip("/")


def _asked_of_gateway(path: str, body: bytes | None) -> Mapping[str, Any]:
    """Return what the gateway answers; where there is none, it has no endpoints."""
    target = os.environ.get(TARGET, "")
    if not target:
        return {"endpoints": []}
    request = urllib.request.Request(f"{target.rstrip('/')}/{path}", data=body, method="POST" if body else "GET")
    request.add_header("content-type", "application/json")
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            found = msgspec.json.decode(answer.read(_LARGEST_ANSWER_BYTES), type=dict[str, Any])
    except urllib.error.HTTPError as error:
        said = error.read(2000).decode(errors="replace")
        error.close()
        message = f"Deployments proxy request failed with error code {error.code}. Error message: {said}"
        raise Failure("INTERNAL_ERROR", message, status=502) from None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise Failure("TEMPORARILY_UNAVAILABLE", f"The gateway at {TARGET} does not answer: {error}") from error
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
_PROXY = "/2.0/mlflow/gateway-proxy"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path="/2.0/mlflow/runs/create-promptlab-run", request=_Create, handle=_create),
    Endpoint(method="GET", path=_PROXY, request=_Proxied, handle=_read_gateway),
    Endpoint(method="POST", path=_PROXY, request=_Proxied, handle=_ask_gateway),
)
