"""Know what was seen of experiments, runs and models, so that their clients get answers while the server is away."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.server.http import encode_json
from interlock.server.mlflow.wire import Failure
from interlock.server.spool.history import History
from interlock.server.spool.ids import Ids
from interlock.server.spool.records import RUN_CALLS, Call, Write, read_object, run_of
from interlock.server.spool.sketches import RUN_NAME_TAG, ModelSketch, RunSketch, mapping, mappings, pairs
from interlock.server.spool.state import Seen, State

_ARTIFACT_LOCATION = "mlflow.artifactLocation"


class Known:
    """What the spool can answer by itself; thread-safe.

    What the server showed is remembered in the state. What was spooled since is added in memory, and goes to the
    state once it has been forwarded; until then the log has it.

    Args:
        state: Where things that were seen are remembered.
        ids: The ids that the spool gave.
        history: What waits of metrics.
    """

    def __init__(self, state: State, ids: Ids, history: History) -> None:
        self._state = state
        self._history = history
        self._ids = ids
        self._lock = threading.RLock()
        self._runs: dict[str, RunSketch] = {}
        self._models: dict[str, ModelSketch] = {}
        self._experiments: dict[str, dict[str, Any]] = {}

    def take(self, write: Write, call: Call) -> dict[str, Any]:
        """Take in a write that was spooled, and return what MLflow would answer to it."""
        with self._lock:
            fields = {} if call.name in _OPAQUE else read_object(write.body)
            match call.name:
                case "create-experiment":
                    return self._new_experiment(write, fields)
                case "create-run":
                    return {"run": self._new_run(write, fields).show()}
                case "create-model":
                    return {"model": self._new_model(write, fields).show()}
                case "finalize-model" | "set-model-tags" | "delete-model-tag" | "log-model-params":
                    return self._change_model(call, fields)
                case "start-trace":
                    return self._new_trace(fields)
                case _ if call.name in _ABOUT_RUNS:
                    return self._change_run(call, fields)
            return {}

    def _new_experiment(self, write: Write, fields: Mapping[str, Any]) -> dict[str, Any]:
        self._experiments[write.makes] = {
            "experiment_id": write.makes,
            "name": fields["name"],
            "artifact_location": fields.get("artifact_location") or f"mlflow-artifacts:/{write.makes}",
            "lifecycle_stage": "active",
            "creation_time": write.accepted_at_ms,
            "last_update_time": write.accepted_at_ms,
            "tags": fields.get("tags") or [],
        }
        return {"experiment_id": write.makes}

    def _new_run(self, write: Write, fields: Mapping[str, Any]) -> RunSketch:
        run_id, experiment_id = write.makes, str(fields["experiment_id"])
        tags = {**pairs(fields.get("tags")), RUN_NAME_TAG: fields.get("run_name", "")}
        info = {
            "run_id": run_id,
            "run_uuid": run_id,
            "run_name": fields.get("run_name", ""),
            "experiment_id": experiment_id,
            "user_id": fields.get("user_id", ""),
            "status": "RUNNING",
            "start_time": fields.get("start_time", write.accepted_at_ms),
            "artifact_uri": f"{self._root(experiment_id)}/{run_id}/artifacts",
            "lifecycle_stage": "active",
        }
        self._runs[run_id] = RunSketch({"info": info})
        self._runs[run_id].log({"tags": [{"key": key, "value": value} for key, value in tags.items()]})
        return self._runs[run_id]

    def _new_model(self, write: Write, fields: Mapping[str, Any]) -> ModelSketch:
        model_id, experiment_id = write.makes, str(fields["experiment_id"])
        info = {
            "model_id": model_id,
            "experiment_id": experiment_id,
            "name": fields.get("name") or model_id,
            "creation_timestamp_ms": write.accepted_at_ms,
            "last_updated_timestamp_ms": write.accepted_at_ms,
            "artifact_uri": f"{self._root(experiment_id)}/models/{model_id}/artifacts",
            "status": "LOGGED_MODEL_PENDING",
            "model_type": fields.get("model_type", ""),
            "source_run_id": fields.get("source_run_id", ""),
            "tags": fields.get("tags") or [],
        }
        self._models[model_id] = ModelSketch({"info": info, "data": {"params": fields.get("params") or []}})
        return self._models[model_id]

    def _new_trace(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        info = dict(mapping(mapping(fields.get("trace")).get("trace_info")))
        place = mapping(mapping(info.get("trace_location")).get("mlflow_experiment"))
        root = self._root(str(place.get("experiment_id", "0")))
        location = f"{root}/traces/{info.get('trace_id')}/artifacts"
        return {"trace": {"trace_info": {**info, "tags": {**mapping(info.get("tags")), _ARTIFACT_LOCATION: location}}}}

    def _root(self, experiment_id: str) -> str:
        experiment = self._experiment(experiment_id) or {}
        return str(experiment.get("artifact_location") or f"mlflow-artifacts:/{experiment_id}").rstrip("/")

    def _change_run(self, call: Call, fields: dict[str, Any]) -> dict[str, Any]:
        run_id = run_of(fields)
        run = self._run(run_id) or RunSketch({"info": {"run_id": run_id, "run_uuid": run_id}})
        self._runs[run_id] = run
        match call.name:
            case "update-run":
                run.update(fields)
                return {"run_info": run.info}
            case "delete-run" | "restore-run":
                run.info["lifecycle_stage"] = "deleted" if call.name == "delete-run" else "active"
            case "log-batch":
                run.log(fields)
            case "log-metric":
                run.log({"metrics": [{k: v for k, v in fields.items() if k not in ("run_id", "run_uuid")}]})
            case "log-parameter":
                run.log({"params": [fields]})
            case "set-tag":
                run.log({"tags": [fields]})
            case "delete-tag":
                run.remove_tag(str(fields.get("key")))
            case "log-inputs":
                run.add_inputs(fields)
            case "log-outputs":
                run.add_outputs(fields)
        return {}

    def _change_model(self, call: Call, fields: Mapping[str, Any]) -> dict[str, Any]:
        model_id = call.names[0]
        model = self._model(model_id) or ModelSketch({"info": {"model_id": model_id}})
        self._models[model_id] = model
        match call.name:
            case "finalize-model":
                model.info["status"] = fields.get("status", "LOGGED_MODEL_READY")
            case "set-model-tags":
                model.tag(fields.get("tags"))
            case "delete-model-tag":
                model.remove_tag(call.names[1])
            case "log-model-params":
                model.add_params(fields.get("params"))
        return {"model": model.show()} if call.name in ("finalize-model", "set-model-tags") else {}

    def _run(self, run_id: str) -> RunSketch | None:
        found = self._runs.get(run_id)
        if found is None and (body := self._state.seen("run", run_id)) is not None:
            found = RunSketch(msgspec.json.decode(body))
        return found

    def _model(self, model_id: str) -> ModelSketch | None:
        found = self._models.get(model_id)
        if found is None and (body := self._state.seen("model", model_id)) is not None:
            found = ModelSketch(msgspec.json.decode(body))
        return found

    def _experiment(self, experiment_id: str) -> dict[str, Any] | None:
        found = self._experiments.get(experiment_id)
        if found is None and (body := self._state.seen("experiment", experiment_id)) is not None:
            found = msgspec.json.decode(body, type=dict[str, Any])
        return found

    def _experiment_named(self, name: str) -> dict[str, Any] | None:
        for one in self._experiments.values():
            if one["name"] == name:
                return one
        body = self._state.seen_named("experiment", name)
        return None if body is None else msgspec.json.decode(body, type=dict[str, Any])

    def refuse_taken(self, name: str) -> None:
        """Refuse a new experiment whose name is taken, as the server would.

        Raises:
            Failure: There is one of the name.
        """
        with self._lock:
            if self._experiment_named(name) is not None:
                raise Failure("RESOURCE_ALREADY_EXISTS", f"Experiment '{name}' already exists.")

    def made(self, call: str, given: str) -> dict[str, Any] | None:
        """Return once more what was answered when something was created."""
        if call == "create-experiment":
            return {"experiment_id": given}
        path = "runs/get" if call == "create-run" else f"logged-models/{given}"
        return self.answer(f"/api/2.0/mlflow/{path}", {"run_id": given})

    def answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """Return what MLflow would answer to a read, or None where that is not known.

        Raises:
            Failure: There is no experiment of that name, as far as the spool knows.
        """
        with self._lock:
            match path.removeprefix("/api/2.0/mlflow/").split("/"):
                case ["runs", "get"]:
                    run = self._run(query.get("run_id") or query.get("run_uuid", ""))
                    return {"run": run.show()} if run is not None and _whole(run) else None
                case ["metrics", "get-history"]:
                    return self._metric_history(query.get("run_id") or query.get("run_uuid", ""), query)
                case ["logged-models", model_id]:
                    model = self._model(model_id)
                    return {"model": model.show()} if model is not None and _whole(model) else None
                case ["experiments", "get"]:
                    experiment = self._experiment(query.get("experiment_id", ""))
                    return None if experiment is None else {"experiment": experiment}
                case ["experiments", "get-by-name"]:
                    experiment = self._experiment_named(query.get("experiment_name", ""))
                    if experiment is None:
                        raise Failure(
                            "RESOURCE_DOES_NOT_EXIST",
                            f"Could not find experiment with name '{query.get('experiment_name', '')}' among those "
                            "that the spool has seen, and the tracking server is away.",
                        )
                    return {"experiment": experiment}
            return None

    def _metric_history(self, run_id: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        if self._run(run_id) is None:
            return None
        points = self._history.points(run_id, query.get("metric_key", ""))
        return {"metrics": points} if points else {}

    def learn_page(self, path: str, media_type: str, body: bytes) -> None:
        """Remember an answer as it is."""
        page = encode_json([media_type, body.decode(errors="replace")])
        if self._state.seen("page", path) != page:
            self._state.see([Seen("page", path, "", page)])

    def page(self, path: str) -> tuple[str, bytes] | None:
        """Return an answer as it was, with its media type."""
        page = self._state.seen("page", path)
        if page is None:
            return None
        media_type, text = msgspec.json.decode(page, type=tuple[str, str])
        return media_type, text.encode()

    def learn(self, answer: bytes) -> None:
        """Remember what an answer of the server shows, in the ids that clients know."""
        shown = mapping(_decoded(self._ids.backward(answer)))
        with self._lock:
            things = [
                _thing("run", mapping(mapping(shown.get("run")).get("info")).get("run_id"), shown.get("run")),
                _thing("model", mapping(mapping(shown.get("model")).get("info")).get("model_id"), shown.get("model")),
                *(
                    _thing("experiment", one.get("experiment_id"), one, name=str(one.get("name", "")))
                    for one in (mapping(shown.get("experiment")), *mappings(shown.get("experiments")))
                ),
            ]
            info = mapping(shown.get("run_info"))
            if (run := self._run(str(info.get("run_id")))) is not None:
                run.info.update(info)
                things.append(_thing("run", info["run_id"], run.show()))
            self._state.see([thing for thing in things if thing is not None])

    def settle(self, thing_id: str) -> None:
        """Move to the state what was spooled about a thing, now that the server has all of it."""
        with self._lock:
            run, model = self._runs.pop(thing_id, None), self._models.pop(thing_id, None)
            experiment = self._experiments.pop(thing_id, None)
            things = [
                _thing("run", thing_id, run.show()) if run is not None and _whole(run) else None,
                _thing("model", thing_id, model.show()) if model is not None and _whole(model) else None,
                _thing("experiment", thing_id, experiment, name=experiment["name"]) if experiment is not None else None,
            ]
            self._state.see([thing for thing in things if thing is not None])


PAGES = frozenset({"/version", "/health", "/api/3.0/mlflow/server-info"})
"""Answers about the server itself, which hold as long as it is the same server."""
_OPAQUE = frozenset({"put-artifact", "otlp-traces", "delete-model-tag", "set-trace-tag"})
_ABOUT_RUNS = RUN_CALLS - {"log-model"}


def _whole(sketch: RunSketch | ModelSketch) -> bool:
    """Say whether more is known of a thing than what was written to it."""
    return "experiment_id" in sketch.info


def _thing(kind: str, thing_id: Any, shown: Any, *, name: str = "") -> Seen | None:
    return Seen(kind, thing_id, name, encode_json(shown)) if isinstance(thing_id, str) else None


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
