"""Keep endpoints and how they were routed in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.versions import VersionTable, versions_schema
from interlock.core.errors import Conflict
from interlock.ports.checks import check_text
from interlock.ports.deployment_store import Deployment, DeploymentStore, Endpoint
from interlock.ports.journal import Edge
from interlock.ports.record_checks import check_routing

SCHEMA = versions_schema("endpoint_revisions")


class SqlDeploymentStore(DeploymentStore):
    """Endpoints in one table, a row for each revision; the newest row is the routing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._endpoints = VersionTable(database, "endpoint_revisions", "endpoint", Endpoint)

    def route(
        self, name: str, deployments: Sequence[Deployment], *, expect: int | None = None, reason: str = ""
    ) -> Endpoint:
        check_routing(name, deployments)
        check_text(reason, of="reason of a routing")
        with self._database.write() as tx:
            before = self._endpoints.find(name, source=tx)
            revision = before.revision if before is not None else 0
            if expect is not None and expect != revision:
                raise Conflict(
                    f"endpoint '{name}' was routed meanwhile: it is at revision {revision}",
                    why=f"the change was made from revision {expect}",
                    fix="read the endpoint and decide again",
                )
            now = self._database.clock.now()
            routed = Endpoint(
                name=name,
                revision=revision + 1,
                deployments=tuple(deployments),
                created_at=before.created_at if before is not None else now,
                changed_at=now,
                reason=reason,
            )
            endpoint = self._endpoints.add(tx, name, routed.revision, routed)
            if before is None:
                tx.event("endpoint.created", endpoint.ref)
            deployment = f"deployment:{name}/{endpoint.revision}"
            tx.event(
                "endpoint.routed",
                endpoint.ref,
                {
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
        return self._endpoints.get(name)

    def find(self, name: str) -> Endpoint | None:
        return self._endpoints.find(name)

    def endpoints(self, *, after: str = "", limit: int = 100) -> list[Endpoint]:
        return self._endpoints.heads(after=after, limit=limit)

    def history(self, name: str, *, limit: int = 100) -> list[Endpoint]:
        return self._endpoints.line(name, limit=limit)
