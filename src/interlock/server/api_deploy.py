"""Bring a registered version behind an endpoint from the web interface, as `interlock deploy` does."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from interlock.core.errors import InvalidInput
from interlock.loop.endpoints import Outcome
from interlock.ports.deployment_store import Role
from interlock.server.http import JSON_TYPE, Answer, Request, json_response
from interlock.server.router import Route
from interlock.server.view_routes import API
from interlock.server.workers import Workers


class DeployRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be deployed, and how.

    Args:
        model: Ref of a registered version (`model:delay@7`).
        endpoint: Name of the endpoint; that of the model by default.
        role: As what.
        share: The part of callers that a canary answers.
        gate: Whether it must pass the gate where there is one.
        reason: Why; kept for ever.
    """

    model: str
    endpoint: str | None = None
    role: Role = "live"
    share: float = 0.1
    gate: bool = True
    reason: str = ""


class Deployed(Protocol):
    """An endpoint that knows what its deployment came to."""

    outcome: Outcome | None


class Deployer(Protocol):
    """What `Workspace.deploy` does."""

    def __call__(self, model: Any, *, name: str | None, example: Any = None, **options: Any) -> Deployed:
        """Put a model behind an endpoint."""
        ...


_decode = msgspec.json.Decoder(DeployRequest).decode


def deploy_route(deploy: Deployer, workers: Workers) -> Route:
    """Return the route that deploys; it answers when the endpoint does."""

    async def answer(request: Request) -> Answer:
        try:
            wanted = _decode(await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                "the deployment cannot be read", why=str(error), fix='{"model": "model:delay@7", "endpoint": "delay"}'
            ) from error
        deployed = await workers.run(
            lambda: deploy(
                wanted.model,
                name=wanted.endpoint or None,
                canary=wanted.role == "canary",
                shadow=wanted.role == "shadow",
                share=wanted.share,
                gate=wanted.gate,
                reason=wanted.reason,
            )
        )
        return json_response(deployed.outcome)

    return Route(method="POST", path=f"{API}/deploy", access="api", handler=answer, media_types=(JSON_TYPE,))
