"""What a process tells of what it does."""

from __future__ import annotations

import pytest

from interlock.serving.at_work import AtWork


def test_what_runs_is_named_until_it_ends() -> None:
    board = AtWork()
    with board.at("model:delay@1", "delay"), board.at("model:fare@2", "fare"), board.at("model:fare@2", "fare"):
        assert board.running() == ["model:delay@1 behind delay", "model:fare@2 behind fare"]
    assert board.running() == []


def test_what_fails_has_ended() -> None:
    board = AtWork()
    with pytest.raises(ZeroDivisionError), board.at("model:delay@1", "delay"):
        raise ZeroDivisionError
    assert board.running() == []


def test_names_beyond_the_room_share_the_last_place() -> None:
    board = AtWork()
    places = [board.place(f"model:{'a' * 60}{number}@1") for number in range(400)]
    assert places[:3] == [0, 1, 2]
    assert len(set(places)) < 256
    assert places[-1] == max(places)
    assert board.place("model:" + "a" * 60 + "1@1") == 1


def test_a_line_feed_in_a_name_makes_no_second_name() -> None:
    board = AtWork()
    board.cells[board.place("a\nb")] += 1
    assert board.running() == ["a b"]


def test_the_beat() -> None:
    board = AtWork()
    assert board.silent_s() == 0.0
    board.beat()
    assert 0.0 <= board.silent_s() < 60
