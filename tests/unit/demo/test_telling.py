"""What the demo says, and what it leaves beside the workspace."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

from rich.console import Console

from interlock.demo import modelling
from interlock.demo.narrator import Narrator
from interlock.demo.replay import told
from interlock.loop.loop import Turn
from interlock.workspace import open_workspace


def test_a_station_tells_its_lines_and_how_long_it_took() -> None:
    out = io.StringIO()
    narrator = Narrator(Console(file=out, width=120))
    with narrator.station("data") as said:
        said += ["flights kept", "weather kept"]
    with narrator.progress("replay", total=2) as bar:
        bar.advance("01 Feb")
    narrator.say("done")
    first, second, *rest = out.getvalue().splitlines()
    assert first.startswith(" 1 data      flights kept  (")
    assert second == " " * 13 + "weather kept"
    assert rest == ["done"], "no bar outside a terminal"


def test_turns_that_decide_nothing_are_not_told() -> None:
    assert told(Turn(alerts=("auc fell",), actions=("t: waits: cooling down",))) == []
    turn = Turn(alerts=("auc fell",), actions=("t: model:delay@2 refused: …",), moves=("model:delay@1 is promoted",))
    assert told(turn) == ["auc fell", "t: model:delay@2 refused: …", "model:delay@1 is promoted"]


def test_the_project_lies_beside_the_workspace_under_git(tmp_path: Path) -> None:
    with open_workspace(tmp_path / ".interlock") as workspace:
        file = modelling.copy_project(workspace)
        assert file == tmp_path / "flight_delay.py"
        before = modelling.edit(file)
        changed = subprocess.run(["git", "diff", "--stat"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "flight_delay.py" in changed.stdout
        assert modelling.load_project(file).__file__ == str(file)
        file.write_text(before, encoding="utf-8")
        assert modelling.copy_project(workspace) == file, "a second demo finds it there"
        status = subprocess.run(["git", "status", "--short"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert status.stdout == ""


def test_a_workspace_of_another_name_keeps_the_project_inside(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "space") as workspace:
        assert modelling.copy_project(workspace) == tmp_path / "space" / "project" / "flight_delay.py"
