"""What every executor must do."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound, StepFailed, TimedOut
from interlock.ports.executor import Call, Executor, Resources
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


def kill_itself() -> None:
    """End the process as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    """End the program, as a script might."""
    raise SystemExit(3)


def print_much(size: int) -> int:
    """Print a lot, past Python's own streams, and return how much that was."""
    line = b"x" * 999 + b"\n"
    return sum(os.write(1, line) for _ in range(size // len(line)))


def fill_memory(size_bytes: int) -> int:
    """Take memory piece by piece, up to a size."""
    held = []
    for _ in range(size_bytes // 10_000_000):
        held.append(bytearray(os.urandom(1000) * 10_000))
        time.sleep(0.005)
    return sum(map(len, held))


def mark_and_wait(path: str, seconds: float) -> None:
    """Write which process this is to a file, then wait."""
    part = Path(path + ".part")
    part.write_text(str(os.getpid()))
    part.rename(path)
    time.sleep(seconds)


def mark_while_running(folder: str, number: int) -> int:
    """Keep a file in a folder for a moment; return how many there were."""
    mark = Path(folder) / str(number)
    mark.touch()
    time.sleep(0.1)
    count = len(list(Path(folder).iterdir()))
    mark.unlink()
    return count


def is_alive(process: int) -> bool:
    """Say whether a process of this machine runs; one that only waits to be taken notice of does not."""
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


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

    def test_it_says_how_many_calls_run_at_once(self, executor: Executor) -> None:
        assert executor.slots >= 1

    def test_a_call_is_named_after_its_function_or_as_it_says(self) -> None:
        assert Call(add).label == "add"
        assert Call(add, name="adding up").label == "adding up"

    @pytest.mark.parametrize("wrong", [{"cpus": -1}, {"gpus": -0.5}, {"memory_bytes": 0}, {"timeout_s": 0}])
    def test_resources_are_checked(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            Resources(**wrong)

    def test_what_a_call_prints_does_not_get_in_its_way(self, executor: Executor) -> None:
        assert executor.submit(print_much, 2_000_000).result(timeout=60) == 2_000_000

    def test_a_call_knows_how_long_it_took(self, executor: Executor) -> None:
        outcome = executor.submit(process_id, 0.05)
        outcome.result(timeout=60)
        assert outcome.took_s is not None
        assert outcome.took_s >= 0.04

    def test_a_call_that_is_done_cannot_be_cancelled(self, executor: Executor) -> None:
        outcome = executor.submit(add, 1)
        outcome.result(timeout=60)
        assert not outcome.cancel()
        assert not outcome.cancelled()

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

    def test_what_cannot_travel_is_refused_and_named(self, executor: Executor) -> None:
        with pytest.raises(InvalidInput, match=r"cannot be sent to another process: argument 2 .*lock") as refusal:
            executor.submit(add, 1, threading.Lock())
        assert "inline" in refusal.value.fix

    def test_a_function_without_a_module_travels_with_what_it_uses(self, executor: Executor) -> None:
        offset = 3
        assert executor.submit(lambda number: number + offset, 4).result(timeout=60) == 7

    def test_a_result_that_cannot_travel_is_an_error_of_its_call(self, executor: Executor) -> None:
        error = executor.submit(answer_with_a_lock).exception(timeout=60)
        assert isinstance(error, InvalidInput)
        assert "cannot be sent back" in error.what

    def test_a_call_that_ends_its_process_on_purpose_fails_and_says_so(self, executor: Executor) -> None:
        error = executor.submit(leave).exception(timeout=60)
        assert isinstance(error, StepFailed)
        assert "leave ended its process" in error.what
        assert executor.submit(add, 1).result(timeout=60) == 1

    def test_a_worker_that_is_killed_fails_its_call_only(self, executor: Executor) -> None:
        error = executor.submit(kill_itself).exception(timeout=60)
        assert isinstance(error, StepFailed)
        assert "kill_itself" in error.what
        assert executor.submit(add, 1).result(timeout=60) == 1

    def test_a_call_that_hangs_is_stopped_in_time(self, executor: Executor) -> None:
        began = time.monotonic()
        outcome = executor.start(Call(process_id, (300.0,), resources=Resources(timeout_s=0.3)))
        error = outcome.exception(timeout=60)
        assert isinstance(error, TimedOut)
        assert "process_id" in error.what
        assert "0.3 s" in error.what
        assert time.monotonic() - began < 60
        assert executor.submit(add, 1).result(timeout=60) == 1

    def test_a_call_within_its_limits_is_answered(self, executor: Executor) -> None:
        limits = Resources(timeout_s=60, memory_bytes=500_000_000)
        assert executor.start(Call(add, (1, 2), resources=limits)).result(timeout=60) == 3

    def test_a_call_that_outgrows_its_memory_is_stopped(self, executor: Executor) -> None:
        outcome = executor.start(Call(fill_memory, (2_000_000_000,), resources=Resources(memory_bytes=100_000_000)))
        error = outcome.exception(timeout=60)
        assert isinstance(error, StepFailed)
        assert "fill_memory was stopped: it used more memory" in error.what
        assert executor.submit(add, 1).result(timeout=60) == 1

    def test_a_running_call_is_cancelled(self, executor: Executor, tmp_path: Path) -> None:
        mark = tmp_path / "running"
        outcome = executor.start(Call(mark_and_wait, (str(mark), 300.0)))
        while not mark.exists():
            time.sleep(0.01)
        assert outcome.cancel()
        with pytest.raises(CancelledError):
            outcome.result(timeout=60)
        assert outcome.cancelled()
        assert executor.submit(add, 1).result(timeout=60) == 1
        process = int(mark.read_text())
        while is_alive(process):
            time.sleep(0.01)

    def test_a_call_that_will_never_fit_is_refused(self, executor: Executor) -> None:
        with pytest.raises(InvalidInput, match=r"needs cpus=1e\+06"):
            executor.start(Call(add, (1,), resources=Resources(cpus=1_000_000)))

    def test_no_more_runs_at_once_than_there_is_room_for(self, executor: Executor, tmp_path: Path) -> None:
        whole = Resources(cpus=1.0)
        outcomes = [
            executor.start(Call(mark_while_running, (str(tmp_path), number), resources=whole))
            for number in range(2 * executor.slots + 1)
        ]
        assert max(outcome.result(timeout=60) for outcome in outcomes) <= executor.slots
