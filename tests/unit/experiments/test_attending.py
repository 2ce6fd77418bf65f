"""Beside the training the machine is sampled, and what was printed and the media are written."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from interlock.experiments import attending
from interlock.experiments.attending import Attendant
from interlock.experiments.console import Console


class Kept:
    """What an attendant does."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.samples: list[tuple[dict[str, float], float]] = []
        self.media: list[tuple[str, bytes]] = []

    def attendant(self, console: Console | None = None, *, every_s: float = 0.0) -> Attendant:
        return Attendant(
            console=console,
            every_s=every_s,
            keep=lambda path, data: self.files.append((path, data)),
            media=lambda: self.media.pop(0) if self.media else None,
            measure=lambda values, at_s: self.samples.append((values, at_s)),
        )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attending, "_TICK_S", 0.01)
    monkeypatch.setattr(attending, "_SOONEST_S", 0.02)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_machine_is_sampled_and_once_more_at_the_end() -> None:
    kept = Kept()
    attendant = kept.attendant(every_s=0.01)
    attendant.start()
    until(lambda: len(kept.samples) >= 2)
    before = len(kept.samples)
    attendant.stop()
    assert len(kept.samples) > before
    values, at_s = kept.samples[-1]
    assert values["system/process_memory_bytes"] > 0
    assert at_s > 0


def test_a_short_run_is_not_sampled() -> None:
    kept = Kept()
    for every_s in (0.0, 600.0):
        attendant = kept.attendant(every_s=every_s)
        attendant.start()
        attendant.stop()
    assert kept.samples == []


def test_what_was_printed_is_written_while_it_runs_and_whole_at_the_end() -> None:
    kept, console = Kept(), Console()
    attendant = kept.attendant(console)
    attendant.start()
    console.hear("first\n")
    until(lambda: ("console.txt", b"first\n") in kept.files)
    console.hear("second\n")
    attendant.stop()
    assert kept.files[-1] == ("console.txt", b"first\nsecond\n")
    assert len(kept.files) == len(set(kept.files)), "nothing is written twice"


def test_the_list_of_media_is_written_when_it_changes() -> None:
    kept = Kept()
    kept.media = [("media/index/a.json", b"1"), ("media/index/a.json", b"2")]
    attendant = kept.attendant()
    attendant.start()
    until(lambda: not kept.media)
    attendant.stop()
    assert kept.files == [("media/index/a.json", b"1"), ("media/index/a.json", b"2")]


def test_what_fails_here_does_not_reach_the_training(caplog: pytest.LogCaptureFixture) -> None:
    def broken(values: dict[str, float], at_s: float) -> None:
        raise OSError("no counters")

    attendant = Attendant(console=None, every_s=0.01, keep=lambda path, data: None, media=lambda: None, measure=broken)
    attendant.start()
    until(lambda: "not looked after" in caplog.text)
    attendant.stop()
    assert caplog.text.count("not looked after") == 2, "it is tried once, and once more at the end"
