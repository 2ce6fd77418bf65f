"""Describe `/score` as Azure ML's server does: Swagger 2.0, OpenAPI 3.0 and 3.1, as whoever asks can read."""

from __future__ import annotations

from typing import Any

from interlock.server.contracts.model_schemas import Schema, example_rows, list_schema, predictions_schema
from interlock.serving.loading import LoadedModel

VERSIONS = ("2", "3", "3.1")
_ERROR: Schema = {"type": "object", "properties": {"message": {"type": "string"}}}
_FAILED = "The service failed to execute due to an error."


def swagger(model: LoadedModel, name: str, *, version: str) -> dict[str, Any]:
    """Return the description of one model's `/score`.

    Args:
        model: The model.
        name: Its name.
        version: `2`, `3` or `3.1`.
    """
    taken, given = _schemas(model)
    if version != "3.1":
        taken, given = _older(taken, version), _older(given, version)
    schemas = {"ServiceInput": taken, "ServiceOutput": given, "ErrorResponse": _ERROR}
    info = {"title": name, "description": f"API specification for {name}", "version": model.version or "1"}
    if version == "2":
        return {
            "swagger": "2.0",
            "info": info,
            "schemes": ["https", "http"],
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "securityDefinitions": {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}},
            "paths": _paths_of_two(),
            "definitions": schemas,
        }
    return {
        "openapi": "3.1.0" if version == "3.1" else "3.0.3",
        "info": info,
        "paths": _paths_of_three(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}},
        },
    }


def _schemas(model: LoadedModel) -> tuple[Schema, Schema]:
    names = list(model.signature.input_names)
    frame: Schema = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "index": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array", "items": list_schema(model.signature.inputs)},
        },
        "required": ["columns", "data"],
    }
    taken: Schema = {"type": "object", "properties": {"input_data": frame}, "required": ["input_data"]}
    rows = example_rows(model)
    if rows:
        data = [[row[name] for name in names] for row in rows]
        taken["example"] = {"input_data": {"columns": names, "index": list(range(len(data))), "data": data}}
    return taken, predictions_schema(model.signature)


def _older(schema: Any, version: str) -> Any:
    """Return a schema of OpenAPI 3.1 in the words of an older version, which can say less."""
    if isinstance(schema, list):
        return [_older(one, version) for one in schema]
    if not isinstance(schema, dict):
        return schema
    older = {key: one if key == "example" else _older(one, version) for key, one in schema.items()}
    for newer in ("prefixItems", "contentEncoding", "const"):
        if newer in older and not isinstance(older.get("properties"), dict):
            del older[newer]
    if older.get("items") is False:
        older["items"] = {}
    if isinstance(older.get("type"), list):
        older["type"] = older["type"][0]
        older["x-nullable" if version == "2" else "nullable"] = True
    return older


def _paths_of_two() -> dict[str, Any]:
    failed = {"description": _FAILED, "schema": {"$ref": "#/definitions/ErrorResponse"}}
    body = {"name": "serviceInputPayload", "in": "body", "schema": {"$ref": "#/definitions/ServiceInput"}}
    return {
        "/": {
            "get": {
                "operationId": "ServiceHealthCheck",
                "responses": {"200": {"description": "Healthy", "schema": {"type": "string"}}, "default": failed},
            }
        },
        "/score": {
            "post": {
                "operationId": "RunMLService",
                "security": [{"Bearer": []}],
                "parameters": [body],
                "responses": {
                    "200": {"description": "The predictions.", "schema": {"$ref": "#/definitions/ServiceOutput"}},
                    "default": failed,
                },
            }
        },
    }


def _paths_of_three() -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    failed = {"description": _FAILED, "content": content("ErrorResponse")}
    return {
        "/": {
            "get": {
                "operationId": "ServiceHealthCheck",
                "responses": {
                    "200": {"description": "Healthy", "content": {"text/plain": {"schema": {"type": "string"}}}},
                    "default": failed,
                },
            }
        },
        "/score": {
            "post": {
                "operationId": "RunMLService",
                "security": [{"Bearer": []}],
                "requestBody": {"required": True, "content": content("ServiceInput")},
                "responses": {
                    "200": {"description": "The predictions.", "content": content("ServiceOutput")},
                    "default": failed,
                },
            }
        },
    }
