"""Describe the API as OpenAPI 3.1, derived from the views, the operations and their records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, get_type_hints

import msgspec

from interlock.ports.operations import MEDIA_TYPE, PARAMS_HEADER, PREFIX, STREAM_TYPE, Operation, operations
from interlock.ports.stores import store_ports
from interlock.server.api import VIEWS
from interlock.server.http import JSON_TYPE, Answer, Request, Response, encode_json
from interlock.server.router import Route
from interlock.server.view_routes import API, View
from interlock.server.views import Problem
from interlock.server.workers import Workers

_TEMPLATE = "#/components/schemas/{name}"
_PROBLEM = {
    "description": "What went wrong, why, and what to do.",
    "content": {JSON_TYPE: {"schema": {"$ref": _TEMPLATE.format(name="Problem")}}},
}
_STREAM = {STREAM_TYPE: {"schema": {"type": "string", "description": "frames, as in interlock.ports.framing"}}}


def openapi_route(workers: Workers) -> Route:
    """Return the route of `GET /openapi.json`."""

    async def answer(request: Request) -> Answer:
        return Response(body=await workers.run(encoded_document))

    return Route(method="GET", path="/openapi.json", access="open", handler=answer)


@cache
def encoded_document() -> bytes:
    """Return the document as JSON; it is built once, when it is first asked for."""
    return encode_json(document())


def document() -> dict[str, Any]:
    """Return the OpenAPI document as plain values."""
    derived = [(name, one) for name, port in store_ports().items() for one in operations(port).values()]
    records = [Problem, *(_result(view) for view in VIEWS), *(view.query for view in VIEWS)]
    for _, operation in derived:
        records += [operation.params] if operation.stream_out else [operation.params, operation.result]
    schemas, components = msgspec.json.schema_components(records, ref_template=_TEMPLATE)
    by_record = dict(zip(map(repr, records), schemas, strict=True))
    paths: dict[str, Any] = {}
    for view in VIEWS:
        paths[API + view.path] = {"get": _view_operation(view, by_record, components)}
    for store, operation in derived:
        paths[f"{PREFIX}/{store}/{operation.name}"] = {"post": _derived_operation(store, operation, by_record)}
    paths |= _written_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Interlock",
            "version": "1",
            "description": "The control plane: views for people, and every operation of every store for programs.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _result(view: View) -> Any:
    return get_type_hints(view.read)["return"]


def _view_operation(view: View, schemas: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    query = components[view.query.__name__]
    parameters = [_parameter(name, "path", {"type": "string"}, required=True) for name in _names(view.path)]
    parameters += [
        _parameter(name, "query", schema, required=name in query.get("required", ()))
        for name, schema in query["properties"].items()
    ]
    return {
        "operationId": view.read.__name__,
        "tags": [view.path.split("/")[1]],
        "summary": _summary(view.read.__doc__),
        "parameters": parameters,
        "responses": _responses({JSON_TYPE: {"schema": schemas[repr(_result(view))]}}),
    }


def _derived_operation(store: str, operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    params = schemas[repr(operation.params)]
    described: dict[str, Any] = {
        "operationId": f"{store}_{operation.name}",
        "tags": [f"stores/{store}"],
        "summary": operation.summary,
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": params}}},
        "responses": _responses(
            _STREAM if operation.stream_out else {MEDIA_TYPE: {"schema": schemas[repr(operation.result)]}}
        ),
    }
    if operation.stream_in:
        described["requestBody"]["content"] = _STREAM
        described["parameters"] = [
            _parameter(PARAMS_HEADER, "header", {"type": "string", "description": "base64 of msgpack"}, required=True)
        ]
    return described


def _written_paths() -> dict[str, Any]:
    """Describe the routes that are neither views nor operations."""
    events = {
        "operationId": "follow_events",
        "tags": ["events"],
        "summary": "Follow events as they happen, as server-sent events.",
        "parameters": [
            _parameter("after", "query", {"type": "integer", "minimum": 0}, required=False),
            _parameter("last-event-id", "header", {"type": "integer", "minimum": 0}, required=False),
        ],
        "responses": _responses({"text/event-stream": {"schema": {"type": "string"}}}),
    }
    artifact = {
        "operationId": "download_artifact",
        "tags": ["artifacts"],
        "summary": "Return a stored content whole, as a download.",
        "parameters": [_parameter("digest", "path", {"type": "string"}, required=True)],
        "responses": _responses({STREAM_TYPE: {"schema": {"type": "string"}}}),
    }
    return {API + "/events": {"get": events}, API + "/artifacts/{digest}": {"get": artifact}}


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "The answer.", "content": content}, "default": _PROBLEM}


def _parameter(name: str, place: str, schema: Any, *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _names(path: str) -> Iterable[str]:
    return re.findall(r"\{(\w+)\}", path)


def _summary(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
