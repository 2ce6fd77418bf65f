"""What every deployment store must do."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.deployment_store import Deployment
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

LIVE = Deployment("model:delay@1", "live", 1.0)
SHADOW = Deployment("model:delay@2", "shadow", 0.0)


def canary(share: float) -> list[Deployment]:
    """Return a routing in which version 2 answers a share of the callers."""
    return [Deployment("model:delay@1", "live", 1 - share), Deployment("model:delay@2", "canary", share)]


class DeploymentStoreContract(Contract):
    """Endpoints and their routing."""

    def test_an_endpoint_is_made_on_first_use(self, stores: Stores) -> None:
        endpoint = stores.deployments.route("delay", [LIVE], expect=0, reason="first")
        assert (endpoint.ref, endpoint.revision, endpoint.reason) == ("endpoint:delay", 1, "first")
        assert endpoint.deployments == (LIVE,)
        assert endpoint.created_at == endpoint.changed_at
        assert stores.deployments.get("delay") == endpoint
        assert stores.deployments.find("delay") == endpoint

    def test_routing_replaces_everything_and_keeps_history(self, stores: Stores) -> None:
        routings = [[LIVE], [LIVE, SHADOW], canary(0.1), canary(1 / 3)]
        made = [stores.deployments.route("delay", routing) for routing in routings]
        assert [one.revision for one in made] == [1, 2, 3, 4]
        assert {one.created_at for one in made} == {made[0].created_at}
        assert stores.deployments.get("delay") == made[-1]
        assert stores.deployments.history("delay") == made[::-1]
        assert stores.deployments.history("delay", limit=1) == made[-1:]

    def test_routing_writes_events_and_edges(self, stores: Stores) -> None:
        stores.deployments.route("delay", [LIVE])
        stores.deployments.route("delay", [LIVE, SHADOW], reason="try 2")
        told = [(event.kind, event.subject) for event in stores.journal.events()]
        assert told == [
            ("endpoint.created", "endpoint:delay"),
            ("endpoint.routed", "endpoint:delay"),
            ("endpoint.routed", "endpoint:delay"),
        ]
        assert stores.journal.events()[-1].payload == {
            "revision": 2,
            "deployments": [
                {"model": "model:delay@1", "role": "live", "share": 1.0},
                {"model": "model:delay@2", "role": "shadow", "share": 0.0},
            ],
            "reason": "try 2",
        }
        assert stores.journal.walk("model:delay@2", direction="forward") == [
            Edge("model:delay@2", "deployment:delay/2", "deployed_as"),
            Edge("deployment:delay/2", "endpoint:delay", "serves"),
        ]

    def test_a_routing_that_changed_meanwhile_is_a_conflict(self, stores: Stores) -> None:
        with pytest.raises(Conflict):
            stores.deployments.route("delay", [LIVE], expect=1)
        assert stores.deployments.find("delay") is None
        stores.deployments.route("delay", [LIVE])
        for wrong in (0, 2):
            with pytest.raises(Conflict):
                stores.deployments.route("delay", [LIVE, SHADOW], expect=wrong)
        assert stores.deployments.route("delay", [LIVE, SHADOW], expect=1).revision == 2

    def test_of_parallel_routings_from_one_revision_one_wins(self, stores: Stores) -> None:
        stores.deployments.route("delay", [LIVE])

        def route(number: int) -> bool:
            try:
                stores.deployments.route("delay", canary(number / 10), expect=1)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(route, range(8))) == 1

    @pytest.mark.parametrize(
        "routing",
        [
            [],
            [SHADOW],
            [LIVE, Deployment("model:delay@2", "live", 0.0)],
            [LIVE, LIVE],
            [Deployment("model:delay@1", "live", 0.9)],
            [LIVE, Deployment("model:delay@2", "canary", 0.1)],
            [LIVE, Deployment("model:delay@2", "shadow", 0.1)],
            [Deployment("model:delay@1", "live", 1.5), Deployment("model:delay@2", "canary", -0.5)],
            [Deployment("model:delay@1", "live", math.nan)],
            [Deployment("model:delay@champion", "live", 1.0)],
            [Deployment("dataset:flights@1", "live", 1.0)],
            [Deployment("model:delay@1", "boss", 1.0)],  # type: ignore[arg-type]
        ],
    )
    def test_a_bad_routing_changes_nothing(self, stores: Stores, routing: list[Deployment]) -> None:
        with pytest.raises(InvalidInput):
            stores.deployments.route("delay", routing)
        assert stores.deployments.find("delay") is None
        assert stores.journal.events() == []

    def test_shares_may_miss_one_by_rounding(self, stores: Stores) -> None:
        shares = [Deployment(f"model:delay@{n}", "canary" if n else "live", 0.1) for n in range(10)]
        assert stores.deployments.route("delay", shares).revision == 1

    def test_bad_names_and_limits_are_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.deployments.route("no spaces", [LIVE])
        stores.deployments.route("delay", [LIVE])
        with pytest.raises(InvalidInput):
            stores.deployments.history("delay", limit=-1)
        with pytest.raises(InvalidInput):
            stores.deployments.endpoints(limit=-1)

    def test_endpoints_are_listed_by_name(self, stores: Stores) -> None:
        for name in ("fare", "delay", "delay"):
            stores.deployments.route(name, [LIVE])
        assert [(one.name, one.revision) for one in stores.deployments.endpoints()] == [("delay", 2), ("fare", 1)]
        assert [one.name for one in stores.deployments.endpoints(after="delay", limit=5)] == ["fare"]

    def test_unknown_names(self, stores: Stores) -> None:
        assert stores.deployments.find("delay") is None
        with pytest.raises(NotFound):
            stores.deployments.get("delay")
        with pytest.raises(NotFound):
            stores.deployments.history("delay")


_names = st.sampled_from(["delay", "fare", "no good"])
_limits = st.integers(-1, 3)

DEPLOYMENT_STORE_PLAYS: Plays = {
    "route": st.fixed_dictionaries(
        {
            "name": _names,
            "deployments": st.sampled_from([[LIVE], [LIVE, SHADOW], canary(0.25), [SHADOW], [LIVE, LIVE]]),
        },
        optional={"expect": st.integers(0, 3), "reason": st.just("better")},
    ),
    "get": st.fixed_dictionaries({"name": _names}),
    "find": st.fixed_dictionaries({"name": _names}),
    "endpoints": st.fixed_dictionaries({}, optional={"after": st.sampled_from(["", "delay"]), "limit": _limits}),
    "history": st.fixed_dictionaries({"name": _names}, optional={"limit": _limits}),
}
