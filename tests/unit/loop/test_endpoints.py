from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.core.errors import SchemaMismatch
from interlock.workspace import Workspace, open_workspace
from tests.unit.loop.test_deploying import example, fitted


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with open_workspace("memory:") as opened:
        yield opened


def test_an_endpoint_explains_itself(workspace: Workspace) -> None:
    endpoint = workspace.deploy(fitted(), example=example(), name="delay")
    found = endpoint.explain(example().slice(0, 3))
    assert len(found) == 3
    for [part] in found:
        assert part["base"] + sum(part["contributions"].values()) == pytest.approx(part["value"])
        assert abs(part["contributions"]["wind"]) > abs(part["contributions"]["delay"])
    with pytest.raises(SchemaMismatch):
        endpoint.explain([{"wind": "x", "delay": 1.0}])


def test_what_has_to_be_sampled_is_waited_for(workspace: Workspace) -> None:
    from sklearn.neighbors import KNeighborsRegressor

    table = example()
    model = KNeighborsRegressor().fit(table, table.column("wind").to_numpy())
    endpoint = workspace.deploy(model, example=table, name="near")
    [[part]] = endpoint.explain(table.slice(0, 1))
    assert part["standard_errors"].keys() == {"wind", "delay"}
    assert part["base"] + sum(part["contributions"].values()) == pytest.approx(part["value"])
