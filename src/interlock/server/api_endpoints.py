"""Answer about endpoints and the predictions behind them."""

from __future__ import annotations

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import InterlockError, NotFound
from interlock.core.refs import Ref
from interlock.ports.deployment_store import Endpoint
from interlock.ports.model_store import ModelVersion
from interlock.ports.prediction_log import JudgedPrediction
from interlock.ports.stores import Stores
from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import EndpointDetail, PredictionRow


class EndpointsQuery(msgspec.Struct, frozen=True):
    """Which endpoints to list; `after` is the name that ended the last page."""

    after: str = ""
    limit: Limit = 100


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
    View(path="/predictions/{prediction_id}", read=get_prediction),
)
