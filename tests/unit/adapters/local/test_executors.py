"""What local executors do beyond the contract."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.local.capacity import Capacity, gpus_here
from interlock.adapters.local.executors import PAYS_FROM_S, AdaptiveExecutor, InlineExecutor
from interlock.adapters.local.pool import ProcessExecutor
from interlock.core.errors import InvalidInput
from interlock.ports.executor import Call, Resources, StaleWorker
from interlock.testing.executor import die, fail, is_alive, mark_and_wait, process_id


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


def test_no_more_workers_than_asked_for() -> None:
    executor = ProcessExecutor(2)
    try:
        futures = [executor.submit(process_id, 0.05) for _ in range(8)]
        assert len({future.result(timeout=60) for future in futures}) <= 2
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


def test_functions_and_classes_typed_into_an_interpreter_travel(tmp_path: Path) -> None:
    """A program without a file, as a notebook's, cannot be imported by a worker."""
    program = """
        import pickle
        from interlock.adapters.local.executors import ProcessExecutor

        class Kept:
            def __init__(self, value):
                self.value = value

        FACTOR = 2

        def mine(data):
            return Kept(pickle.loads(data).value * FACTOR)

        executor = ProcessExecutor(1)
        data = pickle.dumps(Kept(21))
        print(type(executor.submit(mine, data).result(timeout=60)) is Kept, end=" ")
        FACTOR = 3

        class Kept(Kept):
            newer = True

        found = executor.submit(mine, pickle.dumps(Kept(4))).result(timeout=60)
        print(found.value, found.newer)
        executor.close()
    """
    done = run_program(program, tmp_path)
    assert done.stdout == "True 12 True\n", done.stderr
    assert done.returncode == 0


def test_nothing_is_left_of_a_program_that_is_killed(tmp_path: Path) -> None:
    program = f"""
        import os, signal, time
        from interlock.adapters.local.executors import ProcessExecutor
        from interlock.testing.executor import mark_and_wait
        executor = ProcessExecutor(1)
        executor.submit(mark_and_wait, {str(tmp_path / "worker")!r}, 300.0)
        while not os.path.exists({str(tmp_path / "worker")!r}):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run_program(program, tmp_path).returncode == -signal.SIGKILL
    worker = int((tmp_path / "worker").read_text())
    while is_alive(worker):
        time.sleep(0.01)


def test_a_program_that_ends_without_closing_does_not_wait_for_what_runs(tmp_path: Path) -> None:
    program = """
        import time
        from interlock.adapters.local.executors import ProcessExecutor
        executor = ProcessExecutor(1)
        executor.submit(time.sleep, 300.0)
    """
    assert run_program(program, tmp_path).returncode == 0


def run_program(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run some code as a program without a file."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(os.environ),
        timeout=60,
        check=False,
    )


def test_workers_follow_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = ProcessExecutor(1)
    try:
        for number in range(2):
            place = tmp_path / str(number)
            place.mkdir()
            monkeypatch.chdir(place)
            monkeypatch.setenv("WHERE_I_AM", str(number))
            assert executor.submit(os.getcwd).result(timeout=60) == str(place)
            assert executor.submit(os.getenv, "WHERE_I_AM").result(timeout=60) == str(number)
        monkeypatch.delenv("WHERE_I_AM")
        assert executor.submit(os.getenv, "WHERE_I_AM").result(timeout=60) is None
    finally:
        executor.close()


def test_a_stale_worker_is_replaced_and_what_is_only_here_runs_here(tmp_path: Path) -> None:
    executor = ProcessExecutor(1)
    try:
        log = tmp_path / "log"
        assert executor.submit(stale_unless, os.getpid(), str(log)).result(timeout=60) == os.getpid()
        workers = log.read_text().split()
        assert len(workers) == 2
        assert len(set(workers)) == 2
        limited = Call(stale_unless, (os.getpid(), str(log)), resources=Resources(timeout_s=60))
        assert isinstance(executor.start(limited).exception(timeout=60), StaleWorker)
    finally:
        executor.close()


def stale_unless(process: int, log: str) -> int:
    """Find this process stale, unless it is a certain one."""
    if os.getpid() == process:
        return process
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    raise StaleWorker("other code")


def test_priority_decides_what_starts_next(tmp_path: Path) -> None:
    executor = ProcessExecutor(1)
    order: list[int] = []
    try:
        first = executor.submit(mark_and_wait, str(tmp_path / "running"), 300.0)
        while not (tmp_path / "running").exists():
            time.sleep(0.01)
        outcomes = [executor.start(Call(abs, (-number,), priority=number)) for number in (1, 3, 2)]
        for outcome in outcomes:
            outcome.add_done_callback(lambda done: order.append(done.result()))
        assert first.cancel()
        for outcome in outcomes:
            outcome.result(timeout=60)
    finally:
        executor.close()
    assert order == [3, 2, 1]


def test_devices_are_shared_out() -> None:
    executor = ProcessExecutor(2, gpus=2)
    try:
        whole = Resources(gpus=1)
        calls = [executor.start(Call(os.getenv, ("CUDA_VISIBLE_DEVICES",), resources=whole)) for _ in range(2)]
        assert {call.result(timeout=60) for call in calls} <= {"0", "1"}
        both = executor.start(Call(os.getenv, ("CUDA_VISIBLE_DEVICES",), resources=Resources(gpus=2)))
        assert both.result(timeout=60) == "0,1"
        with pytest.raises(InvalidInput, match="needs gpus=3, and there is 2 here"):
            executor.start(Call(abs, (1,), resources=Resources(gpus=3)))
    finally:
        executor.close()


def test_capacity_lends_fractions_and_takes_them_back() -> None:
    capacity = Capacity(2, 1, 1000)
    half = Resources(cpus=0.5, gpus=0.5, memory_bytes=400)
    lent = [capacity.take(half), capacity.take(half)]
    assert lent == [[0], [0]]
    assert not capacity.fits(half)
    assert capacity.fits(Resources(cpus=1.0, memory_bytes=200))
    assert not capacity.fits(Resources(memory_bytes=201))
    assert not capacity.fits(Resources(cpus=1.1))
    capacity.give_back(half, lent[0])
    assert capacity.fits(half)


@pytest.mark.parametrize(("visible", "count"), [("", 0), ("-1", 0), ("0", 1), ("2,3", 2)])
def test_devices_are_counted_as_programs_see_them(visible: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == count


class TestAdaptive:
    """Where calls go: here, or to the pool."""

    @pytest.fixture
    def executor(self) -> Iterator[AdaptiveExecutor]:
        executor = AdaptiveExecutor(lambda: ProcessExecutor(2))
        yield executor
        executor.close()

    def test_what_is_unknown_or_short_runs_here(self, executor: AdaptiveExecutor) -> None:
        assert executor.submit(os.getpid).result() == os.getpid()
        assert executor.start(Call(os.getpid, expected_s=PAYS_FROM_S / 2)).result() == os.getpid()

    def test_what_is_known_to_be_long_goes_to_the_pool(self, executor: AdaptiveExecutor) -> None:
        assert executor.start(Call(os.getpid, expected_s=PAYS_FROM_S)).result(timeout=60) != os.getpid()

    def test_what_it_measured_counts_for_more_than_what_it_was_told(self, executor: AdaptiveExecutor) -> None:
        executor.start(Call(os.getpid, expected_s=PAYS_FROM_S)).result(timeout=60)
        assert executor.start(Call(os.getpid, expected_s=PAYS_FROM_S)).result(timeout=60) == os.getpid()

    def test_what_needs_limits_goes_to_the_pool(self, executor: AdaptiveExecutor) -> None:
        assert executor.start(Call(os.getpid, resources=Resources(timeout_s=60))).result(timeout=60) != os.getpid()

    def test_one_processor_gains_nothing(self) -> None:
        executor = AdaptiveExecutor(lambda: ProcessExecutor(1))
        assert executor.start(Call(os.getpid, expected_s=PAYS_FROM_S)).result(timeout=60) == os.getpid()
        executor.close()


def test_code_that_no_worker_finds_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("loaded_by_hand")
    exec("import os\ndef where():\n    return os.getpid()\n", vars(module))
    monkeypatch.setitem(sys.modules, "loaded_by_hand", module)
    executor = ProcessExecutor(1)
    try:
        assert executor.submit(vars(module)["where"]).result(60) == os.getpid()
    finally:
        executor.close()
