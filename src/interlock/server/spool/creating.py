"""Create at the upstream server what clients were told exists, once, also after a crash in the middle of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from interlock.server.spool.ids import Ids
from interlock.server.spool.records import Write, read_object
from interlock.server.spool.sending import NotNow, NotTaken, Sender
from interlock.server.spool.sketches import mapping, mappings
from interlock.server.spool.state import Made

MARKER = "interlock.spool.id"
"""The tag by which a run or logged model is found again whose creation was not answered."""

_API = "/api/2.0/mlflow"


def marked(fields: Mapping[str, Any], marker: str) -> dict[str, Any]:
    """Add the marker to what is to be created."""
    return {**fields, "tags": [*mappings(fields.get("tags")), {"key": MARKER, "value": marker}]}


def create(sender: Sender, ids: Ids, write: Write, *, doubtful: bool) -> Made:
    """Create what a write creates, unless it is there.

    Args:
        sender: Sends it.
        ids: The ids that the upstream server gave earlier.
        write: What to create.
        doubtful: Whether it may have been sent before.

    Returns:
        The upstream server's id; empty where it refuses.

    Raises:
        NotTaken: It is refused; nothing was created.
        NotNow: It cannot be taken at present.
        Unavailable: The server does not answer, and may have created it.
    """
    fate = ids.fate(write.makes)
    if fate is not None and fate.upstream:
        return fate
    refused = ids.refused(write.needs)
    if refused is not None:
        raise NotTaken(0, f"the server had refused to create {refused}")
    fields = read_object(ids.forward(write.body))
    if write.call == "create-experiment":
        return _experiment(sender, write, fields)
    run = write.call == "create-run"
    shown = _find(sender, write, fields, run=run) if doubtful or write.attempted else None
    if shown is None:
        # servers that take an id from the client keep the given one; the others ignore it
        asked = {**fields, "run_id" if run else "model_id": write.makes}
        answer = sender.ask(write, "POST", f"{_API}/{'runs/create' if run else 'logged-models'}", asked)
        shown = mapping(answer).get("run" if run else "model")
    info = mapping(mapping(shown).get("info"))
    upstream = info.get("run_id" if run else "model_id")
    return _made(write.makes, "run" if run else "model", upstream, info.get("artifact_uri"))


def _find(sender: Sender, write: Write, fields: Mapping[str, Any], *, run: bool) -> Any:
    asked: dict[str, Any] = {
        "experiment_ids": [fields["experiment_id"]],
        "filter": f"tags.`{MARKER}` = '{write.makes}'",
        "max_results": 1,
    }
    if run:
        found = mapping(sender.ask(write, "POST", f"{_API}/runs/search", {**asked, "run_view_type": "ALL"})).get("runs")
    else:
        found = mapping(sender.ask(write, "POST", f"{_API}/logged-models/search", asked)).get("models")
    return next(iter(mappings(found)), None)


def _experiment(sender: Sender, write: Write, fields: Mapping[str, Any]) -> Made:
    try:
        answer = mapping(sender.ask(write, "POST", f"{_API}/experiments/create", fields))
        query = f"get?experiment_id={answer.get('experiment_id')}"
    except NotTaken as refusal:
        # others created it meanwhile, or this spool did, and the answer was lost
        if "RESOURCE_ALREADY_EXISTS" not in refusal.answer:
            raise
        query = f"get-by-name?experiment_name={quote(str(fields['name']), safe='')}"
    shown = mapping(mapping(sender.ask(write, "GET", f"{_API}/experiments/{query}")).get("experiment"))
    return _made(write.makes, "experiment", shown.get("experiment_id"), shown.get("artifact_location"))


def _made(given: str, kind: str, upstream: Any, root: Any) -> Made:
    if not isinstance(upstream, str) or not upstream:
        raise NotNow(200, f"its answer names no {kind}: is it an MLflow tracking server?")
    return Made(given, kind, upstream, str(root or ""))
