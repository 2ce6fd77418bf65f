"""Files that say which pipeline runs, with what and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput, NotFound
from interlock.pipelines.declarations import Schedule, read_declaration

WHOLE = {
    "a.yaml": "pipeline: train.py:nightly\narguments: {alphas: [0.1, 1]}\nschedule:\n  cron: '0 4 * * *'\n"
    "  time_zone: Europe/Berlin\n",
    "a.json": '{"pipeline": "train.py:nightly", "arguments": {"alphas": [0.1, 1]}, "schedule": '
    '{"cron": "0 4 * * *", "time_zone": "Europe/Berlin"}}',
    "a.toml": 'pipeline = "train.py:nightly"\narguments = {alphas = [0.1, 1]}\n[schedule]\ncron = "0 4 * * *"\n'
    'time_zone = "Europe/Berlin"\n',
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_three_formats_say_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(WHOLE[name])
    found = read_declaration(tmp_path / name)
    assert (found.pipeline, found.arguments) == ("train.py:nightly", {"alphas": [0.1, 1]})
    assert found.schedule == Schedule("0 4 * * *", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arguments: {}\n", "pipeline"),
        ("pipeline: a\nargs: {}\n", "args"),
        ("pipeline: [1\n", "line 2"),
        ("- 1\n", "object"),
        ("pipeline: a\nschedule: {cron: 5}\n", "cron"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=said):
        read_declaration(tmp_path / "a.yaml")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput):
        read_declaration(tmp_path / "a.json")
    with pytest.raises(NotFound):
        read_declaration(tmp_path / "b.yaml")
