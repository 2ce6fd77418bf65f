"""Reasons name what changed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.core.clock import EPOCH
from interlock.pipelines.reasons import differences, reason_to_reuse, reason_to_run
from interlock.ports.step_cache import StepRecord, Touched

BASE: dict[str, dict[str, str]] = {
    "symbols": {"m.f": "function:1", "m.K": "constant:1"},
    "inputs": {"table": "b3:1", "alpha": "b3:2"},
    "libraries": {"python": "3.11", "scikit-learn": "1.8"},
    "shown": {"m.K": "1", "input:alpha": "0.1"},
}
RECORD = StepRecord(
    key="k", step="m.f", run="R1", created_at=EPOCH, duration_s=1.0, output="b3:o", output_form="msgpack", **BASE
)


def reason(history: list[StepRecord], **changes: dict[str, str]) -> str:
    now: Any = {name: {**BASE[name], **changes.get(name, {})} for name in BASE}
    return reason_to_run(**now, history=history)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"symbols": {"m.f": "function:2"}}, "function `m.f` changed"),
        ({"symbols": {"m.K": "constant:2"}, "shown": {"m.K": "2"}}, "constant `m.K` 1 → 2"),
        ({"symbols": {"m.K": "constant:2"}}, "constant `m.K` changed"),
        ({"inputs": {"table": "b3:9"}}, "input `table` changed"),
        ({"inputs": {"alpha": "b3:9"}, "shown": {"input:alpha": "0.5"}}, "input `alpha` 0.1 → 0.5"),
        ({"inputs": {"new": "b3:9"}}, "input `new` changed"),
        ({"libraries": {"scikit-learn": "1.9"}}, "library scikit-learn 1.8 → 1.9"),
        ({"libraries": {"numpy": "2"}}, "uses library numpy 2"),
        ({"symbols": {"m.g": "function:1"}}, "uses function `m.g`"),
        ({}, "its output was not kept"),
    ],
)
def test_one_change(changes: dict[str, dict[str, str]], text: str) -> None:
    assert reason([RECORD], **changes) == f"re-ran: {text}"


def test_what_is_no_longer_used() -> None:
    symbols = {**RECORD.symbols, "m.g": "function:1"}
    libraries = {**RECORD.libraries, "numpy": "2"}
    record = msgspec.structs.replace(RECORD, symbols=symbols, libraries=libraries)
    assert reason([record]) == "re-ran: no longer uses library numpy; no longer uses function `m.g`"


def test_a_changed_function_explains_the_symbols_that_come_with_it() -> None:
    text = reason([RECORD], symbols={"m.f": "function:2", "m.g": "function:1"})
    assert text == "re-ran: function `m.f` changed"


def test_the_most_similar_execution_is_compared_with() -> None:
    far = msgspec.structs.replace(RECORD, inputs={"table": "b3:8", "alpha": "b3:8"})
    assert reason([far, RECORD], inputs={"alpha": "b3:9"}) == "re-ran: input `alpha` changed"


def test_many_changes_are_cut() -> None:
    inputs = {f"i{number}": "b3:9" for number in range(6)}
    assert reason([RECORD], inputs=inputs).endswith("input `i3` changed; and 2 more")


def test_no_history() -> None:
    assert reason([]) == "first run"


def test_reuse_names_the_run() -> None:
    assert reason_to_reuse(RECORD) == "reused: same code, inputs and libraries as run R1"


def test_a_place_says_where_a_changed_function_is() -> None:
    symbols = {**BASE["symbols"], "m.f": "function:2"}
    places = {"m.f": "m.py:12", "m.g": "m.py:20"}
    text = reason_to_run(symbols, BASE["inputs"], BASE["libraries"], BASE["shown"], [RECORD], places)
    assert text == "re-ran: function `m.f` changed (m.py:12)"


def test_a_result_in_doubt_is_named_as_the_reason() -> None:
    doubtful = msgspec.structs.replace(RECORD, doubts=("clock: time.time in m.f (m.py:3)",))
    assert reason([doubtful]).startswith("re-ran: its result may differ each time: clock: time.time in m.f (m.py:3)")


def test_two_executions_are_compared_in_words() -> None:
    assert differences(RECORD, RECORD) == ()
    old = msgspec.structs.replace(RECORD, touched=(Touched("file:x", "1"), Touched("env:A", "1")))
    new = msgspec.structs.replace(
        RECORD,
        symbols={**RECORD.symbols, "m.K": "constant:2"},
        shown={**RECORD.shown, "m.K": "2"},
        touched=(Touched("file:x", "2"), Touched("file:y", "1")),
        doubts=("network: a:1",),
        output="b3:other",
    )
    assert differences(old, new) == (
        "constant `m.K` 1 → 2",
        "no longer reads env A",
        "file x changed",
        "reads file y",
        "now in doubt: network: a:1",
        "another output",
    )
