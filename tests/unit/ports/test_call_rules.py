"""How calls and answers are written and read, without a second process."""

from __future__ import annotations

import pickle
import sys
import threading
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, StepFailed
from interlock.ports import call_rules
from interlock.ports.call_rules import answer, died, ending, pack_call, read_answer, write_error
from interlock.ports.executor import Call, Outcome, Resources, StaleWorker


def divide(left: int, right: int) -> float:
    return left / right


def leave() -> None:
    raise SystemExit(2)


def find_stale() -> None:
    raise StaleWorker("old")


class Awkward(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)
        self.lock = threading.Lock()


def ask(function: Any, *args: Any) -> tuple[bool, Any]:
    return read_answer(answer(pack_call(Call(function, args))))


def test_a_call_is_answered() -> None:
    assert ask(divide, 6, 3) == (True, 2.0)


def test_an_exception_comes_back_with_where_it_was_raised() -> None:
    succeeded, error = ask(divide, 1, 0)
    assert not succeeded
    assert type(error) is ZeroDivisionError
    assert any("in a worker process" in note and "return left / right" in note for note in error.__notes__)


def test_a_stale_worker_says_no_more_than_that() -> None:
    succeeded, error = ask(find_stale)
    assert not succeeded
    assert isinstance(error, StaleWorker)
    assert not hasattr(error, "__notes__")


def test_leaving_is_an_error() -> None:
    succeeded, error = ask(leave)
    assert not succeeded
    assert isinstance(error, StepFailed)
    assert error.why == "SystemExit(2)"


def test_what_cannot_come_back_is_named() -> None:
    succeeded, error = ask(threading.Lock)
    assert not succeeded
    assert isinstance(error, InvalidInput)
    assert "_thread.lock" in error.why


@pytest.mark.parametrize(
    ("call", "culprit"),
    [
        (Call(threading.Lock().acquire), "the function itself"),
        (Call(divide, (1, threading.Lock())), "argument 2"),
        (Call(divide, kwargs={"left": 1, "right": threading.Lock()}), "argument 'right'"),
    ],
)
def test_what_cannot_travel_is_named(call: Call, culprit: str) -> None:
    with pytest.raises(InvalidInput, match=f"cannot be sent to another process: {culprit}"):
        pack_call(call)


def test_what_cannot_be_imported_is_an_error_of_the_call() -> None:
    payload = pickle.dumps((divide, (), {}, b"")).replace(b"test_call_rules", b"test_gone_rules")
    succeeded, error = read_answer(answer(payload))
    assert not succeeded
    assert isinstance(error, InvalidInput)
    assert "cannot import the function" in error.what


def test_an_answer_that_cannot_be_read_is_an_error() -> None:
    succeeded, error = read_answer(b"no pickle")
    assert not succeeded
    assert isinstance(error, pickle.UnpicklingError)


def test_an_exception_that_breaks_pickling_still_says_what_happened() -> None:
    succeeded, error = read_answer(write_error(Awkward("salt ", "pepper")))
    assert not succeeded
    assert isinstance(error, StepFailed)
    assert "salt pepper" in error.why


def test_what_was_typed_in_by_hand_is_defined_in_the_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    typed = type("TypedIn", (), {"__module__": "__main__"})
    monkeypatch.setattr(main, "TypedIn", typed, raising=False)
    monkeypatch.setattr(main, "not_to_be_sent", _unsendable(), raising=False)
    payload = pack_call(Call(divide, (1, 1)))
    # to the process that sent it nothing is new
    assert read_answer(answer(payload)) == (True, 1.0)
    assert main.TypedIn is typed  # type: ignore[attr-defined]
    monkeypatch.delattr(main, "TypedIn")
    monkeypatch.setattr(call_rules, "PROCESS", "another process")
    assert read_answer(answer(payload)) == (True, 1.0)
    assert main.TypedIn is typed  # type: ignore[attr-defined]
    assert read_answer(answer(payload)) == (True, 1.0)


def _unsendable() -> Any:
    lock = threading.Lock()

    def unsendable() -> bool:
        return lock.locked()

    unsendable.__module__ = "__main__"
    return unsendable


def test_endings_are_put_in_words() -> None:
    assert "signal 9" in ending(-9)
    assert "exit code 3" in ending(3)
    assert died("fit", ending(3)).what == "the process that ran fit died"


def test_an_outcome_is_answered_once() -> None:
    outcome = Outcome()
    outcome.answer(1)
    outcome.answer(error=ValueError())
    assert outcome.result() == 1
    assert outcome.took_s is None


def test_an_outcome_that_nothing_can_stop_is_not_cancelled() -> None:
    outcome = Outcome()
    assert outcome.set_running_or_notify_cancel()
    assert not outcome.cancel()
    waiting = Outcome()
    assert waiting.cancel()
    assert waiting.cancelled()


@pytest.mark.parametrize(
    ("resources", "needs_worker"),
    [
        (Resources(), False),
        (Resources(cpus=2), False),
        (Resources(gpus=1), True),
        (Resources(memory_bytes=1), True),
        (Resources(timeout_s=1), True),
        (Resources(environment="needs.txt"), True),
    ],
)
def test_what_only_a_worker_can_give(resources: Resources, needs_worker: bool) -> None:
    assert resources.needs_worker is needs_worker
