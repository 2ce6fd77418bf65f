from __future__ import annotations

from importlib import import_module

import pytest

from interlock.cli.commands import COMMANDS, OPTIONS, SECTIONS, build_app, root_help


def test_help_names_every_command_and_option_once() -> None:
    lines = root_help().splitlines()
    for name in [*COMMANDS, *OPTIONS]:
        assert sum(line.startswith(f"  {name}  ") for line in lines) == 1, name
    assert max(map(len, lines)) <= 100


def test_no_command_is_in_two_sections() -> None:
    assert len(COMMANDS) == sum(map(len, SECTIONS.values()))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_a_command_is_where_the_table_says(command) -> None:
    module, _, attribute = command.target.partition(":")
    target = getattr(import_module(module), attribute)
    assert build_app()[command.name].help.rstrip(".") == command.summary.rstrip(".")
    assert callable(target)
