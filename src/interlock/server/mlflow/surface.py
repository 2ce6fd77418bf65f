"""Put the surfaces of MLflow's protocol together."""

from __future__ import annotations

from interlock.server.mlflow import (
    artifacts,
    assessments,
    evaluation_datasets,
    experiments,
    gateway_bindings,
    gateway_budgets,
    gateway_endpoints,
    gateway_guardrails,
    gateway_models,
    gateway_providers,
    gateway_secrets,
    graphql,
    issues,
    logged_models,
    metrics,
    online_scoring,
    otlp,
    promptlab,
    registry,
    run_logging,
    runs,
    scorers,
    search,
    server_info,
    trace_metrics,
    traces,
    traces_v2,
    transfers,
    versions,
    webhooks,
)
from interlock.server.mlflow.wire import ROOTS, Ground, error_response
from interlock.server.mlflow.wire import routes as routes_of
from interlock.server.router import ErrorShape, Route

_SURFACES = (
    artifacts,
    assessments,
    evaluation_datasets,
    experiments,
    gateway_bindings,
    gateway_budgets,
    gateway_endpoints,
    gateway_guardrails,
    gateway_models,
    gateway_providers,
    gateway_secrets,
    issues,
    logged_models,
    metrics,
    online_scoring,
    promptlab,
    registry,
    run_logging,
    runs,
    scorers,
    search,
    server_info,
    trace_metrics,
    traces,
    traces_v2,
    transfers,
    versions,
    webhooks,
)

ERROR_SHAPES: dict[str, ErrorShape] = {
    **{f"{root}/{version}/": error_response for root in ROOTS for version in ("2.0", "3.0")},
    "/ajax-api/": error_response,
    "/get-artifact": error_response,
    "/graphql": error_response,
    "/model-versions/": error_response,
    "//model-versions/": error_response,
    "/v1/traces": error_response,
}
"""Below which paths errors have MLflow's shape."""


def mlflow_routes(ground: Ground) -> list[Route]:
    """Return every route that MLflow's clients and web UI may call."""
    endpoints = [endpoint for surface in _SURFACES for endpoint in surface.ENDPOINTS]
    return [
        *routes_of(endpoints, ground),
        *artifacts.routes(ground),
        *transfers.routes(ground),
        *graphql.routes(endpoints, ground),
        *otlp.routes(ground),
        *server_info.routes(),
    ]
