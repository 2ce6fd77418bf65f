"""The views of the JSON API, noun by noun: `GET /api/v1/…`."""

from __future__ import annotations

from interlock.server import (
    api_datasets,
    api_endpoints,
    api_experiments,
    api_lineage,
    api_loop,
    api_models,
    api_monitors,
    api_pipelines,
    api_run_files,
    api_runs,
)
from interlock.server.view_routes import View

VIEWS: tuple[View, ...] = (
    *api_loop.VIEWS,
    *api_runs.VIEWS,
    *api_run_files.VIEWS,
    *api_experiments.VIEWS,
    *api_pipelines.VIEWS,
    *api_models.VIEWS,
    *api_endpoints.VIEWS,
    *api_monitors.VIEWS,
    *api_datasets.VIEWS,
    *api_lineage.VIEWS,
)
