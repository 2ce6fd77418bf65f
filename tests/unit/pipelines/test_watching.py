"""What a step touches besides its inputs is seen, and what is none of its business is not."""

# ruff: noqa: PTH123, PTH208 (every way to open and to list is tried)
from __future__ import annotations

import logging
import os
import pickle
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlock.core.errors import InterlockError
from interlock.core.hashing import digest_of
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.pipelines.watches import Findings, tell
from interlock.pipelines.watching import reads, watched

CLOCK = "clock"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("a,b\n1,2\n")
    return tmp_path


def seen(function: Callable[..., Any], **arguments: Any) -> Findings:
    with watched(function, arguments) as watch:
        function(**arguments)
    found = watch.findings()
    assert pickle.loads(pickle.dumps(found)) == found
    return found


def states(found: Findings) -> dict[str, str]:
    return {one.name: one.state for one in found.touched}


X = digest_of(b"a,b\n1,2\n")


def by_open() -> str:
    return Path("data/x.csv").read_text()


def by_pandas() -> Any:
    return pd.read_csv("data/x.csv")


def by_descriptor() -> None:
    os.close(os.open(b"data/x.csv", os.O_RDONLY))


def in_thread() -> None:
    thread = threading.Thread(target=by_open)
    thread.start()
    thread.join()


@pytest.mark.parametrize("function", [by_open, by_pandas, by_descriptor, in_thread])
def test_files_that_are_read(function: Callable[..., Any]) -> None:
    found = seen(function)
    assert states(found) == {"file:data/x.csv": X}
    assert found.undeclared == ("file:data/x.csv",)
    assert found.doubts == ()


def test_a_file_that_an_argument_names_is_declared() -> None:
    def load(path: Any, more: Any = None) -> str:
        return Path(path).read_text()

    for arguments in ({"path": "data/x.csv"}, {"path": Path("data/x.csv")}, {"path": "data/x.csv", "more": ["a/b"]}):
        found = seen(load, **arguments)
        assert (states(found), found.undeclared) == ({"file:data/x.csv": X}, ())
    nested = seen(lambda where: Path(where["in"][0]).read_text(), where={"in": ["data/x.csv"]})
    assert (states(nested), nested.undeclared) == ({"file:data/x.csv": X}, ())


def test_a_file_outside_of_the_working_directory_goes_by_its_whole_path(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "y.txt"
    outside.write_text("y")
    assert states(seen(lambda: outside.read_bytes())) == {f"file:{outside}": digest_of(b"y")}


def test_a_file_that_is_missing_is_a_state_too() -> None:
    def load() -> None:
        with pytest.raises(FileNotFoundError):
            Path("data/none.csv").read_text()

    assert states(seen(load)) == {"file:data/none.csv": "absent"}


def test_what_a_step_writes_is_no_input() -> None:
    def write() -> str:
        Path("out.txt").write_text("1")
        with tempfile.TemporaryFile() as file:
            file.write(b"2")
        for _ in range(2):
            with Path("log.txt").open("a") as file:
                file.write("3")
        return Path("out.txt").read_text() + Path("log.txt").read_text()

    assert states(seen(write)) == {}


def test_a_file_that_is_read_and_then_changed_never_matches() -> None:
    def change() -> None:
        by_open()
        Path("data/x.csv").write_text("changed")

    def append() -> None:
        with Path("data/x.csv").open("a+") as file:
            file.write("more")

    assert states(seen(change)) == {"file:data/x.csv": "changed while the step ran"}
    assert states(seen(append)) == {"file:data/x.csv": "changed while the step ran"}


def test_names_in_a_folder() -> None:
    for list_names in (
        lambda: os.listdir("data"),
        lambda: list(Path("data").iterdir()),
        lambda: os.scandir(b"data").close(),
    ):
        assert list(states(seen(list_names))) == ["folder:data"]
    here = seen(os.listdir)
    assert list(states(here)) == ["folder:."]
    before = states(seen(lambda: os.listdir("data")))
    (Path("data") / "new.csv").touch()
    assert states(seen(lambda: os.listdir("data"))) != before
    assert states(seen(lambda: list(os.walk("data/none")))) == {"folder:data/none": "absent"}


def test_python_and_what_is_installed_are_not_inputs() -> None:
    def work() -> None:
        import colorsys  # noqa: F401 (is read from a file)

        Path(pd.__file__).read_bytes()
        os.listdir(Path(np.__file__).parent)
        Path("/proc/self/stat").read_text()
        open(os.open("/dev/null", os.O_RDONLY)).close()

    sys.modules.pop("colorsys", None)
    assert seen(work) == Findings()


def test_a_projects_own_source_read_as_data_is_an_input() -> None:
    Path("rules.py").write_text("x = 1")
    assert list(states(seen(lambda: Path("rules.py").read_text()))) == ["file:rules.py"]


def test_a_file_read_by_compiled_code_is_known_by_its_name() -> None:
    pq.write_table(pa.table({"a": [1]}), "data/t.parquet")

    def by_constant() -> Any:
        return pq.read_table("data/t.parquet", use_threads=False)

    def by_argument(path: str) -> Any:
        return pq.read_table(path, use_threads=False)

    for found in (seen(by_constant), seen(by_argument, path="data/t.parquet")):
        assert (list(states(found)), found.undeclared) == (["file:data/t.parquet"], ())
    assert states(seen(lambda path: pq.write_table(pa.table({"a": [1]}), path), path="data/u.parquet")) == {}


def test_what_nobody_can_see_can_be_said() -> None:
    def work() -> None:
        reads("data", Path("data/x.csv"))

    found = seen(work)
    assert found.undeclared == ()
    assert states(found)["file:data/x.csv"] == X
    (Path("data") / "x.csv").write_text("new")
    assert states(seen(work))["tree:data"] != states(found)["tree:data"]
    reads("data")  # outside of a step it says nothing


def test_a_database_file_is_an_input() -> None:
    sqlite3.connect("data/s.db").close()

    def query(name: str, uri: bool) -> None:
        sqlite3.connect(name, uri=uri).close()

    assert list(states(seen(query, name="data/s.db", uri=False))) == ["file:data/s.db"]
    assert list(states(seen(query, name="file:data/s.db?mode=ro", uri=True))) == ["file:data/s.db"]
    assert states(seen(query, name=":memory:", uri=False)) == {}


ENVIRON = os.environ
READERS = [
    lambda: os.environ["RATE_X"],
    lambda: os.environ.get("RATE_X"),
    lambda: os.getenv("RATE_X", "none"),
    lambda: "RATE_X" in os.environ,
    lambda: ENVIRON["RATE_X"],
]


@pytest.mark.parametrize("function", READERS)
def test_environment_variables_that_are_read(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_X", "0.5")
    assert states(seen(function)) == {"env:RATE_X": digest_of(b"0.5")}
    monkeypatch.delenv("RATE_X")
    if function is not READERS[0] and function is not READERS[4]:
        assert states(seen(function)) == {"env:RATE_X": "absent"}


def test_what_libraries_read_of_the_environment_is_their_own_affair() -> None:
    assert seen(lambda: (tempfile.gettempprefix(), Path.home(), tempfile._candidate_tempdir_list())) == (Findings())
    os.environ["NOT_READ"] = "1"
    del os.environ["NOT_READ"]


def test_a_connection_makes_a_result_one_that_may_differ() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def fetch() -> None:
            socket.create_connection(("127.0.0.1", port)).close()

        (doubt,) = seen(fetch).doubts
    assert doubt.startswith(f"network: 127.0.0.1:{port} in tests.unit.pipelines.test_watching (test_watching.py:")

    def speak_locally() -> None:
        with socket.socket(socket.AF_UNIX) as one, pytest.raises(OSError, match="No such file"):
            one.connect("nobody.sock")

    assert seen(speak_locally).doubts == ()


def test_a_program_that_is_started() -> None:
    (doubt,) = seen(lambda: subprocess.run([sys.executable, "-c", ""], check=True)).doubts
    assert doubt.startswith(f"program: {Path(sys.executable).name} in ")
    assert seen(lambda: os.system("true")).doubts[0].startswith("program: true")


def draws_random() -> float:
    return random.random()


def draws_numpy() -> float:
    return float(np.random.rand())


def seeds_random() -> float:
    random.seed(1)
    return random.random()


def seeds_numpy() -> float:
    np.random.seed(1)
    return float(np.random.rand())


def library_draws() -> Any:
    from sklearn.model_selection import train_test_split

    return train_test_split([1, 2, 3])


CHANCES = {
    draws_random: "random: drawn from the shared generator of random without a seed",
    draws_numpy: "random: drawn from the shared generator of numpy without a seed",
    library_draws: "random: drawn from the shared generator of numpy without a seed",
}


@pytest.mark.parametrize("function", CHANCES)
def test_shared_generators_without_a_seed(function: Callable[..., Any]) -> None:
    assert seen(function).doubts == (CHANCES[function],)


@pytest.mark.parametrize("function", [seeds_random, seeds_numpy])
def test_shared_generators_with_a_seed(function: Callable[..., Any]) -> None:
    assert seen(function).doubts == ()


def unseeded_generator(seed: int | None = None) -> Any:
    return np.random.default_rng(seed).random()


def test_a_generator_of_its_own() -> None:
    assert seen(unseeded_generator, seed=1).doubts == ()
    (doubt,) = seen(unseeded_generator).doubts
    assert doubt.startswith("random: drawn without a seed in tests.unit.pipelines.test_watching (test_watching.py:")


def reads_clock(when: datetime | None = None) -> datetime:
    return (
        when
        or datetime.now(UTC)
    )  # fmt: skip


def reads_time() -> float:
    return time.time()


def makes_id() -> str:
    return str(uuid.uuid4())


def own_random() -> float:
    return random.Random().random()


def own_seeded() -> float:
    return random.Random(3).random()


def measures() -> float:
    return time.perf_counter() - time.monotonic()


def logs() -> None:
    logging.getLogger("quiet").warning("the library reads the clock for this")


def test_lines_that_read_the_clock_count_if_they_are_reached() -> None:
    for function, what in ((reads_clock, "clock: datetime.now"), (reads_time, "clock: time.time")):
        (doubt,) = seen(function).doubts
        assert doubt.startswith(f"{what} in tests.unit.pipelines.test_watching.{function.__name__} (test_watching.py:")
    if sys.gettrace() is None:  # under a debugger or a coverage tool every suspected line counts
        assert seen(reads_clock, when=datetime(2026, 1, 1, tzinfo=UTC)).doubts == ()
    assert seen(makes_id).doubts[0].startswith("random: uuid.uuid4 in ")
    assert seen(own_random).doubts[0].startswith("random: random.Random in ")


@pytest.mark.parametrize("function", [measures, logs, own_seeded])
def test_durations_logs_and_seeds_do_not_count(function: Callable[..., Any]) -> None:
    assert seen(function).doubts == ()


def test_nothing_is_watched_outside_of_a_step() -> None:
    with watched(measures, {}) as watch:
        pass
    by_open()
    assert watch.findings() == Findings()


def test_another_thread_that_does_not_run_the_projects_code_is_not_heard(folder: Path) -> None:
    go, done = threading.Event(), threading.Event()
    space: dict[str, Any] = {"__name__": "collections", "go": go, "done": done, "path": folder / "data" / "x.csv"}
    body = "def run(self):\n    go.wait()\n    open(path).close()\n    done.set()\n"
    exec(body, space)  # as a thread of Python's own would
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "run", space["run"])
        thread = threading.Thread()
        thread.start()
        with watched(measures, {}) as watch:
            go.set()
            done.wait(10)
        thread.join()
    assert watch.findings() == Findings()


def test_a_warning_names_step_and_thing_once(caplog: pytest.LogCaptureFixture) -> None:
    found = seen(by_open)
    with caplog.at_level("WARNING", logger="interlock.pipelines"):
        tell("flow.load_once", found)
        tell("flow.load_once", found)
    (record,) = caplog.records
    assert record.getMessage().startswith("step flow.load_once read the file data/x.csv, which is not among")


@step
def rows() -> int:
    return len(Path("data/x.csv").read_text())


@step
def rate() -> str:
    return os.environ.get("RATE_Y", "none")


@step
def stamp() -> float:
    return time.time()


@step(cache="always")
def kept_stamp() -> float:
    return time.time()


@pipeline
def counting() -> Any:
    return rows()


@pipeline
def rating() -> Any:
    return rate()


@pipeline
def stamping() -> Any:
    return [stamp(), kept_stamp()]


def test_a_changed_file_is_a_reason_to_run_and_going_back_finds_the_earlier_output(pipelines: Pipelines) -> None:
    first = pipelines.run(counting)
    assert pipelines.run(counting).reused == 1
    Path("data/x.csv").write_text("a,b\n")
    second = pipelines.run(counting)
    assert (second.value, second.steps[0].reason) == (4, "re-ran: file data/x.csv changed")
    Path("data/x.csv").write_text("a,b\n1,2\n")
    third = pipelines.run(counting)
    assert (third.value, third.reused, third.steps[0].run_id) == (8, 1, first.steps[0].run_id)
    Path("data/x.csv").unlink()
    with pytest.raises(InterlockError):
        pipelines.run(counting)


def test_a_changed_variable_is_a_reason_to_run(pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATE_Y", raising=False)
    assert [pipelines.run(rating).value, pipelines.run(rating).reused] == ["none", 1]
    monkeypatch.setenv("RATE_Y", "2")
    again = pipelines.run(rating)
    assert (again.value, again.steps[0].reason) == ("2", "re-ran: environment variable RATE_Y changed")
    monkeypatch.delenv("RATE_Y")
    assert pipelines.run(rating).reused == 1


def test_a_result_in_doubt_is_not_reused_unless_that_is_said(pipelines: Pipelines) -> None:
    first = pipelines.run(stamping)
    for _ in range(2):
        again = pipelines.run(stamping)
        assert [one.reused for one in again.steps] == [False, True]
        assert again.value[0] > first.value[0]
        assert again.value[1] == first.value[1]
        assert again.steps[0].reason.startswith("re-ran: its result may differ each time: clock: time.time in ")
