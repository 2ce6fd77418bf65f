from __future__ import annotations

import pytest

from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

pytestmark = pytest.mark.usefixtures("seeded")


def test_alias_moves_and_is_taken_away(cli: Runner, workspace: Workspace) -> None:
    moved = cli("model", "alias", "model:delay@2", "champion", "--reason", "better", "--json").data[0]
    assert (moved["previous"], moved["version"], moved["reason"]) == (1, 2, "better")
    assert workspace.stores.models.aliases("delay") == {"champion": 2}
    cli("model", "alias", "delay", "champion", "--remove")
    assert workspace.stores.models.aliases("delay") == {}
    assert len(cli("model", "alias", "delay", "--json").data) == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["delay", "champion"], 2),
        (["delay@champion", "other"], 2),
        (["delay@9", "champion"], 3),
        (["delay@1", "7"], 2),
        (["nothing@1", "champion"], 3),
    ],
)
def test_an_alias_that_makes_no_sense_is_refused(
    cli: Runner, workspace: Workspace, words: list[str], code: int
) -> None:
    assert cli("model", "alias", *words).code == code
    assert workspace.stores.models.aliases("delay") == {"champion": 1}


def test_an_alias_that_is_near_is_named(cli: Runner) -> None:
    missing = cli("model", "show", "delay@champoin")
    assert missing.code == 3 and "champion" in missing.err


def test_the_card_is_plain_markdown(cli: Runner) -> None:
    assert cli("model", "card", "delay@1").out == "# delay 1\n"
    assert cli("model", "card", "delay@champion", "--json").data == {"version": "model:delay@1", "card": "# delay 1\n"}
