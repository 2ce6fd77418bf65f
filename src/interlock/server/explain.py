"""Answer why: `:explain` in KServe's V1, `/explain` in V2; at once where there is an exact way, else later."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from interlock.core.errors import InterlockError
from interlock.server import oip
from interlock.server.answering import Answering
from interlock.server.calls import Call, Header, Reply, encode_json
from interlock.server.contracts.kserve_v1 import read_instances
from interlock.server.data_routes import DataRoute
from interlock.server.explain_jobs import ExplainJobs, Job
from interlock.server.explain_process import ExplainingProcess
from interlock.server.oip_routes import error_shape
from interlock.serving.explaining import Explained, VersionExplainer
from interlock.serving.validation import Table
from interlock.workspace import Workspace


class Explaining:
    """What explains the answers of endpoints.

    Args:
        workspace: Whose versions; one in memory is explained in this process, as no other can see it.
        folder: Where jobs are kept for all workers.
    """

    def __init__(self, workspace: Workspace, folder: Path | None) -> None:
        self._here: Callable[[str], VersionExplainer] | None = None
        self._temporary = tempfile.TemporaryDirectory(prefix="interlock-explain-") if folder is None else None
        if folder is None:
            # nothing is loaded before somebody asks
            self._here = lambda ref: workspace.explain_model(ref)
            self._helpers: tuple[ExplainingProcess, ...] = ()
        else:
            # two, so that no sampling of minutes holds up what is answered at once
            self._helpers = (ExplainingProcess(workspace.uri), ExplainingProcess(workspace.uri, timeout_s=600))
        place = Path(self._temporary.name) if self._temporary is not None else folder
        assert place is not None
        self.jobs = ExplainJobs(place / "explanations")
        self._inexact: set[str] = set()

    def at_once(self, ref: str, table: Table) -> Explained | None:
        """Return an exact explanation, or None where there is no exact way."""
        if ref in self._inexact:
            return None
        columns = [list(values) for values in table.columns]
        if self._here is not None:
            found = self._here(ref).explain(columns, rows=table.rows, mode="exact")
        else:
            found = self._helpers[0].ask(ref, columns, rows=table.rows, mode="exact")
        if found is None:
            self._inexact.add(ref)
        return found

    def later(self, endpoint: str, ref: str, table: Table) -> Job:
        """Begin to sample an explanation."""
        columns = [list(values) for values in table.columns]
        here = self._here

        def work() -> Explained | None:
            if here is not None:
                return here(ref).explain(columns, rows=table.rows, mode="sampled")
            return self._helpers[1].ask(ref, columns, rows=table.rows, mode="sampled")

        return self.jobs.start(endpoint, work)

    def close(self) -> None:
        """End the processes."""
        for helper in self._helpers:
            helper.close()
        self.jobs.close()
        if self._temporary is not None:
            self._temporary.cleanup()


def routes(answering: Answering, explaining: Explaining) -> Sequence[DataRoute]:
    """Return the routes that explain."""
    host = answering.host

    def explained(name: str, version: str | None, read: Any) -> Reply:
        engine = host.engine(name)
        routing = engine.routing
        one = routing.live if version is None else routing.version(version)
        table = read(routing.check)
        if one.order is not None:
            table = Table([table.columns[place] for place in one.order], table.rows, has_missing=table.has_missing)
        found = explaining.at_once(one.model.ref, table)
        if found is not None:
            return Reply(encode_json(_document(name, one.model.version, found)))
        job = explaining.later(name, one.model.ref, table)
        url = f"/v2/models/{quote(name, safe='')}/explanations/{job.id}"
        said = {"id": job.id, "state": job.state, "url": url, "model_name": name, "model_version": one.model.version}
        later: tuple[Header, ...] = ((b"location", url.encode()), (b"retry-after", b"1"))
        return Reply(encode_json(said), 202, (*Reply().headers, *later))

    async def v1(call: Call, params: dict[str, str]) -> Reply:
        body = await call.body()
        return await answering.in_thread(
            lambda: explained(params["name"], None, lambda check: read_instances(body, check)[0])
        )

    async def v2(call: Call, params: dict[str, str]) -> Reply:
        body = await call.body()
        length = call.header(oip.LENGTH_HEADER)

        def read(check: Any) -> Table:
            request = oip.read_request(body, length, check.signature)
            table: Table = check.tensors(request.inputs)
            return table

        return await answering.in_thread(lambda: explained(params["name"], params.get("version"), read))

    async def job(call: Call, params: dict[str, str]) -> Reply:
        found = await answering.in_thread(lambda: explaining.jobs.find(params["name"], params["id"]))
        said: dict[str, Any] = {"id": found.id, "state": found.state}
        if found.result is not None:
            said |= _document(params["name"], found.result.model.rpartition("@")[2], found.result)
        if found.problem is not None:
            error = InterlockError(found.problem["what"], why=found.problem["why"], fix=found.problem["fix"])
            said["error"] = oip.error_text(error)
        return Reply(encode_json(said))

    def route(method: str, path: str, handler: Any) -> DataRoute:
        return DataRoute(method=method, path=path, handler=handler, shape=error_shape)

    return [
        route("POST", "/v1/models/{name}:explain", v1),
        route("POST", "/v2/models/{name}/explain", v2),
        route("POST", "/v2/models/{name}/versions/{version}/explain", v2),
        route("GET", "/v2/models/{name}/explanations/{id}", job),
    ]


def _document(name: str, version: str, found: Explained) -> dict[str, Any]:
    """Return an explanation as it is sent: the word `explanations` is KServe's."""
    return {
        "model_name": name,
        "model_version": version,
        "space": found.space,
        "method": found.method,
        "additivity": {"checked": True, "largest_gap": found.largest_gap},
        "explanations": msgspec.to_builtins(found.explanations),
    }
