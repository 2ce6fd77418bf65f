"""List, route, watch and roll back endpoints, and end their server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from interlock.cli import endpoint_keys
from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, fields, listing, table
from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput
from interlock.loop.routing_back import roll_back
from interlock.ports.deployment_store import Deployment, Endpoint
from interlock.server.access_log import read_entries
from interlock.server.contracts.container import brings_code, write_container
from interlock.server.serving_folder import ACCESS_FILE, serving_folder
from interlock.workspace import Workspace, open_workspace

app = App(name="endpoint", help="List, route, watch and roll back endpoints.")
app.command(endpoint_keys.app)

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
        routed = roll_back(workspace, name, reason=reason)
        workspace.endpoint(name).reload()
    return _routed(routed)


@app.command
def traffic(endpoint: str, /, *, session: Here) -> Answer:
    """Show what each version behind an endpoint does: its share, counts and mean time.

    Args:
        endpoint: Its name or Ref.
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.endpoint(endpoint).traffic()
    columns = {
        "version": lambda one: one.model,
        "role": lambda one: one.role,
        "share": lambda one: f"{one.share:.0%}",
        "runs on": lambda one: one.engine,
        "answers logged": lambda one: one.logged,
        "requests": lambda one: one.requests,
        "failed": lambda one: one.failures,
        "last hour": lambda one: one.last_hour,
        "mean ms": lambda one: one.mean_ms,
        "p99 ms": lambda one: one.p99_ms,
    }
    return Answer(found, (table(found, columns),))


@app.command
def logs(
    endpoint: str | None = None,
    /,
    *,
    lines: int = 100,
    requests: Annotated[bool, Parameter(negative=())] = False,
    session: Here,
) -> Answer:
    """Print what the server that deployments started wrote, or the access log of all servers of this machine.

    Args:
        endpoint: Only requests for this endpoint.
        lines: At most so many, the last ones.
        requests: Print requests instead, one a line: when, what, by whom, how long.
    """
    with open_workspace(session.uri, create=False) as workspace:
        if requests or endpoint is not None:
            return _requests(workspace, endpoint, lines)
        found = workspace.servers.log(lines=lines)
    return Answer(found, ("\n".join(found) or "it wrote nothing",))


@app.command
def server(*, session: Here) -> Answer:
    """Say which server answers for the endpoints of this workspace."""
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.servers.find()
    if found is None:
        return Answer(None, ("no server runs: interlock deploy MODEL starts one, and so does interlock serve",))
    told = {"url": found.url, "kind": found.kind, "pid": found.pid or None, "wants a token": found.token is not None}
    return Answer(told, (fields(told),))


@app.command
def stop(*, session: Here) -> Answer:
    """End the server that deployments started; what is deployed stays deployed."""
    with open_workspace(session.uri, create=False) as workspace:
        stopped = workspace.servers.stop()
        other = workspace.servers.find()
    if stopped is not None:
        return Answer({"stopped": stopped.url}, (f"the server at {stopped.url} has ended",))
    words = "no server runs in the background"
    if other is not None:
        words += f"; the one at {other.url} is ended where it was started (interlock {other.kind})"
    return Answer({"stopped": None}, (words,))


@app.command
def container(name: str, /, *, output: Path, wheel: Path | None = None, session: Here) -> Answer:
    """Write a folder from which a container image of what an endpoint answers can be built.

    The image serves SageMaker, Vertex AI, Azure ML and KServe alike, each by its own contract.

    Args:
        name: The endpoint, whose live version is taken, or a model version (`model:delay@7`).
        output: The folder to write; it must be empty, or not exist.
        wheel: A wheel of Interlock to put into the image, in place of the published version.
    """
    with open_workspace(session.uri, create=False) as workspace:
        ref = name
        if not name.startswith("model:"):
            found = workspace.stores.deployments.get(name_of(name, kind="endpoint"))
            ref = next(deployment.model for deployment in found.deployments if deployment.role == "live")
        version = workspace.registry.resolve(ref)
        package = workspace.registry.package_folder(version)
        paths = write_container(version, package, output, wheel=wheel)
        signed = brings_code(package)
    facts = {"model": version.ref, "folder": str(output), "build": f"docker build -t {version.model} {output}"}
    if signed:
        facts["needs"] = "INTERLOCK_PASSPHRASE in the container, the one it was registered with: it brings Python code"
    return Answer({**facts, "files": paths}, (fields(facts), "\n".join(paths)))


def _requests(workspace: Workspace, endpoint: str | None, lines: int) -> Answer:
    folder = serving_folder(workspace)
    name = None if endpoint is None else name_of(endpoint, kind="endpoint")
    entries = [] if folder is None else read_entries(folder / ACCESS_FILE, last=lines, endpoint=name)
    columns = {
        "time": lambda entry: entry.time,
        "request": lambda entry: f"{entry.method} {entry.path}",
        "status": lambda entry: entry.status,
        "ms": lambda entry: f"{entry.ms:.3f}",
        "version": lambda entry: entry.version,
        "predictions": lambda entry: list(entry.ids[:1]) + [f"and {entry.rows - 1} more"] * (entry.rows > 1),
        "key": lambda entry: entry.key,
    }
    return listing(entries, columns, empty="no requests are in the access log: interlock serve --access-log on")


def _routed(endpoint: Endpoint) -> Answer:
    return Answer(endpoint, (table([endpoint], COLUMNS),))


def _words(deployment: Deployment) -> str:
    share = f" {deployment.share:.0%}" if deployment.share else ""
    return f"{deployment.role} {deployment.model}{share}"
