"""List, route and roll back endpoints."""

from __future__ import annotations

from cyclopts import App

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, fields, listing, table
from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput, NotFound
from interlock.ports.deployment_store import Deployment, Endpoint
from interlock.workspace import open_workspace

app = App(name="endpoint", help="List, route and roll back endpoints.")

COLUMNS = {
    "endpoint": lambda endpoint: endpoint.name,
    "revision": lambda endpoint: endpoint.revision,
    "answers": lambda endpoint: [_words(deployment) for deployment in endpoint.deployments],
    "routed": lambda endpoint: endpoint.changed_at,
    "reason": lambda endpoint: endpoint.reason,
}


@app.command(name="list")
def list_(*, limit: int = 100, session: Here) -> Answer:
    """List endpoints and what answers behind them.

    Args:
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        endpoints = workspace.stores.deployments.endpoints(limit=limit)
    return listing(endpoints, COLUMNS, empty="no endpoints yet: interlock endpoint route NAME MODEL")


@app.command
def show(endpoint: str, /, *, limit: int = 10, session: Here) -> Answer:
    """Show one endpoint: its routing and how it came about, what it answered, its last predictions.

    Args:
        endpoint: Its name or Ref.
        limit: At most so many routings and predictions.
    """
    name = name_of(endpoint, kind="endpoint")
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.deployments.get(name)
        history = workspace.stores.deployments.history(name, limit=limit)
        counts = workspace.stores.predictions.counts(name)
        recent = [judged.prediction for judged in workspace.stores.predictions.recent(name, limit=limit)]
    predictions = [
        {"id": p.id, "model": p.model, "role": p.role, "event_time": from_micros(p.event_time), "outputs": p.outputs}
        for p in recent
    ]
    facts = {"endpoint": found.ref, **{f"answered by {who}": count for who, count in sorted(counts.items())}}
    columns = {
        "prediction": lambda row: f"prediction:{row['id']}",
        "about": lambda row: row["event_time"],
        "model": lambda row: row["model"],
        "answer": lambda row: row["outputs"],
    }
    body = table(predictions, columns) if predictions else "nobody has asked it yet"
    return Answer(
        {"endpoint": found, "history": history, "counts": counts, "recent": predictions},
        (fields(facts), table(history, COLUMNS), body),
    )


@app.command
def route(
    endpoint: str,
    model: str,
    /,
    *,
    canary: str | None = None,
    share: float = 0.1,
    shadow: str | None = None,
    reason: str = "",
    session: Here,
) -> Answer:
    """Set which versions answer behind an endpoint, creating it on first use.

    Args:
        endpoint: Its name.
        model: The version that answers (`model:delay@7`).
        canary: A version that answers a share of the callers.
        share: That share, 0 to 1.
        shadow: A version that sees every request and answers none.
        reason: Why; kept for ever.
    """
    name = name_of(endpoint, kind="endpoint")
    if canary is not None and not 0 < share < 1:
        raise InvalidInput(f"a canary cannot take a share of {share:g}", why="expected more than 0 and less than 1")
    taken = share if canary is not None else 0.0
    with open_workspace(session.uri, create=False) as workspace:
        deployments = [Deployment(workspace.registry.resolve(model).ref, "live", 1.0 - taken)]
        if canary is not None:
            deployments.append(Deployment(workspace.registry.resolve(canary).ref, "canary", taken))
        if shadow is not None:
            deployments.append(Deployment(workspace.registry.resolve(shadow).ref, "shadow", 0.0))
        routed = workspace.stores.deployments.route(name, deployments, reason=reason or "by hand")
    return _routed(routed)


@app.command
def rollback(endpoint: str, /, *, reason: str = "", session: Here) -> Answer:
    """Route an endpoint as it was before its last change.

    Args:
        endpoint: Its name or Ref.
        reason: Why; kept for ever.
    """
    name = name_of(endpoint, kind="endpoint")
    with open_workspace(session.uri, create=False) as workspace:
        store = workspace.stores.deployments
        now = store.get(name)
        before = next((old for old in store.history(name) if old.deployments != now.deployments), None)
        if before is None:
            raise NotFound(
                f"endpoint '{name}' was never routed otherwise",
                why=f"revision {now.revision} is all there is",
                fix=f"interlock endpoint route {name} MODEL",
            )
        why = reason or f"rolled back to revision {before.revision} by hand"
        routed = store.route(name, before.deployments, expect=now.revision, reason=why)
    return _routed(routed)


def _routed(endpoint: Endpoint) -> Answer:
    return Answer(endpoint, (table([endpoint], COLUMNS),))


def _words(deployment: Deployment) -> str:
    share = f" {deployment.share:.0%}" if deployment.share else ""
    return f"{deployment.role} {deployment.model}{share}"
