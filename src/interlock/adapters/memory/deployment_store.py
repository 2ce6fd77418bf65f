"""Keep endpoints and how they were routed in lists."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.versions import Versions
from interlock.core.clock import Clock
from interlock.core.errors import Conflict
from interlock.ports.checks import check_text
from interlock.ports.deployment_store import Deployment, DeploymentStore, Endpoint
from interlock.ports.journal import Edge
from interlock.ports.record_checks import check_routing


class MemoryDeploymentStore(DeploymentStore):
    """Endpoints in memory."""

    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._endpoints = Versions("endpoint", Endpoint)

    def route(
        self, name: str, deployments: Sequence[Deployment], *, expect: int | None = None, reason: str = ""
    ) -> Endpoint:
        check_routing(name, deployments)
        check_text(reason, of="reason of a routing")
        with self._journal.lock:
            before = self._endpoints.find(name)
            revision = before.revision if before is not None else 0
            if expect is not None and expect != revision:
                raise Conflict(
                    f"endpoint '{name}' was routed meanwhile: it is at revision {revision}",
                    why=f"the change was made from revision {expect}",
                    fix="read the endpoint and decide again",
                )
            now = self._clock.now()
            endpoint = self._endpoints.add(
                name,
                Endpoint(
                    name=name,
                    revision=revision + 1,
                    deployments=tuple(deployments),
                    created_at=before.created_at if before is not None else now,
                    changed_at=now,
                    reason=reason,
                ),
            )
            if before is None:
                self._journal.append("endpoint.created", endpoint.ref)
            deployment = f"deployment:{name}/{endpoint.revision}"
            self._journal.append(
                "endpoint.routed",
                endpoint.ref,
                payload={
                    "revision": endpoint.revision,
                    "deployments": [{"model": d.model, "role": d.role, "share": d.share} for d in deployments],
                    "reason": reason,
                },
                edges=[
                    *(Edge(one.model, deployment, "deployed_as") for one in deployments),
                    Edge(deployment, endpoint.ref, "serves"),
                ],
            )
            return endpoint

    def get(self, name: str) -> Endpoint:
        with self._journal.lock:
            return self._endpoints.get(name)

    def find(self, name: str) -> Endpoint | None:
        with self._journal.lock:
            return self._endpoints.find(name)

    def endpoints(self, *, after: str = "", limit: int = 100) -> list[Endpoint]:
        with self._journal.lock:
            return self._endpoints.heads(after=after, limit=limit)

    def history(self, name: str, *, limit: int = 100) -> list[Endpoint]:
        with self._journal.lock:
            return self._endpoints.line(name, limit=limit)
