"""Give the next routing of an endpoint: shadow, canary, live, and back. Pure functions on deployments."""

from __future__ import annotations

from interlock.core.errors import Conflict, InvalidInput, NotFound, did_you_mean
from interlock.core.refs import Ref
from interlock.ports.deployment_store import Deployment

Routing = tuple[Deployment, ...]


def begin(model: str) -> Routing:
    """Return the first routing of an endpoint: one version answers everything.

    Example:
        >>> begin("model:delay@1")[0].role
        'live'
    """
    return (Deployment(_version(model), "live", 1.0),)


def begin_shadow(now: Routing, model: str) -> Routing:
    """Add a version that sees every request and answers none.

    Raises:
        Conflict: The version is behind the endpoint already.
    """
    if any(deployment.model == _version(model) for deployment in now):
        raise Conflict(f"{model} is behind the endpoint already", why=_described(now))
    return (*now, Deployment(model, "shadow", 0.0))


def begin_canary(now: Routing, model: str, *, share: float) -> Routing:
    """Let a shadow (or a version that is not there yet) answer a share of callers, taken from the live version.

    Raises:
        InvalidInput: The share is not between 0 and 1, or the live version does not have that much.
        Conflict: The version is live or a canary already.
    """
    if not 0 < share < 1:
        raise InvalidInput(f"a canary cannot have a share of {share:g}", why="expected more than 0 and less than 1")
    live = _live(now)
    if any(deployment.model == _version(model) and deployment.role != "shadow" for deployment in now):
        raise Conflict(f"{model} answers callers already", why=_described(now))
    if live.share - share < 0:
        raise InvalidInput(
            f"a canary cannot have a share of {share:g}", why=f"the live version has only {live.share:g} left"
        )
    others = [deployment for deployment in now if deployment not in (live,) and deployment.model != model]
    return (Deployment(live.model, "live", live.share - share), *others, Deployment(model, "canary", share))


def promote(now: Routing, model: str) -> Routing:
    """Make a shadow or canary answer everything; the former live version leaves, and so do other canaries.

    Raises:
        NotFound: The version is not behind the endpoint.
        Conflict: It is live already.
    """
    if _deployed(now, model).role == "live":
        raise Conflict(f"{model} is live already", why=_described(now))
    shadows = [deployment for deployment in now if deployment.role == "shadow" and deployment.model != model]
    return (Deployment(model, "live", 1.0), *shadows)


def roll_back(now: Routing, model: str) -> Routing:
    """Take a shadow or canary out; the live version gets its share back.

    Raises:
        NotFound: The version is not behind the endpoint.
        Conflict: It is live: another has to be put in its place.
    """
    leaving = _deployed(now, model)
    if leaving.role == "live":
        raise Conflict(
            f"{model} is live and cannot just be taken out", why=_described(now), fix="promote another version instead"
        )
    live = _live(now)
    others = [deployment for deployment in now if deployment not in (live, leaving)]
    rest = 1.0 - sum(deployment.share for deployment in others)
    return (Deployment(live.model, "live", rest), *others)


def _deployed(now: Routing, model: str) -> Deployment:
    for deployment in now:
        if deployment.model == model:
            return deployment
    raise NotFound(
        f"{model} is not behind the endpoint", why=did_you_mean(model, [deployment.model for deployment in now])
    )


def _live(now: Routing) -> Deployment:
    live = [deployment for deployment in now if deployment.role == "live"]
    if len(live) != 1:
        raise InvalidInput("the routing has no live version", why=_described(now) or "it is empty", fix="begin(model)")
    return live[0]


def _version(model: str) -> str:
    ref = Ref.parse(model, kind="model")
    if ref.number is None or str(ref) != model:
        raise InvalidInput(f"'{model}' does not name one version", why="expected model:NAME@NUMBER")
    return model


def _described(now: Routing) -> str:
    return ", ".join(f"{deployment.model} is {deployment.role} ({deployment.share:g})" for deployment in now)
