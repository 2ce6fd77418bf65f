"""A small tracking server for tests of the spool: it keeps what it gets, and fails as it is told."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from interlock.server.http import Receive, Scope, Send
from interlock.server.serve import listen, serving
from interlock.server.spool.forwarder import Forwarder
from interlock.server.spool.store import Store, open_store
from interlock.server.spool.upstream import Upstream

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
Told = tuple[int, dict[str, Any]]
"""A status and the body that goes with it."""


class Refused(Exception):
    """What the server answers instead.

    Args:
        status: The HTTP status.
        code: MLflow's error code.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Tracking:
    """Experiments, runs, logged models and artifacts, with MLflow's semantics where a spool depends on them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.experiments = {"0": {"experiment_id": "0", "name": "Default", "artifact_location": "mlflow-artifacts:/0"}}
        self.runs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.fault: Callable[[str, str, Any], int | None] = lambda method, path, body: None
        """Gives the status to fail with before anything happens, 0 to fail after it happened."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = dict(parse_qsl(scope["query_string"].decode()))
        path = scope["raw_path"].decode()
        with self._lock:
            fields = body if path.startswith(ARTIFACTS) or not body else msgspec.json.decode(body)
            self.calls.append((scope["method"], path, fields))
            fault = self.fault(scope["method"], path, fields)
            status, answer = (fault, {}) if fault else self._answer(scope["method"], path, fields or query)
        if fault == 0:
            status, answer = 500, {"error_code": "INTERNAL_ERROR", "message": "as the test wants it"}
        headers = [(b"content-type", b"text/plain" if path == "/version" else b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        text = b"3.17.0" if path == "/version" else msgspec.json.encode(answer)
        await send({"type": "http.response.body", "body": text})

    def _answer(self, method: str, path: str, fields: Any) -> Told:
        try:
            return 200, self._do(method, path, fields)
        except Refused as refusal:
            return refusal.status, {"error_code": refusal.code, "message": "refused"}

    def _do(self, method: str, path: str, fields: Any) -> dict[str, Any]:
        if path.startswith(ARTIFACTS):
            return self._artifact(method, path.removeprefix(f"{ARTIFACTS}/"), fields)
        match method, path.removeprefix(f"{API}/").split("/"):
            case "GET", ["experiments", "search"]:
                return {"experiments": list(self.experiments.values())}
            case "GET", ["experiments", "get"]:
                return {"experiment": self.experiments[fields["experiment_id"]]}
            case "GET", ["experiments", "get-by-name"]:
                found = [one for one in self.experiments.values() if one["name"] == fields["experiment_name"]]
                return {"experiment": (found or _raise(404, "RESOURCE_DOES_NOT_EXIST"))[0]}
            case "POST", ["experiments", "create"]:
                return self._new_experiment(fields)
            case "POST", ["runs", "create"]:
                return {"run": self._new_run(fields)}
            case "POST", ["runs", "search"]:
                return {"runs": [run for run in self.runs.values() if self._is_meant(run["data"]["tags"], fields)]}
            case "GET", ["runs", "get"]:
                return {"run": self._run(fields)}
            case "POST", ["runs", what]:
                return self._log(what, self._run(fields), fields)
            case "POST", ["logged-models"]:
                return {"model": self._new_model(fields)}
            case "POST", ["logged-models", "search"]:
                return {"models": [one for one in self.models.values() if self._is_meant(one["info"]["tags"], fields)]}
            case _, ["logged-models", model_id, *what]:
                return self._model(method, model_id, what, fields)
        return _raise(404, "ENDPOINT_NOT_FOUND") if path != "/version" else {}

    def _new_experiment(self, fields: Any) -> dict[str, Any]:
        if any(one["name"] == fields["name"] for one in self.experiments.values()):
            _raise(400, "RESOURCE_ALREADY_EXISTS")
        number = str(len(self.experiments))
        location = fields.get("artifact_location") or f"mlflow-artifacts:/{number}"
        self.experiments[number] = {"experiment_id": number, "name": fields["name"], "artifact_location": location}
        return {"experiment_id": number}

    def _new_run(self, fields: Any) -> dict[str, Any]:
        experiment = self.experiments.get(fields["experiment_id"]) or _raise(404, "RESOURCE_DOES_NOT_EXIST")
        run_id = f"{next(self._numbers):032x}"
        info = {
            "run_id": run_id,
            "run_uuid": run_id,
            "experiment_id": fields["experiment_id"],
            "run_name": fields.get("run_name", "chosen-by-the-server"),
            "start_time": fields.get("start_time"),
            "status": "RUNNING",
            "artifact_uri": f"{experiment['artifact_location']}/{run_id}/artifacts",
        }
        tags = {tag["key"]: tag["value"] for tag in fields.get("tags", [])}
        self.runs[run_id] = {"info": info, "data": {"metrics": [], "params": {}, "tags": tags}, "outputs": []}
        return self.shown(run_id)

    def shown(self, run_id: str) -> dict[str, Any]:
        """Return a run as the API shows it."""
        run = self.runs[run_id]
        tags = [{"key": key, "value": value} for key, value in run["data"]["tags"].items()]
        outputs = {"model_outputs": [{"model_id": one} for one in run["outputs"]]}
        return {"info": dict(run["info"]), "data": {"tags": tags}, "inputs": {}, "outputs": outputs}

    def _run(self, fields: Any) -> dict[str, Any]:
        run_id = fields.get("run_id")
        if run_id not in self.runs:
            _raise(404, "RESOURCE_DOES_NOT_EXIST")
        return self.shown(run_id)

    def _log(self, what: str, shown: dict[str, Any], fields: Any) -> dict[str, Any]:
        run = self.runs[shown["info"]["run_id"]]
        data = run["data"]
        match what:
            case "update":
                run["info"].update({name: value for name, value in fields.items() if name != "run_id"})
                return {"run_info": run["info"]}
            case "log-metric":
                self._points(data, [fields])
            case "log-parameter":
                self._params(data, [fields])
            case "log-batch":
                self._params(data, fields.get("params", []))
                self._points(data, fields.get("metrics", []))
                data["tags"].update({tag["key"]: tag["value"] for tag in fields.get("tags", [])})
            case "set-tag":
                data["tags"][fields["key"]] = fields["value"]
            case "delete-tag":
                if data["tags"].pop(fields["key"], None) is None:
                    _raise(404, "RESOURCE_DOES_NOT_EXIST")
            case "outputs":
                for one in fields["models"]:
                    if one["model_id"] in run["outputs"]:
                        _raise(500, "INTERNAL_ERROR")
                    run["outputs"].append(one["model_id"])
            case "log-inputs":
                data.setdefault("inputs", []).append(fields)
            case _:
                _raise(404, "ENDPOINT_NOT_FOUND")
        return {}

    @staticmethod
    def _points(data: Any, points: Any) -> None:
        for one in points:
            if one["key"] == "bad key":
                _raise(400, "INVALID_PARAMETER_VALUE")
            point = (one["key"], one["value"], one["timestamp"], one.get("step", 0))
            if point not in data["metrics"]:
                data["metrics"].append(point)

    @staticmethod
    def _params(data: Any, params: Any) -> None:
        if len({one["key"] for one in params}) < len(params):
            _raise(400, "INVALID_PARAMETER_VALUE")
        for one in params:
            if data["params"].setdefault(one["key"], one["value"]) != one["value"]:
                _raise(400, "INVALID_PARAMETER_VALUE")

    def _new_model(self, fields: Any) -> dict[str, Any]:
        model_id = f"m-{next(self._numbers):032x}"
        tags = {tag["key"]: tag["value"] for tag in fields.get("tags", [])}
        root = self.experiments[fields["experiment_id"]]["artifact_location"]
        info = {"model_id": model_id, "experiment_id": fields["experiment_id"], "name": fields["name"], "tags": tags}
        info.update(artifact_uri=f"{root}/models/{model_id}/artifacts", source_run_id=fields.get("source_run_id"))
        self.models[model_id] = {"info": info, "data": {"params": list(fields.get("params", []))}}
        return self.models[model_id]

    def _model(self, method: str, model_id: str, what: list[str], fields: Any) -> dict[str, Any]:
        model = self.models.get(model_id) or _raise(404, "RESOURCE_DOES_NOT_EXIST")
        match method, what:
            case "PATCH", []:
                model["info"]["status"] = fields["status"]
            case "PATCH", ["tags"]:
                model["info"]["tags"].update({tag["key"]: tag["value"] for tag in fields["tags"]})
            case "DELETE", ["tags", key]:
                model["info"]["tags"].pop(key)
            case "POST", ["params"]:
                known = {param["key"] for param in model["data"]["params"]}
                if any(param["key"] in known for param in fields["params"]):
                    _raise(500, "INTERNAL_ERROR")
                model["data"]["params"] += fields["params"]
        return {"model": model}

    def _artifact(self, method: str, path: str, body: Any) -> dict[str, Any]:
        if method == "PUT":
            self.artifacts[path] = body or b""
            return {}
        return {"size": len(self.artifacts.get(path) or _raise(404, "NOT_FOUND"))}

    @staticmethod
    def _is_meant(tags: dict[str, str], fields: Any) -> bool:
        key, value = re.findall(r"[`']([^`']+)[`']", fields["filter"])
        return tags.get(key) == value

    def writes(self, path: str) -> list[Any]:
        """Return the bodies of the calls to an address, in order."""
        return [body for _, called, body in self.calls if called == f"{API}/{path}"]

    def run_named(self, name: str) -> dict[str, Any]:
        """Return the one run of a name."""
        (found,) = [run for run in self.runs.values() if run["info"]["run_name"] == name]
        return found


def _raise(status: int, code: str) -> Any:
    raise Refused(status, code)


class Place:
    """A port at which a tracking server may come and go."""

    def __init__(self, app: Tracking) -> None:
        self.app = app
        """What answers; tests share the place and bring their own."""
        with contextlib.closing(listen("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._there = contextlib.ExitStack()

    def come(self) -> None:
        """Begin to answer."""
        self._there.enter_context(serving(self, listen("127.0.0.1", self.port)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def go(self) -> None:
        """Close the port."""
        self._there.close()


def opened(folder: Path, url: str, **options: Any) -> Store:
    """Open a spool's folder with room for everything."""
    return open_store(folder, **{"upstream": url, "max_bytes": 1 << 30, **options})


@contextlib.contextmanager
def forwarding(store: Store, upstream: Upstream, **options: Any) -> Iterator[Forwarder]:
    """Forward for the length of a block."""
    forwarder = Forwarder(store, upstream, **{"pauses_s": (0.01, 0.05), **options})
    forwarder.start()
    try:
        yield forwarder
    finally:
        forwarder.close()


def until(done: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Wait for something that another thread brings about."""
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
