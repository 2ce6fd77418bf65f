"""Give out, list and revoke the API keys of endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Parameter

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, fields, listing
from interlock.core.clock import from_micros
from interlock.server.api_keys import KeyUse, read_use
from interlock.server.serving_folder import serving_folder
from interlock.serving.api_keys import ApiKey, ApiKeys, parse_rate, parse_time
from interlock.workspace import Workspace, open_workspace

app = App(name="key", help="Give out, list and revoke API keys.")

COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "key": lambda row: row["name"],
    "begins": lambda row: row["hint"],
    "for": lambda row: ", ".join(row["endpoints"]) or "all endpoints",
    "admin": lambda row: "yes" if row["admin"] else "",
    "rate": lambda row: "" if row["rate_per_s"] is None else f"{row['rate_per_s']:g}/s, {row['burst']} at once",
    "state": lambda row: row["state"],
    "expires": lambda row: row["expires_at"],
    "last used": lambda row: row["last_used_at"],
    "requests": lambda row: row["requests"],
}


@app.command
def create(
    name: str,
    /,
    *,
    endpoint: Annotated[list[str] | None, Parameter(negative=())] = None,
    rate: str | None = None,
    burst: int | None = None,
    expires: str | None = None,
    admin: Annotated[bool, Parameter(negative=())] = False,
    session: Here,
) -> Answer:
    """Make a key and show it, once: only its digest is kept.

    From the first key on, predictions are answered only to who shows a key or the server's token.

    Args:
        name: What to call it; it stands in the access log.
        endpoint: An endpoint that it may ask; may be given several times. All by default.
        rate: How many requests it may make on the long run: 100/s, 600/min.
        burst: How many it may make at once; as many as in a second by default.
        expires: How long it is good for: 12h, 30d.
        admin: Whether it may load and unload what is served.
    """
    with open_workspace(session.uri, create=False) as workspace:
        key, secret = _keys(workspace).create(
            name,
            endpoints=[name_of(one, kind="endpoint") for one in endpoint or ()],
            admin=admin,
            rate_per_s=None if rate is None else parse_rate(rate),
            burst=burst,
            lasts=None if expires is None else parse_time(expires),
        )
        row = _row(workspace, key, None)
    shown = {"key": secret, **{title: read(row) for title, read in COLUMNS.items() if title in _NEW and read(row)}}
    note = f"it is not shown again; send it as 'Authorization: Bearer {key.hint}…' or 'x-api-key: {key.hint}…'"
    return Answer({**row, "key": secret}, (fields(shown), note))


@app.command(name="list")
def list_(*, session: Here) -> Answer:
    """List keys, those that were revoked or have expired included; their use is that on this machine."""
    with open_workspace(session.uri, create=False) as workspace:
        folder = serving_folder(workspace)
        use = read_use(folder) if folder is not None else {}
        rows = [_row(workspace, key, use.get(key.name)) for key in _keys(workspace).listed()]
    return listing(rows, COLUMNS, empty="no keys yet: interlock endpoint key create NAME")


@app.command
def revoke(name: str, /, *, session: Here) -> Answer:
    """End a key; serving processes refuse it within a second.

    Args:
        name: What it is called.
    """
    with open_workspace(session.uri, create=False) as workspace:
        row = _row(workspace, _keys(workspace).revoke(name), None)
    return Answer(row, (fields({"key": name, "state": row["state"], "since": row["revoked_at"]}),))


_NEW = ("for", "admin", "rate", "expires")


def _keys(workspace: Workspace) -> ApiKeys:
    return ApiKeys(workspace.stores.records, workspace.stores.journal, clock=workspace.clock)


def _row(workspace: Workspace, key: ApiKey, use: KeyUse | None) -> dict[str, Any]:
    """Return what is told of a key: everything but its digest."""
    used = use is not None and use.last_used_ms
    return {
        "name": key.name,
        "hint": key.hint,
        "endpoints": list(key.endpoints),
        "admin": key.admin,
        "rate_per_s": key.rate_per_s,
        "burst": key.burst,
        "state": key.state(workspace.clock.now()),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": from_micros(use.last_used_ms * 1000) if use is not None and used else None,
        "requests": use.requests if use is not None else 0,
    }
