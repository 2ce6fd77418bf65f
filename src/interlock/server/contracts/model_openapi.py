"""Describe a model's paths in every protocol as OpenAPI 3.1, derived from its signature and its example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from interlock.core.schema import Signature
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, encode_json
from interlock.server.contracts.model_schemas import (
    Schema,
    datatype,
    example_rows,
    predictions_schema,
    row_schema,
    rows_schema,
    split_schema,
    tensor_schema,
    value_schema,
)
from interlock.server.data_routes import DataRoute
from interlock.server.oip_routes import error_shape
from interlock.serving.engine import EndpointEngine
from interlock.serving.loading import LoadedModel

_JSON = "application/json"
_SAID = {
    "400": "The request does not fit the model.",
    "401": "The server wants a token.",
    "403": "The caller may not ask this.",
    "404": "There is no such model or version.",
    "413": "The request is too large.",
    "415": "The content type is not taken.",
    "422": "A row does not fit the model's signature.",
    "429": "The server is busy.",
    "431": "The target and headers are too large.",
    "500": "The model failed.",
    "503": "The model is not loaded yet.",
    "504": "The answer took too long.",
}
_OPTIONS: dict[str, Any] = {
    "operationId": "score_options",
    "summary": "What a page of another origin asks first.",
    "responses": {"200": {"description": "The page may call, if its headers say so."}},
}
_ERRORS: dict[str, Schema] = {
    "OpenInferenceError": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
    "MlflowError": {
        "type": "object",
        "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
        "required": ["error_code", "message"],
    },
    "AzureError": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    "GoogleError": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "status": {"type": "string"},
                },
                "required": ["code", "message"],
            }
        },
        "required": ["error"],
    },
}


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes that describe models."""
    host = answering.host

    def described(engines: Sequence[EndpointEngine]) -> Reply:
        models = {engine.name: engine.routing.live.model for engine in engines}
        return Reply(encode_json(document(models, alone=len(host.engines) == 1)))

    async def one(call: Call, params: dict[str, str]) -> Reply:
        return described([host.engine(params["name"])])

    async def all_of_them(call: Call, params: dict[str, str]) -> Reply:
        return described([engine for engine in host.engines.values() if engine.is_ready])

    return [
        DataRoute(method="GET", path="/v2/models/{name}/openapi.json", handler=one, shape=error_shape),
        DataRoute(method="GET", path="/openapi.json", handler=all_of_them, shape=error_shape),
    ]


def document(models: dict[str, LoadedModel], *, alone: bool | None = None) -> dict[str, Any]:
    """Return the OpenAPI document of some endpoints, by name.

    Args:
        models: What answers behind each.
        alone: Whether the server has no other, so that paths which name none are its; as it looks if not given.
    """
    paths: dict[str, Any] = {}
    for name, model in models.items():
        paths |= _paths(name, model, alone=len(models) == 1 if alone is None else alone)
    title = next(iter(models)) if len(models) == 1 else "Endpoints"
    version = next(iter(models.values())).version if len(models) == 1 else "1"
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version or "1", "description": "What it takes, in every protocol spoken."},
        "paths": paths,
        "components": {
            "schemas": _ERRORS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(name: str, model: LoadedModel, *, alone: bool) -> dict[str, Any]:
    signature, rows, at = model.signature, example_rows(model), quote(name, safe="")
    tag = name
    infer = _post(
        f"{name}_infer", tag, "Open Inference Protocol v2", _infer(signature), _inferred(signature), "OpenInference"
    )
    scored = _scored(signature)
    scoring = _post(f"{name}_invocations", tag, "MLflow's scoring protocol", _scoring(signature), scored, "Mlflow")
    predict = _post(f"{name}_predict", tag, "KServe V1", _instances(signature), scored, "OpenInference")
    vertex = _post(f"{name}_vertex", tag, "Vertex AI", _instances(signature), _vertex(signature), "Google")
    if rows:
        _exemplify(infer, {"inputs": [_example_tensor(column, rows) for column in signature.inputs]})
        _exemplify(scoring, {"dataframe_records": rows})
        _exemplify(predict, {"instances": rows})
        _exemplify(vertex, {"instances": rows})
    paths = {
        f"/v2/models/{at}": {"get": _get(f"{name}_metadata", tag, "What it takes and gives.")},
        f"/v2/models/{at}/ready": {"get": _get(f"{name}_ready", tag, "Whether it answers.")},
        f"/v2/models/{at}/infer": {"post": infer},
        f"/v1/models/{at}": {"get": _get(f"{name}_v1", tag, "Whether it answers, as KServe V1 asks.")},
        f"/v1/models/{at}:predict": {"post": predict},
        f"/endpoints/{at}/invocations": {"post": scoring},
        f"/v1/endpoints/{at}/deployedModels/{at}:predict": {"post": vertex},
    }
    if alone:
        score = _post("score", tag, "Azure ML", _azure(signature), predictions_schema(signature), "Azure")
        if rows:
            _exemplify(score, {"input_data": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}})
        paths |= {
            "/invocations": {"post": {**scoring, "operationId": "invocations"}},
            "/score": {"get": _query(signature, tag), "post": score, "options": _OPTIONS | {"tags": [tag]}},
        }
    return paths


def _post(operation: str, tag: str, protocol: str, taken: Schema, given: Schema, errors: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": f"Predict, by {protocol}.",
        "requestBody": {"required": True, "content": {_JSON: {"schema": taken}}},
        "responses": _responses(given, errors),
    }


def _get(operation: str, tag: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "responses": _responses({"type": "object"}, "OpenInference"),
    }


def _query(signature: Signature, tag: str) -> dict[str, Any]:
    """Describe a row given as a query."""
    parameters = []
    for column in signature.inputs:
        schema = value_schema(column)
        if isinstance(schema.get("type"), list):
            schema["type"] = schema["type"][0]
        parameters.append({"name": column.name, "in": "query", "required": True, "schema": schema})
    return {
        "operationId": "score_query",
        "tags": [tag],
        "summary": "Predict one row, by Azure ML.",
        "parameters": parameters,
        "responses": _responses(predictions_schema(signature), "Azure"),
    }


def _responses(given: Schema, errors: str) -> dict[str, Any]:
    content = {_JSON: {"schema": {"$ref": f"#/components/schemas/{errors}Error"}}}
    said = {status: {"description": text, "content": content} for status, text in _SAID.items()}
    return {"200": {"description": "The answer.", "content": {_JSON: {"schema": given}}}, **said}


def _exemplify(operation: dict[str, Any], example: Any) -> None:
    operation["requestBody"]["content"][_JSON]["example"] = example


def _example_tensor(column: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    data = [row[column.name] for row in rows]
    return {"name": column.name, "shape": [len(rows)], "datatype": datatype(column), "data": data}


def _infer(signature: Signature) -> Schema:
    tensors = [tensor_schema(column) for column in signature.inputs]
    count = len(tensors)
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "inputs": {"type": "array", "prefixItems": tensors, "items": False, "minItems": count, "maxItems": count},
        },
        "required": ["inputs"],
    }


def _inferred(signature: Signature) -> Schema:
    output = {
        "type": "object",
        "properties": {
            "name": {"enum": [column.name for column in signature.outputs]},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
        },
        "required": ["name", "datatype", "shape"],
    }
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": output},
        },
        "required": ["model_name", "outputs"],
    }


def _instances(signature: Signature) -> Schema:
    return {
        "type": "object",
        "properties": {"instances": rows_schema(signature.inputs)},
        "required": ["instances"],
    }


def _scoring(signature: Signature) -> Schema:
    forms: dict[str, Schema] = {
        "dataframe_split": split_schema(signature.inputs),
        "dataframe_records": {"type": "array", "items": row_schema(signature.inputs), "minItems": 1},
        "instances": rows_schema(signature.inputs),
        "inputs": rows_schema(signature.inputs),
    }
    # other keys beside the rows are left alone, but say nothing: none is described
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {name: form, "params": {"type": "object"}},
                "required": [name],
                "additionalProperties": False,
            }
            for name, form in forms.items()
        ]
    }


def _azure(signature: Signature) -> Schema:
    form = {"anyOf": [split_schema(signature.inputs), rows_schema(signature.inputs)]}
    return {
        "type": "object",
        "properties": {"input_data": form},
        "required": ["input_data"],
    }


def _scored(signature: Signature) -> Schema:
    outputs = {column.name: {"type": "array", "items": value_schema(column)} for column in signature.outputs}
    return {
        "type": "object",
        "properties": {
            "predictions": predictions_schema(signature),
            "prediction_ids": {"type": "array", "items": {"type": "string"}},
            "outputs": {"type": "object", "properties": outputs},
        },
        "required": ["predictions"],
    }


def _vertex(signature: Signature) -> Schema:
    return {
        "type": "object",
        "properties": {"predictions": predictions_schema(signature), "deployedModelId": {"type": "string"}},
        "required": ["predictions"],
    }
