"""A server of the models that the checks of the Open Inference Protocol ask for, over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from interlock.adapters.memory.stores import memory_stores
from interlock.ports.deployment_store import Deployment
from interlock.ports.stores import Stores
from interlock.server.dataplane import DATA_LIMITS
from interlock.server.grpc_oip.listening import grpc_serving
from interlock.server.hosting import EndpointHost
from interlock.server.listening import listen
from interlock.server.serve_app import ServeApp
from interlock.server.wire.serving import serving_wire
from interlock.serving.loading import LoadedModel
from interlock.testing.open_inference.models import VERSION, all_models


def models_by_ref() -> dict[str, LoadedModel]:
    """Return the models as loaded versions."""
    return {
        f"model:{name}@{VERSION}": LoadedModel(
            ref=f"model:{name}@{VERSION}",
            version=VERSION,
            engine="test",
            signature=signature,
            predictor=predictor,
            is_quick=True,
        )
        for name, (signature, predictor) in all_models().items()
    }


@contextmanager
def hosted_models(stores: Stores | None = None) -> Iterator[EndpointHost]:
    """Host every model behind an endpoint of its name."""
    stores = stores or memory_stores()
    models = models_by_ref()
    for ref in models:
        stores.deployments.route(ref.removeprefix("model:").partition("@")[0], [Deployment(ref, "live", 1.0)])
    with EndpointHost(stores.deployments, stores.journal, load=models.__getitem__, log=stores.predictions) as host:
        yield host


@contextmanager
def open_inference_server(
    *, grpc: bool = True, stores: Stores | None = None, **options: Any
) -> Iterator[tuple[str, str]]:
    """Serve the models; give the URL and the address of gRPC."""
    with ExitStack() as exits:
        host = exits.enter_context(hosted_models(stores))
        app = ServeApp(host, **options)
        exits.callback(app.close)
        url = exits.enter_context(serving_wire(app, listen("127.0.0.1", 0)))
        address = ""
        if grpc:
            address = exits.enter_context(grpc_serving(host, "127.0.0.1", 0, limits=DATA_LIMITS))
        yield url, address
