from __future__ import annotations

import pytest

from interlock.cli.session import Session, split_options
from interlock.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("line", "session", "rest"),
    [
        ("", Session(), ""),
        ("run list", Session(), "run list"),
        ("--dir here run list", Session("here"), "run list"),
        ("run list --dir here", Session("here"), "run list"),
        ("run --dir=here list --json", Session("here", as_json=True), "run list"),
        ("--json --dir postgresql://db/ml up", Session("postgresql://db/ml", as_json=True), "up"),
        ("run show -- --json --dir x", Session(), "run show -- --json --dir x"),
        ("--dir one --dir two run", Session("two"), "run"),
    ],
)
def test_options_are_found_wherever_they_stand(line: str, session: Session, rest: str) -> None:
    assert split_options(line.split()) == (session, rest.split())


@pytest.mark.parametrize("line", ["--dir", "run list --dir", "--dir --json run", "--dir="])
def test_dir_without_a_folder_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput, match="--dir needs a folder"):
        split_options(line.split())
