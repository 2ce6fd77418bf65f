from __future__ import annotations

from pathlib import Path

import pytest

from interlock.server.announcing import announced
from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

pytestmark = pytest.mark.usefixtures("seeded")


def routing(workspace: Workspace) -> list[tuple[str, str, float]]:
    found = workspace.stores.deployments.get("delay").deployments
    return [(each.model, each.role, each.share) for each in found]


def test_route_pins_aliases_and_shares(cli: Runner, workspace: Workspace) -> None:
    done = cli("endpoint", "route", "delay", "delay@champion", "--canary", "delay@2", "--share", "0.25", "--json")
    assert done.data["reason"] == "by hand" and done.data["revision"] == 3
    assert routing(workspace) == [("model:delay@1", "live", 0.75), ("model:delay@2", "canary", 0.25)]


def test_route_makes_an_endpoint_with_a_shadow(cli: Runner, workspace: Workspace) -> None:
    cli("endpoint", "route", "other", "model:delay@1", "--shadow", "model:delay@2", "--reason", "to compare")
    made = workspace.stores.deployments.get("other")
    assert made.revision == 1 and made.reason == "to compare"
    assert [each.role for each in made.deployments] == ["live", "shadow"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["delay", "delay@9"], 3),
        (["delay", "nothing"], 3),
        (["delay", "delay@1", "--canary", "delay@2", "--share", "1.5"], 2),
        (["delay", "delay@1", "--canary", "delay@2", "--share", "0"], 2),
        (["delay", "delay@1", "--canary", "delay@1"], 2),
        (["delay", "dataset:flights"], 2),
        (["bad name", "delay@1"], 2),
    ],
)
def test_a_routing_that_makes_no_sense_changes_nothing(
    cli: Runner, workspace: Workspace, words: list[str], code: int
) -> None:
    before = routing(workspace)
    assert cli("endpoint", "route", *words).code == code
    assert routing(workspace) == before


def test_rollback_restores_what_was_before_the_last_change(cli: Runner, workspace: Workspace) -> None:
    cli("endpoint", "route", "delay", "delay@2")
    assert routing(workspace) == [("model:delay@2", "live", 1.0)]
    done = cli("endpoint", "rollback", "delay", "--json")
    assert done.data["reason"] == "rolled back to revision 2 by hand"
    assert routing(workspace) == [("model:delay@1", "live", 1.0), ("model:delay@2", "shadow", 0.0)]


def test_a_container_is_written_for_what_answers(cli: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "image"
    done = cli("endpoint", "container", "delay", "--output", str(folder), "--json")
    assert (done.data["model"], "Dockerfile" in done.data["files"]) == ("model:delay@1", True)
    assert (folder / "model" / "interlock-version.json").is_file()
    assert cli("endpoint", "container", "delay", "--output", str(folder)).code == 4
    other = cli("endpoint", "container", "model:delay@2", "--output", str(tmp_path / "other"), "--json")
    assert other.data["model"] == "model:delay@2"
    assert cli("endpoint", "container", "nothing", "--output", str(tmp_path / "third")).code == 3


def test_there_is_nothing_to_roll_back_to(cli: Runner, workspace: Workspace) -> None:
    cli("endpoint", "route", "new", "delay@1")
    refused = cli("endpoint", "rollback", "new")
    assert refused.code == 3 and "never routed otherwise" in refused.err


def test_the_server_of_the_endpoints_is_told_of(cli: Runner, workspace: Workspace) -> None:
    assert "no server runs" in cli("endpoint", "server").out
    assert "no server runs in the background" in cli("endpoint", "stop").out
    assert "it wrote nothing" in cli("endpoint", "logs").out
    with announced(workspace.servers, "http://127.0.0.1:1", kind="up", token=None):
        assert cli("endpoint", "server", "--json").data["kind"] == "up"
        assert "interlock up" in cli("endpoint", "stop").out


def test_traffic_without_a_server_says_what_was_logged(cli: Runner) -> None:
    rows = cli("endpoint", "traffic", "delay", "--json").data
    assert [(row["model"], row["role"], row["requests"]) for row in rows][0] == ("model:delay@1", "live", None)
    assert "model:delay@1" in cli("endpoint", "traffic", "endpoint:delay").out
