"""What local executors do beyond the contract."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from interlock.adapters.local.executors import InlineExecutor, ProcessExecutor
from interlock.core.errors import InvalidInput
from interlock.testing.executor import die, fail, process_id


def test_inline_lets_an_interruption_through() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit(interrupt)


def test_inline_futures_are_done_at_once() -> None:
    assert InlineExecutor().submit(process_id).done()


def test_workers_are_warm() -> None:
    executor = ProcessExecutor(1)
    try:
        assert len({executor.submit(process_id).result(timeout=60) for _ in range(5)}) == 1
    finally:
        executor.close()


def test_no_more_workers_than_asked_for_or_needed() -> None:
    executor = ProcessExecutor(2)
    try:
        executor.submit(process_id).result(timeout=60)
        assert len(executor._threads) == 1
        futures = [executor.submit(process_id, 0.05) for _ in range(8)]
        assert len({future.result(timeout=60) for future in futures}) <= 2
        assert len(executor._threads) == 2
    finally:
        executor.close()


def test_a_dead_worker_is_described() -> None:
    executor = ProcessExecutor(1)
    try:
        error = executor.submit(die).exception(timeout=60)
    finally:
        executor.close()
    assert "exit code 9" in getattr(error, "why", "")


def test_a_traceback_comes_with_the_exception() -> None:
    executor = ProcessExecutor(1)
    try:
        error = executor.submit(fail, ValueError("x")).exception(timeout=60)
    finally:
        executor.close()
    assert any("in a worker process" in note and "raise error" in note for note in getattr(error, "__notes__", ()))


def test_a_call_cancelled_in_time_does_not_run() -> None:
    executor = ProcessExecutor(1)
    try:
        executor.submit(process_id, 0.3)
        waiting = executor.submit(process_id)
        assert waiting.cancel()
        assert executor.submit(process_id).result(timeout=60)
    finally:
        executor.close()


@pytest.mark.parametrize("workers", [0, -1])
def test_the_number_of_workers_is_checked(workers: int) -> None:
    with pytest.raises(InvalidInput, match="workers"):
        ProcessExecutor(workers)


def test_a_function_typed_into_an_interpreter_is_refused_clearly(tmp_path: Path) -> None:
    """A program without a file, as a notebook's, cannot be imported by a worker."""
    program = """
        from interlock.adapters.local.executors import ProcessExecutor
        def mine():
            return 1
        executor = ProcessExecutor(1)
        error = executor.submit(mine).exception(timeout=60)
        print(type(error).__name__, error.what)
        executor.submit(len, "abc").result(timeout=60)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ),
        timeout=60,
        check=False,
    )
    assert done.stdout == "InvalidInput a worker process cannot import the function it was given\n", done.stderr
    assert done.returncode == 0
