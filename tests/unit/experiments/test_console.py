"""What is printed is kept, bounded, and reaches the terminal as ever."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from interlock.experiments import console as module
from interlock.experiments.console import Console


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep out who still listens because another test left its run open."""
    monkeypatch.setattr(module, "_listeners", [])


@contextmanager
def streams() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Put streams of one's own in the place of the real ones; pytest would undo a fixture that did."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        yield out, err


def test_both_streams_are_heard_and_restored() -> None:
    with streams() as (out, err):
        console = Console()
        console.start()
        print("to stdout")
        print("to stderr", file=sys.stderr)
        sys.stdout.writelines(["a\n", "b\n"])
        console.stop()
        print("later")
        assert (sys.stdout, sys.stderr) == (out, err)
    assert console.text() == "to stdout\nto stderr\na\nb\n"
    assert out.getvalue() == "to stdout\na\nb\nlater\n"
    assert err.getvalue() == "to stderr\n"


def test_everybody_who_listens_hears() -> None:
    with streams() as (out, _):
        first, second = Console(), Console()
        first.start()
        print("1")
        second.start()
        print("2")
        first.stop()
        print("3")
        second.stop()
        second.stop()
        assert sys.stdout is out
    assert (first.text(), second.text()) == ("1\n2\n", "2\n3\n")


def test_a_stream_that_was_replaced_meanwhile_stays() -> None:
    with streams():
        console = Console()
        console.start()
        with redirect_stdout(io.StringIO()) as other:
            console.stop()
            assert sys.stdout is other
        print("unheard")
    assert console.text() == ""


def test_of_a_progress_bar_the_last_state_is_kept() -> None:
    console = Console()
    for part in ("10%\r", "50%\r", "100%", "\n", "done\r\n", "last"):
        console.hear(part)
    assert console.take() == "100%\ndone\n"
    assert console.take() == ""
    assert console.text() == "100%\ndone\nlast"


def test_a_line_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_LINE", 10)
    console = Console()
    for number in range(1000):
        console.hear(f"{number:04d}")
        console.take()
    assert len(console.text()) <= 10


def test_of_much_the_beginning_and_the_end_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_CHARACTERS", 20)
    monkeypatch.setattr(module, "TAIL_CHARACTERS", 20)
    console = Console()
    for number in range(100):
        console.hear(f"line {number}\n")
    text = console.text()
    assert text.startswith("line 0\nline 1\nline 2\n\n[... ")
    assert text.endswith("line 98\nline 99\n")
    assert "line 50" not in text
    lost = int(text.split("[... ")[1].split()[0])
    assert lost + sum(len(line) + 1 for line in text.splitlines() if line.startswith("line")) == sum(
        len(f"line {number}\n") for number in range(100)
    )


def test_the_rest_of_the_stream_is_as_it_was() -> None:
    with streams() as (out, _):
        console = Console()
        console.start()
        with sys.stdout as stream:
            stream.write("x\n")
        assert not sys.stdout.isatty()
        assert list(sys.stdout) == []
        console.stop()
    assert out.getvalue() == "x\n"
