from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from interlock.cli.output import Answer, Stream, Table, cell, complain, fields, listing, plain, show, status, table
from interlock.core.errors import NotFound


class Thing(msgspec.Struct, frozen=True):
    name: str
    size: float


COLUMNS = {"name": lambda thing: thing.name, "size": lambda thing: thing.size}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(answer: Answer | Stream | None, *, as_json: bool = False, terminal: bool = False) -> str:
    out = Terminal() if terminal else io.StringIO()
    show(answer, as_json=as_json, out=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (0.123456, "0.1235"),
        (2.5e6, "2,500,000"),
        (float("nan"), "nan"),
        ("text", "text"),
        ((1, None), "1, –"),
        ({"a": 0.5, "b": [1]}, "a=0.5, b=1"),
        (datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC), "2013-01-02 03:04:05"),
    ],
)
def test_values_read_well(value: object, text: str) -> None:
    assert cell(value) == text


def test_a_listing_is_a_table_and_json() -> None:
    answer = listing([Thing("a", 1.0), Thing("long", 2.25)], COLUMNS, empty="none")
    assert shown(answer) == "name  size\na     1\nlong  2.25\n"
    assert json.loads(shown(answer, as_json=True)) == [{"name": "a", "size": 1.0}, {"name": "long", "size": 2.25}]


def test_an_empty_listing_says_what_to_do_and_is_an_empty_list() -> None:
    answer = listing([], COLUMNS, empty="make one first")
    assert shown(answer) == "make one first\n"
    assert json.loads(shown(answer, as_json=True)) == []


def test_fields_leave_out_what_has_no_value() -> None:
    block = fields({"name": "x", "none": None, "empty": "", "zero": 0, "no": False, "list": ()})
    assert [row[0] for row in block.rows] == ["name", "zero", "no"]
    assert plain(block) == "name  x\nzero  0\nno    no\n"


def test_blocks_are_parted_by_a_line() -> None:
    answer = Answer(None, ("one", table([Thing("a", 1.0)], COLUMNS, caption="Things")))
    assert shown(answer) == "one\n\nThings\nname  size\na     1\n"


def test_an_empty_table_is_no_fault() -> None:
    assert plain(Table((), ())) == "\n"
    assert plain(Table(("a", "b"), ())) == "a  b\n"


def test_a_terminal_gets_the_same_words_and_markup_is_not_read() -> None:
    text = shown(Answer(None, (table([Thing("[red]x[/red]", 1.0)], COLUMNS, caption="[b]"),)), terminal=True)
    assert "[red]x[/red]" in text and "[b]" in text and "size" in text
    assert "/a/b" in shown(Answer(None, (fields({"path": "/a/b"}),)), terminal=True)


def test_json_on_a_terminal_is_indented_and_elsewhere_one_line() -> None:
    answer = Answer({"a": [1, 2]})
    assert shown(answer, as_json=True) == '{"a":[1,2]}\n'
    assert shown(answer, as_json=True, terminal=True).splitlines()[0] == "{"


def test_json_takes_paths_and_other_things_as_text() -> None:
    assert json.loads(shown(Answer({"path": Path("/a")}), as_json=True)) == {"path": "/a"}


def test_a_stream_is_printed_line_by_line() -> None:
    items = [({"n": 1}, "first"), ({"n": 2}, "second")]
    assert shown(Stream(items)) == "first\nsecond\n"
    assert [json.loads(line) for line in shown(Stream(items), as_json=True).splitlines()] == [{"n": 1}, {"n": 2}]


def test_nothing_to_say_prints_nothing() -> None:
    assert shown(None) == shown(None, as_json=True) == ""


def test_the_exit_code_is_the_answers() -> None:
    assert show(Answer({}, exit_code=6), as_json=True, out=io.StringIO()) == 6
    assert show(Answer({}), as_json=False, out=io.StringIO()) == 0


def test_errors_are_three_lines_or_json() -> None:
    error = NotFound("no x", why="there are y", fix="try y")
    err = io.StringIO()
    assert complain(error, as_json=False, err=err) == 3
    assert err.getvalue() == "error: no x [IL404]\nbecause: there are y\ntry: try y\n"
    err = io.StringIO()
    assert complain(error, as_json=True, err=err) == 3
    assert json.loads(err.getvalue()) == {
        "error": {"code": "IL404", "what": "no x", "why": "there are y", "fix": "try y"}
    }


def test_status_is_silent_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setattr("sys.stderr", err)
    with status("working"):
        pass
    assert err.getvalue() == ""


def test_status_shows_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal()
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setenv("TERM", "xterm")
    with status("working"):
        pass
    assert err.getvalue() != ""
