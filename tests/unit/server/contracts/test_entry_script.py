from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, StepFailed
from interlock.server.contracts.entry_script import EntryScript


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Any]:
    opened: list[EntryScript] = []

    def make(text: str) -> EntryScript:
        path = tmp_path / "score.py"
        path.write_text(text)
        opened.append(EntryScript(path))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def run(script: EntryScript, body: bytes = b"{}", **headers: str) -> Any:
    return asyncio.run(script.run(body, headers))


def test_init_runs_once_and_run_answers(script: Any) -> None:
    made = script(
        "import json\nimport numpy as np\ndef init():\n    global k\n    k = 2\n"
        "def run(raw):\n    return {'y': np.array(json.loads(raw)['x']) * k}\n"
    )
    assert run(made, b'{"x": [1, 2]}') == {"y": [2, 4]}


def test_run_may_see_the_headers(script: Any) -> None:
    made = script("def init(): pass\ndef run(data, request_headers): return request_headers['who']\n")
    assert run(made, who="me") == "me"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def init(): pass\n", InvalidInput),
        ("def init(): pass\ndef run(): pass\n", InvalidInput),
        ("raise ValueError('no')\n", StepFailed),
        ("def init(): raise ValueError('no')\ndef run(data): pass\n", StepFailed),
    ],
)
def test_scripts_that_cannot_answer_are_told_when_they_are_loaded(
    script: Any, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        script(text)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no entry script"), closing(EntryScript(tmp_path / "score.py")):
        pass


@pytest.mark.parametrize("text", ["raise ValueError('secret')", "return object()"])
def test_what_a_script_raises_stays_inside(script: Any, text: str) -> None:
    made = script(f"def init(): pass\ndef run(data): {text}\n")
    with pytest.raises(StepFailed) as caught:
        run(made)
    assert "secret" not in str(caught.value)


def test_a_body_that_is_no_text_is_refused(script: Any) -> None:
    with pytest.raises(InvalidInput, match="UTF-8"):
        run(script("def init(): pass\ndef run(data): return data\n"), b"\xff")
