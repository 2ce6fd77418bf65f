"""An endpoint in the hands of a user: ask it, tell it what proved true, see what it does, route it back."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch, Unavailable
from interlock.core.ids import new_id
from interlock.core.owner_keys import owner_key
from interlock.core.refs import Ref
from interlock.loop.ground import Ground
from interlock.loop.routing_back import roll_back
from interlock.ports.deployment_store import Deployment
from interlock.ports.deployment_store import Endpoint as Routing
from interlock.ports.endpoint_servers import EndpointServer
from interlock.ports.model_store import Verdict
from interlock.serving.client import EndpointClient
from interlock.serving.requests import CONTEXT, EVENT_TIME, TRIAL
from interlock.serving.rows import PREDICTION_ID, Rows, read_rows
from interlock.serving.statistics import Counted, read_statistics

COUNTED = "serving"
"""The folder, in that of a workspace, in which servers of this machine count and log requests."""
ACCESS_LOG = "access.log"
ACCESS_LOG_READ_BYTES = 4_000_000


class VersionTraffic(msgspec.Struct, frozen=True):
    """What one version behind an endpoint does.

    Args:
        model: Its Ref.
        role: `live`, `canary` or `shadow`.
        share: The part of callers that it answers.
        engine: What runs it.
        logged: Answers that it gave in this role, ever.
        requests: Requests that it answered, as far as servers counted; None where nobody did.
        failures: Requests that it failed.
        rows: Rows that it answered.
        last_hour: Requests that it answered in the last hour.
        mean_ms: Mean time of a request.
        p50_ms: The time that half of the requests took at most.
        p99_ms: The time that 99 of 100 requests took at most.
        last_at: When it was last asked.
    """

    model: str
    role: str
    share: float
    engine: str
    logged: int
    requests: int | None = None
    failures: int | None = None
    rows: int | None = None
    last_hour: int | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    last_at: datetime | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What a deployment came to.

    Args:
        endpoint: Name of the endpoint.
        url: Where it answers.
        model: Ref of the version that was deployed.
        engine: What runs it.
        role: Its role behind the endpoint.
        share: The part of callers that it answers.
        revision: The endpoint's routing revision.
        verdict: What the gate said, if it was asked.
        notes: What is worth knowing: why no gate was asked, what was compared.
        seconds: How long the deployment took.
    """

    endpoint: str
    url: str
    model: str
    engine: str
    role: str
    share: float
    revision: int
    verdict: Verdict | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class Endpoint:
    """A stable address behind which model versions answer.

    Thread-safe. Asking it starts the server of its workspace where none runs.

    Args:
        ground: The workspace.
        name: Its name.
        outcome: The deployment that gave it out, if one did.

    Example:
        endpoint = interlock.deploy(model, example=X, name="delay")
        answers = endpoint.predict(X.head())
        endpoint.feedback(answers, y.head())
    """

    def __init__(self, ground: Ground, name: str, *, outcome: Outcome | None = None) -> None:
        self.name = name
        self.outcome = outcome
        self._ground = ground
        self._server: EndpointServer | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, {self.url!r})"

    @property
    def url(self) -> str:
        """Its address; `/infer` below it takes Open Inference requests."""
        return f"{self._located().url}/v2/models/{quote(self.name, safe='')}"

    @property
    def versions(self) -> tuple[Deployment, ...]:
        """What answers behind it now."""
        return self._routing().deployments

    def predict(
        self,
        rows: Any,
        *,
        ids: Sequence[str] | None = None,
        event_time: datetime | Sequence[datetime] | None = None,
        context: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        version: int | str | None = None,
    ) -> Any:
        """Answer rows over HTTP, in the form in which they come; a `prediction_id` stands beside each answer.

        Args:
            rows: A frame, an Arrow table, records, columns by name, one record, or a matrix.
            ids: An id for each row; made up if not given.
            event_time: The moment that the rows, or each of them, are about; the present if not given.
            context: What is known of the rows, or of each of them; kept with the answers.
            version: Number of the version that shall answer, in place of the endpoint's shares.

        Raises:
            SchemaMismatch: The rows do not fit the signature: row and column are named.
            InvalidInput: The rows cannot be read, or the model refuses them.
            NotFound: There is no such endpoint or version.
            Unavailable: No server answers.
        """
        asked = read_rows(rows, self.client.columns())
        said = _said(asked.length, event_time=event_time, context=context)
        names = list(ids) if ids is not None else [new_id() for _ in range(asked.length)]
        if len(names) != asked.length:
            raise InvalidInput("there are not as many ids as rows", why=f"{len(names)} ids, {asked.length} rows")
        number = None if version is None else str(version)
        try:
            found = self.client.infer(asked.columns, ids=names, params=said, version=number)
        except SchemaMismatch:
            # another version may answer by now, which takes other columns
            before = self.client.columns()
            if self.client.columns(fresh=True) == before:
                raise
            asked = read_rows(rows, self.client.columns())
            found = self.client.infer(asked.columns, ids=names, params=said, version=number)
        return asked.answer(found)

    def feedback(self, predictions: Any, truths: Any, *, known_at: datetime | None = None, source: str = "") -> int:
        """Say what proved true of earlier answers; return how many truths were new.

        Args:
            predictions: What `predict` returned, or the ids of predictions.
            truths: What proved true, one for each.
            known_at: When it became known; the present if not given.
            source: Who says so.

        Raises:
            InvalidInput: There are not as many truths as predictions.
            NotFound: A prediction is not known.
        """
        ids, plain = _ids(predictions), _plain(truths)
        if len(ids) != len(plain):
            raise InvalidInput(
                "there are not as many truths as predictions", why=f"{len(plain)} truths, {len(ids)} predictions"
            )
        beside = {"source": source} | ({"known_at": known_at.isoformat()} if known_at is not None else {})
        receipt = self.client.feedback(
            [{PREDICTION_ID: one, "truth": truth, **beside} for one, truth in zip(ids, plain, strict=True)]
        )
        if unknown := receipt["unknown"]:
            raise NotFound(
                f"{len(unknown)} of the predictions are not known",
                why=f"the first is {unknown[0]}; {receipt['accepted']} others were accepted",
                fix="hand in what predict returned",
            )
        return int(receipt["accepted"])

    def explain(self, rows: Any) -> list[list[dict[str, Any]]]:
        """Say what each column contributed to what the live version says of some rows.

        Args:
            rows: In any form that `predict` takes.

        Returns:
            For each row a part for each output: `base` and the `contributions` add up to `value`, which was checked.

        Raises:
            SchemaMismatch: The rows do not fit the signature.
            InterlockError: They cannot be explained.
        """
        asked = read_rows(rows, self.client.columns())
        found: list[list[dict[str, Any]]] = self.client.explain(asked.columns, rows=asked.length)["explanations"]
        return found

    def traffic(self) -> tuple[VersionTraffic, ...]:
        """Return what each version behind it does: its share, counts and mean time."""
        logged = self._ground.stores.predictions.counts(self.name)
        known = [
            VersionTraffic(
                one.model,
                one.role,
                one.share,
                self._ground.registry.resolve(one.model).engine,
                logged.get(f"{one.model} {one.role}", 0),
            )
            for one in self.versions
        ]
        # what servers of this machine counted lies in files, also after they ended; another machine's tells over HTTP
        folder = self._ground.folder / COUNTED
        if folder.is_dir():
            counted = read_statistics(folder)
            return tuple(_from_counts(one, counted.get((self.name, one.model, one.role))) for one in known)
        told = self._statistics()
        return tuple(_from_server(one, told.get(str(Ref.parse(one.model).number))) for one in known)

    def logs(self, *, lines: int = 100, requests: bool = False) -> str:
        """Return the last lines that its server wrote, or the requests for it that servers of this machine took.

        Args:
            lines: At most so many.
            requests: Whether to return requests, a line of JSON each, in place of what was printed.
        """
        if requests:
            return "\n".join(_requests(self._ground.folder / COUNTED / ACCESS_LOG, self.name)[-lines:])
        return "\n".join(self._ground.servers.log(lines=lines))

    def rollback(self, reason: str = "") -> tuple[Deployment, ...]:
        """Route it as it was before its last change; return what answers now.

        Raises:
            NotFound: It was never routed otherwise.
        """
        routed = roll_back(self._ground, self.name, reason=reason)
        self.reload()
        return routed.deployments

    def stop(self) -> bool:
        """End the server that deployments started, with every endpoint of the workspace; return whether one ran.

        What is deployed stays deployed: the next prediction or deployment starts a server again.
        """
        self.client.close()
        self._server = None
        return self._ground.servers.stop() is not None

    def reload(self) -> None:
        """Have a server that runs take up the newest routing before it answers anything else.

        Raises:
            InterlockError: The routing cannot be loaded.
        """
        if self._ground.servers.find() is not None:
            self.client.reload()

    @cached_property
    def client(self) -> EndpointClient:
        """What asks it over HTTP."""
        return EndpointClient(self.name, self._locate)

    def try_out(self, rows: Any, *, version: int) -> Mapping[str, list[Any]]:
        """Answer rows as `predict` does, as columns by name, without a trace in the log or the counts."""
        asked: Rows = read_rows(rows, self.client.columns(fresh=True))
        names = [new_id() for _ in range(asked.length)]
        return self.client.infer(asked.columns, ids=names, params={}, said={TRIAL: True}, version=str(version)).values

    def curl(self) -> str:
        """Return a command that asks it one row of its example."""
        live = next(one for one in self.versions if one.role == "live")
        version = self._ground.registry.resolve(live.model)
        row = {name: values[0] for name, values in self._ground.registry.example(version).items()}
        body = json.dumps({"dataframe_records": [row]} if not version.signature.is_tensor else {"inputs": row})
        server = self._located()
        token = " -H 'Authorization: Bearer '$INTERLOCK_TOKEN" if server.token else ""
        address = f"{server.url}/endpoints/{quote(self.name, safe='')}/invocations"
        return f"curl {address}{token} -H 'Content-Type: application/json' -d '{body}'"

    def _repr_html_(self) -> str:
        lines = [f"<b>endpoint:{html.escape(self.name)}</b>", f"<code>{html.escape(self.url)}</code>"]
        for one in self.traffic():
            share = f", {one.share:.0%}" if one.share else ""
            lines.append(f"{html.escape(one.model)} · {one.role}{share} · runs on {html.escape(one.engine)}")
        lines += [html.escape(note) for note in (self.outcome.notes if self.outcome else ())]
        return "<br>".join(lines) + f"<pre>{html.escape(self.curl())}</pre>"

    def _routing(self) -> Routing:
        return self._ground.stores.deployments.get(self.name)

    def _located(self, *, is_gone: bool = False) -> EndpointServer:
        if self._server is None or is_gone:
            self._routing()
            self._server = self._ground.servers.start()
        return self._server

    def _locate(self, is_gone: bool) -> tuple[str, str | None]:
        server = self._located(is_gone=is_gone)
        if server.token is not None or server.kind == "remote":
            return server.url, server.token
        # who may read the workspace needs none of the keys that it gives to others
        return server.url, owner_key(self._ground.secret)

    def _statistics(self) -> dict[str, dict[str, Any]]:
        """Return what its server counted of each version, by number; nothing where none runs."""
        if self._ground.servers.find() is None:
            return {}
        try:
            return {one["version"]: one for one in self.client.get("/stats")["model_stats"]}
        except Unavailable:
            return {}


def _requests(path: Path, endpoint: str) -> list[str]:
    """Return the lines of an access log that are of an endpoint, from its last part."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - ACCESS_LOG_READ_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    named = f'"endpoint":{json.dumps(endpoint)}'
    return [line for line in lines if named in line]


def _said(
    count: int,
    *,
    event_time: datetime | Sequence[datetime] | None,
    context: Mapping[str, str] | Sequence[Mapping[str, str]] | None,
) -> dict[str, Sequence[Any]]:
    said: dict[str, Sequence[Any]] = {}
    if event_time is not None:
        times = [event_time] * count if isinstance(event_time, datetime) else list(event_time)
        said[EVENT_TIME] = [time.isoformat() for time in times]
    if context is not None:
        said[CONTEXT] = [context] * count if isinstance(context, Mapping) else list(context)
    for name, values in said.items():
        if len(values) != count:
            raise InvalidInput(f"'{name}' does not match the rows", why=f"{len(values)} for {count} rows")
    return said


def _ids(predictions: Any) -> list[str]:
    """Return the ids in answers of any form, or ids as they are."""
    if isinstance(predictions, str):
        return [predictions]
    if isinstance(predictions, Sequence) and predictions and isinstance(predictions[0], Mapping):
        return [str(one[PREDICTION_ID]) for one in predictions]
    held: Any = predictions
    if isinstance(predictions, Mapping) or PREDICTION_ID in getattr(predictions, "columns", ()):
        held = predictions[PREDICTION_ID]
    elif PREDICTION_ID in getattr(predictions, "column_names", ()):
        held = predictions.column(PREDICTION_ID)
    return [held] if isinstance(held, str) else [str(one) for one in _plain(held)]


def _plain(values: Any) -> list[Any]:
    for name in ("tolist", "to_list", "to_pylist"):
        if hasattr(values, name):
            plain = getattr(values, name)()
            return plain if isinstance(plain, list) else [plain]
    return [values] if isinstance(values, (str, int, float)) or values is None else list(values)


def _from_counts(one: VersionTraffic, counted: Counted | None) -> VersionTraffic:
    if counted is None:
        return one
    return msgspec.structs.replace(
        one,
        requests=counted.requests,
        failures=sum(counted.failures.values()),
        rows=counted.rows,
        last_hour=sum(minute.requests for minute in counted.last_hour(int(time.time()))),
        mean_ms=counted.busy_ns / counted.requests / 1e6 if counted.requests else None,
        p50_ms=counted.quantile_ms(0.5),
        p99_ms=counted.quantile_ms(0.99),
        last_at=from_micros(counted.last_ms * 1000) if counted.last_ms else None,
    )


def _from_server(one: VersionTraffic, told: Mapping[str, Any] | None) -> VersionTraffic:
    if told is None:
        return one
    answered, failed = (told["inference_stats"][kind] for kind in ("success", "fail"))
    return msgspec.structs.replace(
        one,
        requests=answered["count"],
        failures=failed["count"],
        rows=told["inference_count"],
        mean_ms=answered["ns"] / answered["count"] / 1e6 if answered["count"] else None,
        last_at=from_micros(told["last_inference"] * 1000) if told["last_inference"] else None,
    )
