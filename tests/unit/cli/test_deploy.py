"""A registered version goes behind an endpoint from the shell."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner


@pytest.fixture
def registered(workspace: Workspace) -> Iterator[Workspace]:
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(1).normal(size=(100, 2))
    for strength in (1.0, 0.1):
        model = LogisticRegression(C=strength).fit(rows, rows[:, 0] > 0)
        workspace.registry.register("delay", model, example=rows[:20])
    yield workspace
    workspace.servers.stop()


def test_a_version_is_deployed_and_its_address_told(cli: Runner, registered: Workspace) -> None:
    first = cli("deploy", "model:delay@1", "--json").data
    assert (first["model"], first["role"], first["share"], first["revision"]) == ("model:delay@1", "live", 1.0, 1)
    second = cli("deploy", "delay@2", "--canary", "--share", "0.25", "--reason", "to see")
    assert "model:delay@2 (canary, 25% of the callers)" in second.out and "curl http" in second.out
    assert registered.stores.deployments.get("delay").reason == "to see"
    assert cli("deploy", "delay@2", "--name", "other", "--no-gate", "--json").data["endpoint"] == "other"
    endpoint = registered.endpoint("delay")
    for _ in range(3):
        endpoint.predict({"x0": 1.0, "x1": 0.0}, version=1)
    live = endpoint.traffic()[0]
    assert (live.requests, live.failures, live.rows, live.last_hour) == (3, 0, 3, 3)
    assert live.mean_ms and live.p50_ms and live.p99_ms and live.last_at
    pause = threading.Event()
    for _ in range(500):
        # requests are logged beside their answers, a moment later
        if len(endpoint.logs(requests=True, lines=2).splitlines()) == 2:
            break
        pause.wait(0.01)
    assert '"endpoint":"delay"' in endpoint.logs(requests=True, lines=2)
    assert not registered.endpoint("other").traffic()[0].requests, "nobody has asked it"
    assert cli("endpoint", "logs", "--json").code == 0
    assert cli("endpoint", "stop", "--json").data["stopped"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("words", "code"),
    [(["delya"], 3), (["delay@9"], 3), (["run:01J"], 2), (["delay@1", "--canary", "--shadow"], 2)],
)
def test_what_cannot_be_deployed_changes_nothing(
    cli: Runner, registered: Workspace, words: list[str], code: int
) -> None:
    assert cli("deploy", *words).code == code
    assert registered.stores.deployments.endpoints() == []
    assert registered.servers.find() is None
