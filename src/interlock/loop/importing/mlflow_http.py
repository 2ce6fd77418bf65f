"""Read any server that speaks MLflow's REST protocol, over the standard library's HTTP client."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

import msgspec

from interlock.core.errors import Corrupt, InvalidInput, NotFound, Unauthorised, Unavailable
from interlock.loop.importing.files import CHUNK_BYTES, PROXIED, without_secrets
from interlock.loop.importing.mlflow_records import (
    RunParts,
    dataset_use,
    foreign_experiment,
    foreign_run,
    foreign_version,
    logged_model,
    series_of,
    value_from_sql,
)
from interlock.loop.importing.records import (
    ForeignExperiment,
    ForeignFile,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
)
from interlock.ports.logged_model_store import ModelMetric
from interlock.ports.run_store import DatasetUse, ModelUse, Series

TIMEOUT_S = 60.0
_API = "/api/2.0/mlflow"
_IS_PROMPT = "tags.`mlflow.prompt.is_prompt` = 'true'"
_PAGE = 1000
_POINTS_AT_ONCE = 25_000
_STATUS_ERRORS = {401: Unauthorised, 403: Unauthorised, 404: NotFound}


class MlflowHttp:
    """A tracking server.

    Args:
        uri: `http://host:port`, perhaps with `user:password@`.
        environ: Where `MLFLOW_TRACKING_USERNAME`, `_PASSWORD` and `_TOKEN` are looked for.
    """

    kind = "mlflow"

    def __init__(self, uri: str, *, environ: Mapping[str, str]) -> None:
        self.uri = without_secrets(uri).rstrip("/")
        parts = urlsplit(uri)
        user = unquote(parts.username or "") or environ.get("MLFLOW_TRACKING_USERNAME", "")
        password = unquote(parts.password or "") or environ.get("MLFLOW_TRACKING_PASSWORD", "")
        token = environ.get("MLFLOW_TRACKING_TOKEN", "")
        self._headers = {"accept": "application/json"}
        if user:
            self._headers["authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        elif token:
            self._headers["authorization"] = f"Bearer {token}"

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments, deleted ones too."""
        for one in self._pages("/experiments/search", "experiments", {"view_type": "ALL", "max_results": _PAGE}):
            yield foreign_experiment(
                one["experiment_id"],
                one["name"],
                tags=_pairs(one.get("tags")),
                location=one.get("artifact_location") or "",
                deleted=one.get("lifecycle_stage") == "deleted",
            )

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of an experiment, the oldest first."""
        asked = {
            "experiment_ids": [experiment.key],
            "run_view_type": "ALL",
            "max_results": _PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        for one in self._pages("/runs/search", "runs", asked):
            yield self._run(one, experiment.name)

    def _run(self, given: dict[str, Any], experiment: str) -> ForeignRun:
        info, data = given["info"], given.get("data", {})
        run_id = info["run_id"]
        inputs, outputs = given.get("inputs", {}), given.get("outputs", {})
        uses = [ModelUse(one["model_id"], "input") for one in inputs.get("model_inputs", ())]
        uses += [
            ModelUse(one["model_id"], "output", int(one.get("step", 0))) for one in outputs.get("model_outputs", ())
        ]
        parts = RunParts(
            id=run_id,
            name=info.get("run_name") or "",
            status=info["status"],
            start_time=_number(info.get("start_time")),
            end_time=_number(info.get("end_time")),
            user=info.get("user_id") or "",
            deleted=info.get("lifecycle_stage") == "deleted",
            params=_pairs(data.get("params")),
            tags=_pairs(data.get("tags")),
            datasets=[_dataset(one) for one in inputs.get("dataset_inputs", ())],
            models=uses,
        )
        latest = data.get("metrics", ())
        stamps = [
            (one["key"], str(one["value"]), int(one.get("step", 0)), int(one.get("timestamp", 0))) for one in latest
        ]
        return foreign_run(
            parts,
            experiment=experiment,
            stamps=stamps,
            series=partial(self._series, run_id, [one["key"] for one in latest]),
            files=tuple(self._files(f"{_API}/artifacts/list", {"run_id": run_id}, of_run=run_id)),
        )

    def _series(self, run_id: str, keys: list[str]) -> Iterator[Series]:
        for key in keys:
            asked: dict[str, Any] = {"run_id": run_id, "metric_key": key, "max_results": _POINTS_AT_ONCE}
            while True:
                answer = self._get(f"{_API}/metrics/get-history", asked)
                found = answer.get("metrics", ())
                points = [(_value(one["value"]), int(one.get("step", 0)), int(one["timestamp"])) for one in found]
                yield series_of(key, points)
                if not answer.get("next_page_token"):
                    break
                asked["page_token"] = answer["next_page_token"]

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield the logged models of an experiment; servers before 3.0 have none."""
        asked = {"experiment_ids": [experiment.key], "max_results": 50}
        try:
            found = list(self._pages("/logged-models/search", "models", asked))
        except NotFound:
            return
        for one in found:
            info, data = one["info"], one.get("data", {})
            given = {
                "id": info["model_id"],
                "name": info["name"],
                "created": info.get("creation_timestamp_ms"),
                "updated": info.get("last_updated_timestamp_ms"),
                "run": info.get("source_run_id"),
                "kind": info.get("model_type"),
                "status": info.get("status"),
                "status_message": info.get("status_message"),
            }
            model = logged_model(
                given,
                experiment=experiment.name,
                params=_pairs(data.get("params")),
                tags=_pairs(info.get("tags")),
                metrics=[_model_metric(metric) for metric in data.get("metrics", ())],
                deleted=False,
            )
            where = f"{_API}/logged-models/{quote(model.id)}/artifacts/directories"
            yield ForeignLoggedModel(model, tuple(self._files(where, {}, of_model=model.id)))

    def models(self) -> Iterator[ForeignModel]:
        """Yield the registered models, prompts among them."""
        prompts = {"max_results": 100, "filter": _IS_PROMPT}
        found = {
            one["name"]: (one, hidden)
            for hidden, asked in (("", {"max_results": 100}), (_IS_PROMPT, prompts))
            for one in self._pages("/registered-models/search", "registered_models", asked, "GET")
        }
        for name, (one, hidden) in found.items():
            # the server lists the versions of prompts only where they are asked for
            where = "name='{}'".format(name.replace("'", "\\'")) + (f" AND {hidden}" if hidden else "")
            asked = {"max_results": 10_000, "filter": where}
            versions = []
            for said in self._pages("/model-versions/search", "model_versions", asked, "GET"):
                given = {
                    **said,
                    "run": said.get("run_id"),
                    "created": said.get("creation_timestamp"),
                    "stage": said.get("current_stage"),
                }
                versions.append(foreign_version(given, tags=_pairs(said.get("tags")), files_at=self._files_at))
            yield ForeignModel(
                name=name,
                description=one.get("description") or "",
                tags=_pairs(one.get("tags")),
                aliases={alias["alias"]: int(alias["version"]) for alias in one.get("aliases", ())},
                versions=tuple(sorted(versions, key=lambda version: version.number)),
            )

    def _files_at(self, uri: str) -> tuple[tuple[ForeignFile, ...], tuple[str, ...]]:
        """Return the files at an address that the server proxies."""
        parts = urlsplit(uri)
        if parts.scheme != PROXIED:
            return (), (f"its files are at {without_secrets(uri)}, which the server does not give out",)
        root = parts.path.lstrip("/")
        return tuple(self._proxied(root, "")), ()

    def _proxied(self, root: str, below: str) -> Iterator[ForeignFile]:
        base = "/api/2.0/mlflow-artifacts/artifacts"
        for one in self._get(base, {"path": f"{root}/{below}".rstrip("/")}).get("files", ()):
            path = f"{below}/{one['path']}".lstrip("/")
            if one.get("is_dir"):
                yield from self._proxied(root, path)
            else:
                read = partial(self._download, f"{base}/{quote(f'{root}/{path}')}", {})
                yield ForeignFile(path, int(one.get("file_size", -1)), "", read)

    def _files(
        self, where: str, asked: dict[str, str], *, of_run: str = "", of_model: str = ""
    ) -> Iterator[ForeignFile]:
        """Yield the files of a run or logged model, folder by folder."""
        name = "path" if of_run else "artifact_directory_path"
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            more = {**asked, **({name: folder} if folder else {})}
            while True:
                answer = self._get(where, more)
                for one in answer.get("files", ()):
                    if one.get("is_dir"):
                        waiting.append(one["path"])
                        continue
                    if of_run:
                        read = partial(self._download, "/get-artifact", {"run_id": of_run, "path": one["path"]})
                    else:
                        place = f"/ajax-api/2.0/mlflow/logged-models/{quote(of_model)}/artifacts/files"
                        read = partial(self._download, place, {"artifact_file_path": one["path"]})
                    yield ForeignFile(one["path"], int(one.get("file_size", -1)), "", read)
                if not answer.get("next_page_token"):
                    break
                more["page_token"] = answer["next_page_token"]

    def _pages(self, path: str, key: str, asked: dict[str, Any], method: str = "POST") -> Iterator[dict[str, Any]]:
        asked = dict(asked)
        while True:
            where = _API + path
            answer = self._post(where, asked) if method == "POST" else self._get(where, asked)
            yield from answer.get(key, ())
            if not answer.get("next_page_token"):
                return
            asked["page_token"] = answer["next_page_token"]

    def _get(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        return _decoded(b"".join(self._download(path, asked)), path)

    def _post(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        body = msgspec.json.encode(asked)
        request = Request(self._address(path, {}), data=body, headers=self._headers)  # noqa: S310 (http alone)
        request.add_header("content-type", "application/json")
        return _decoded(b"".join(self._answered(request)), path)

    def _download(self, path: str, asked: dict[str, Any]) -> Iterator[bytes]:
        yield from self._answered(Request(self._address(path, asked), headers=self._headers))  # noqa: S310 (http alone)

    def _address(self, path: str, asked: dict[str, Any]) -> str:
        if urlsplit(self.uri).scheme not in ("http", "https"):
            raise InvalidInput(f"'{self.uri}' is not the address of a server", fix="http://127.0.0.1:5000")
        return self.uri + path + (f"?{urlencode(asked)}" if asked else "")

    def _answered(self, request: Request) -> Iterator[bytes]:
        """Yield the body of an answer.

        Raises:
            Unavailable: The server cannot be reached, or breaks off.
            NotFound: It has not what is asked for.
            Unauthorised: It wants a user or a token.
        """
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 (http alone)
                while chunk := answer.read(CHUNK_BYTES):
                    yield chunk
        except HTTPError as error:
            kind = _STATUS_ERRORS.get(error.code, Unavailable)
            said = error.read(500).decode(errors="replace")
            raise kind(f"{self.uri} answered {error.code} to {urlsplit(request.full_url).path}", why=said) from error
        except (URLError, OSError) as error:
            raise Unavailable(f"{self.uri} does not answer", why=str(error), fix="import again later") from error


def _decoded(body: bytes, path: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Corrupt(f"the answer to {path} is no JSON object", why=str(error)) from error


def _value(given: float | str) -> float:
    return value_from_sql(float(given), is_nan=False)


def _pairs(given: Any) -> dict[str, str]:
    return {one["key"]: one.get("value", "") for one in given or ()}


def _number(given: Any) -> int | None:
    return None if given is None else int(given)


def _dataset(given: dict[str, Any]) -> DatasetUse:
    return dataset_use(given["dataset"], _pairs(given.get("tags")))


def _model_metric(given: dict[str, Any]) -> ModelMetric:
    return ModelMetric(
        key=given["key"],
        value=_value(given["value"]),
        step=int(given.get("step", 0)),
        time=int(given.get("timestamp", 0)) * 1000,
        run=given.get("run_id") or "",
        dataset_name=given.get("dataset_name") or "",
        dataset_digest=given.get("dataset_digest") or "",
    )
