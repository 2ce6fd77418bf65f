"""What is asked for depends on the seed, the number and the past alone."""

from __future__ import annotations

import sys
from typing import Any

import optuna
import pytest

from interlock.core.errors import MissingExtra
from interlock.tuning.samplers import TpeSampler
from interlock.tuning.spaces import Choice, Float, Int, Space

SPACE: dict[str, Space] = {"x": Float(0.01, 1.0, log=True), "n": Int(1, 9), "kind": Choice(("a", None, 3))}


def search(sampler: TpeSampler, first: int, last: int) -> list[dict[str, Any]]:
    asked = []
    for number in range(first, last):
        asked.append(sampler.ask(number))
        sampler.add(asked[-1], asked[-1]["x"] + asked[-1]["n"])
    return asked


def test_asked_values_lie_in_the_space() -> None:
    for params in search(TpeSampler(SPACE, "maximize", 0), 0, 25):
        assert all(space.holds(params[name]) for name, space in SPACE.items())


def test_a_rebuilt_search_goes_on_as_if_it_had_never_stopped() -> None:
    whole = search(TpeSampler(SPACE, "maximize", 3), 0, 25)
    begun = search(TpeSampler(SPACE, "maximize", 3), 0, 17)
    resumed = TpeSampler(SPACE, "maximize", 3)
    for params in begun:
        resumed.add(params, params["x"] + params["n"])
    assert begun + search(resumed, 17, 25) == whole


def test_seeds_differ() -> None:
    assert search(TpeSampler(SPACE, "maximize", 1), 0, 3) != search(TpeSampler(SPACE, "maximize", 2), 0, 3)


def test_failures_teach_nothing_but_do_not_repeat() -> None:
    sampler = TpeSampler(SPACE, "minimize", 0)
    first = sampler.ask(0)
    sampler.add(first, None)
    assert sampler.ask(1) != first


def test_it_learns() -> None:
    sampler = TpeSampler({"x": Float(0.0, 1.0)}, "minimize", 0)
    asked = []
    for number in range(40):
        asked.append(sampler.ask(number)["x"])
        sampler.add({"x": asked[-1]}, (asked[-1] - 0.3) ** 2)
    assert sum(abs(x - 0.3) for x in asked[-10:]) < sum(abs(x - 0.3) for x in asked[:10])


def test_the_users_verbosity_is_left_alone() -> None:
    level = optuna.logging.get_verbosity()
    TpeSampler(SPACE, "maximize", 0)
    assert optuna.logging.get_verbosity() == level


def test_without_optuna_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra) as missing:
        TpeSampler(SPACE, "maximize", 0)
    assert missing.value.fix == "pip install 'interlock[tuning]'"
