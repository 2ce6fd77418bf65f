"""Route endpoints as they were before."""

from __future__ import annotations

from interlock.core.errors import NotFound
from interlock.loop.ground import Ground
from interlock.ports.deployment_store import Endpoint


def roll_back(ground: Ground, name: str, *, reason: str = "") -> Endpoint:
    """Route an endpoint as it was before its last change.

    Raises:
        NotFound: There is no such endpoint, or it was never routed otherwise.
        Conflict: Another process routed it meanwhile.
    """
    store = ground.stores.deployments
    now = store.get(name)
    before = next((old for old in store.history(name) if old.deployments != now.deployments), None)
    if before is None:
        raise NotFound(
            f"endpoint '{name}' was never routed otherwise",
            why=f"revision {now.revision} is all there is",
            fix=f"interlock endpoint route {name} MODEL",
        )
    why = reason or f"rolled back to revision {before.revision} by hand"
    return store.route(name, before.deployments, expect=now.revision, reason=why)
