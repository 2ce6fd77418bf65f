"""Answer about endpoints and the predictions behind them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import InterlockError, NotFound
from interlock.core.refs import Ref
from interlock.ports.deployment_store import Endpoint
from interlock.ports.model_store import ModelVersion
from interlock.ports.prediction_log import JudgedPrediction
from interlock.ports.stores import Stores
from interlock.server.endpoint_views import EndpointTraffic, TrafficMinute, VersionTraffic
from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import EndpointDetail, PredictionRow
from interlock.serving.statistics import Counted, Minute, together

_decode_columns = msgspec.json.Decoder(dict[str, list[Any]]).decode


class EndpointsQuery(msgspec.Struct, frozen=True):
    """Which endpoints to list; `after` is the name that ended the last page."""

    after: str = ""
    limit: Limit = 100


class RecentQuery(msgspec.Struct, frozen=True):
    """How many predictions to list."""

    limit: Limit = 50


def list_endpoints(source: Source, query: EndpointsQuery) -> list[Endpoint]:
    """List endpoints by name."""
    return source.stores.deployments.endpoints(after=query.after, limit=query.limit)


def get_endpoint(source: Source, query: NoQuery, *, name: str) -> EndpointDetail:
    """Return an endpoint with how it was routed, what it answered, and the versions behind it."""
    stores = source.stores
    endpoint = stores.deployments.get(name)
    found = [find_version(stores, deployment.model) for deployment in endpoint.deployments]
    return EndpointDetail(
        endpoint=endpoint,
        history=tuple(stores.deployments.history(name)),
        counts=stores.predictions.counts(name),
        recent=_rows(stores, stores.predictions.recent(name)),
        versions=tuple(version for version in found if version is not None),
        example=_example(stores, endpoint, found),
    )


def list_recent(source: Source, query: RecentQuery, *, name: str) -> tuple[PredictionRow, ...]:
    """List the last answers that callers of an endpoint saw, newest first."""
    return _rows(source.stores, source.stores.predictions.recent(name, limit=query.limit))


def get_traffic(source: Source, query: NoQuery, *, name: str) -> EndpointTraffic:
    """Return what an endpoint was asked in the last hour, and what each version behind it did so far."""
    source.stores.deployments.get(name)
    counted = {key: one for key, one in source.counted().items() if key[0] == name}
    seen = together(one for (_, _, role), one in counted.items() if role != "shadow")
    versions = [_version_traffic(model, role, one) for (_, model, role), one in counted.items()]
    return EndpointTraffic(
        minutes=tuple(map(_minute, seen.last_hour(int(time.time())))) if seen is not None else (),
        versions=tuple(sorted(versions, key=lambda one: -one.requests)),
        url=source.answers_at(),
    )


def _minute(minute: Minute) -> TrafficMinute:
    return TrafficMinute(
        at=minute.at,
        requests=minute.requests,
        rows=minute.rows,
        failures=minute.failures,
        p50_ms=minute.quantile_ms(0.5),
        p90_ms=minute.quantile_ms(0.9),
        p99_ms=minute.quantile_ms(0.99),
    )


def _version_traffic(model: str, role: str, counted: Counted) -> VersionTraffic:
    return VersionTraffic(
        model=model,
        role=role,
        requests=counted.requests,
        rows=counted.rows,
        failures=sum(counted.failures.values()),
        problem=counted.problem,
        p50_ms=counted.quantile_ms(0.5),
        p90_ms=counted.quantile_ms(0.9),
        p99_ms=counted.quantile_ms(0.99),
    )


def get_prediction(source: Source, query: NoQuery, *, prediction_id: str) -> tuple[PredictionRow, ...]:
    """Return the answers under an id: the one the caller saw first, then those of shadows."""
    judged = source.stores.predictions.find(prediction_id)
    if not judged:
        raise NotFound(f"there is no prediction '{prediction_id[:80]}'", why="no answer was logged under this id")
    return _rows(source.stores, judged)


def find_version(stores: Stores, ref: str) -> ModelVersion | None:
    """Return the version that a deployment or a prediction names, or None where the registry has none."""
    try:
        parsed = Ref.parse(ref, kind="model")
    except InterlockError:
        return None
    return stores.models.find(parsed.name, version=parsed.number)


def _example(stores: Stores, endpoint: Endpoint, versions: list[ModelVersion | None]) -> dict[str, Any] | None:
    """Return the first row of the live version's example."""
    live = next(deployment.model for deployment in endpoint.deployments if deployment.role == "live")
    version = next((one for one in versions if one is not None and one.ref == live), None)
    if version is None or version.example is None:
        return None
    columns = _decode_columns(stores.artifacts.get(version.example))
    return {name: values[0] for name, values in columns.items() if values}


def _rows(stores: Stores, judged: list[JudgedPrediction]) -> tuple[PredictionRow, ...]:
    versions = {ref: find_version(stores, ref) for ref in {one.prediction.model for one in judged}}
    return tuple(_row(one, versions[one.prediction.model]) for one in judged)


def _row(judged: JudgedPrediction, version: ModelVersion | None) -> PredictionRow:
    prediction = judged.prediction
    names = version.signature.input_names if version is not None else ()
    # a log may hold answers of a model that this registry never had; their columns go by position
    if len(names) != len(prediction.inputs):
        names = tuple(str(position) for position in range(len(prediction.inputs)))
    return PredictionRow(
        id=prediction.id,
        model=prediction.model,
        role=prediction.role,
        event_time=from_micros(prediction.event_time),
        inputs=dict(zip(names, prediction.inputs, strict=True)),
        outputs=prediction.outputs,
        truth=judged.feedback.truth if judged.feedback is not None else None,
    )


VIEWS = (
    View(path="/endpoints", read=list_endpoints, query=EndpointsQuery),
    View(path="/endpoints/{name}", read=get_endpoint),
    View(path="/endpoints/{name}/recent", read=list_recent, query=RecentQuery),
    View(path="/endpoints/{name}/traffic", read=get_traffic),
    View(path="/predictions/{prediction_id}", read=get_prediction),
)
