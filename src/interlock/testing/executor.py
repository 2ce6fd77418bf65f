"""What every executor must do."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound, StepFailed
from interlock.ports.executor import Executor
from interlock.testing.contract import Contract


def add(left: int, right: int = 0) -> int:
    """Return a sum, for executors to compute."""
    return left + right


def process_id(after_s: float = 0.0) -> int:
    """Return which process this ran in."""
    time.sleep(after_s)
    return os.getpid()


def fail(error: Exception) -> None:
    """Raise what it is given."""
    raise error


def die() -> None:
    """End the process that runs this, as running out of memory would."""
    os._exit(9)


class Awkward(Exception):
    """An exception that cannot be pickled and read back."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def fail_awkwardly() -> None:
    """Raise an exception that does not survive pickling."""
    raise Awkward("salt", "pepper")


def answer_with_a_lock() -> Any:
    """Return what cannot leave its process."""
    return threading.Lock()


class ExecutorContract(Contract):
    """Calls and their futures. A backend provides the fixture `executor` instead of `stores`."""

    @pytest.fixture
    def executor(self) -> Executor:
        """Return an open executor of the kind under test."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'executor'")

    def test_a_call_is_answered(self, executor: Executor) -> None:
        future = executor.submit(add, 2, right=3)
        assert isinstance(future, Future)
        assert future.result(timeout=60) == 5

    def test_many_calls_are_answered_each_with_its_own(self, executor: Executor) -> None:
        futures = [executor.submit(add, number, number) for number in range(50)]
        assert [future.result(timeout=60) for future in futures] == [2 * number for number in range(50)]

    def test_calls_come_from_many_threads(self, executor: Executor) -> None:
        answers: list[int] = []

        def ask(number: int) -> None:
            answers.append(executor.submit(add, number, 1).result(timeout=60))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == list(range(1, 9))

    def test_an_exception_reaches_the_future_unchanged(self, executor: Executor) -> None:
        error = executor.submit(fail, KeyError("mine")).exception(timeout=60)
        assert type(error) is KeyError
        assert error.args == ("mine",)

    def test_an_error_of_ours_keeps_its_parts(self, executor: Executor) -> None:
        error = executor.submit(fail, NotFound("what", why="why", fix="fix")).exception(timeout=60)
        assert isinstance(error, NotFound)
        assert (error.what, error.why, error.fix) == ("what", "why", "fix")

    def test_an_awkward_exception_still_says_what_happened(self, executor: Executor) -> None:
        error = executor.submit(fail_awkwardly).exception(timeout=60)
        assert error is not None
        assert "salt and pepper" in str(error)

    def test_it_stays_usable_after_an_exception(self, executor: Executor) -> None:
        executor.submit(fail, ValueError("x")).exception(timeout=60)
        assert executor.submit(add, 1).result(timeout=60) == 1

    def test_large_values_travel_both_ways(self, executor: Executor) -> None:
        text = "x" * 5_000_000
        assert executor.submit(str.upper, text).result(timeout=60) == text.upper()

    def test_closing_waits_and_is_idempotent(self, executor: Executor) -> None:
        future = executor.submit(process_id, 0.2)
        executor.close()
        assert future.done()
        executor.close()

    def test_nothing_is_accepted_after_closing(self, executor: Executor) -> None:
        executor.close()
        with pytest.raises(InvalidInput, match="closed"):
            executor.submit(add, 1)


class WorkerContract(ExecutorContract):
    """What an executor must do besides, whose calls run in other processes than the caller's."""

    def test_it_runs_elsewhere(self, executor: Executor) -> None:
        assert executor.submit(process_id).result(timeout=60) != os.getpid()

    def test_a_worker_that_dies_fails_its_call_only(self, executor: Executor) -> None:
        doomed, fine = executor.submit(die), executor.submit(process_id, 0.2)
        error = doomed.exception(timeout=60)
        assert isinstance(error, StepFailed)
        assert "die" in error.what
        assert fine.result(timeout=60)
        assert executor.submit(add, 1).result(timeout=60) == 1

    def test_what_cannot_travel_is_refused_with_a_way_out(self, executor: Executor) -> None:
        with pytest.raises(InvalidInput, match="cannot be sent to another process") as refusal:
            executor.submit(lambda: 4)
        assert "InlineExecutor" in refusal.value.fix

    def test_a_result_that_cannot_travel_is_an_error_of_its_call(self, executor: Executor) -> None:
        error = executor.submit(answer_with_a_lock).exception(timeout=60)
        assert isinstance(error, InvalidInput)
        assert "cannot be sent back" in error.what
