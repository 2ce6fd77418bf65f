from __future__ import annotations

from pathlib import Path

import pytest

from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner


def test_a_whole_workspace_is_said_to_be_whole(cli: Runner, seeded: Workspace) -> None:
    done = cli("verify")
    assert done.code == 0 and "is whole" in done.out
    assert cli("verify", "--json").data == []


def test_damage_is_named_and_exit_code_6(cli: Runner, seeded: Workspace) -> None:
    store = seeded.stores.artifacts
    digest = store.put(bytes(range(256)) * 10_000).digest
    path = getattr(store, "local_path", lambda digest: None)(digest)
    if path is None:
        pytest.skip("this content lies in a pack")
    Path(path).chmod(0o600)
    with Path(path).open("r+b") as file:
        file.write(b"damage")
    done = cli("verify")
    assert done.code == 6 and digest in done.out
    assert cli("verify", "--json").data[0]["digest"] == digest


def test_what_a_record_wants_and_nobody_has_is_damage(cli: Runner, seeded: Workspace) -> None:
    card = seeded.stores.models.get("delay", version=1).card
    assert card is not None and seeded.stores.artifacts.delete(card)
    done = cli("verify", "--json")
    assert done.code == 6 and [(each["digest"], each["where"]) for each in done.data] == [(card, "model:delay@1")]
