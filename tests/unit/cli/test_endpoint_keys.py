from __future__ import annotations

import pytest

from interlock.server.api_keys import KeyGate
from interlock.server.serving_folder import serving_folder
from interlock.serving.api_keys import ApiKeys
from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

pytestmark = pytest.mark.usefixtures("workspace")


def test_a_key_is_shown_once(cli: Runner, workspace: Workspace) -> None:
    made = cli(
        "endpoint", "key", "create", "dash", "--endpoint", "delay", "--rate", "10/s", "--expires", "30d", "--json"
    )
    assert made.code == 0
    assert made.data["key"].startswith("ilk_")
    assert (made.data["endpoints"], made.data["rate_per_s"], made.data["state"]) == (["delay"], 10.0, "active")
    assert "digest" not in made.data
    [key] = ApiKeys(workspace.stores.records, workspace.stores.journal).listed()
    assert key.name == "dash"
    listed = cli("endpoint", "key", "list")
    assert "dash" in listed.out
    assert made.data["key"] not in listed.out
    assert key.digest not in cli("endpoint", "key", "list", "--json").out
    shown = cli("endpoint", "key", "create", "ops", "--admin")
    assert "not shown again" in shown.out
    assert "x-api-key" in shown.out


def test_use_is_listed(cli: Runner, workspace: Workspace) -> None:
    secret = cli("endpoint", "key", "create", "dash", "--json").data["key"]
    stores = workspace.stores
    gate = KeyGate(ApiKeys(stores.records, stores.journal), stores.journal, folder=serving_folder(workspace))
    gate.admit(secret.encode(), endpoint="delay")
    gate.close()
    [row] = cli("endpoint", "key", "list", "--json").data
    assert row["requests"] == 1
    assert row["last_used_at"] is not None


def test_revoking(cli: Runner) -> None:
    cli("endpoint", "key", "create", "dash")
    assert cli("endpoint", "key", "revoke", "dash", "--json").data["state"] == "revoked"
    assert "revoked" in cli("endpoint", "key", "list").out
    refused = cli("endpoint", "key", "revoke", "dsh")
    assert refused.code == 3
    assert "did you mean 'dash'" in refused.err


def test_no_keys_yet(cli: Runner) -> None:
    assert "no keys yet" in cli("endpoint", "key", "list").out


@pytest.mark.parametrize(
    "words", [("--rate", "fast"), ("--expires", "soon"), ("--burst", "3"), ("--endpoint", "model:delay")]
)
def test_what_makes_no_sense_makes_no_key(cli: Runner, words: tuple[str, ...]) -> None:
    assert cli("endpoint", "key", "create", "dash", *words).code == 2
    assert cli("endpoint", "key", "list", "--json").data == []
