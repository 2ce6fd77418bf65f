"""Runs are recorded, and the store never stops the training."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.core.active_run import active_run
from interlock.core.errors import Conflict, InvalidInput, NotFound, StorageFull, Unavailable
from interlock.experiments import active, tracking
from interlock.experiments.tracking import Experiments
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, DatasetUse, Provenance, RunChange, RunFilter
from interlock.ports.stores import Stores
from interlock.workspace import open_workspace


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def files(stores: Stores, run_id: str) -> list[ArtifactEntry]:
    """Return the files of a run but those that every run has."""
    return [entry for entry in stores.runs.artifacts(run_id) if not entry.path.startswith("environment/")]


def test_a_run_from_beginning_to_end(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay", name="first", params={"depth": 3}, tags={"team": "a"}) as run:
        assert stores.runs.get(run.id).status == "running"
        run.log_params({"alpha": 0.5})
        run.log_metric("loss", 2.0)
        run.log_metrics({"loss": 1.0, "auc": 0.7})
        run.set_tags({"team": "b"})
    record = stores.runs.get(run.id)
    assert (record.status, record.experiment, record.kind, record.name) == ("finished", "delay", "training", "first")
    assert record.params == {"depth": 3, "alpha": 0.5}
    assert record.tags == {"team": "b"}
    assert (record.metrics["loss"].first, record.metrics["loss"].last, record.metrics["auc"].last) == (2.0, 1.0, 0.7)
    assert record.ended_at is not None
    assert run.ref == f"run:{run.id}"


def test_code_libraries_and_environment_are_noted(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        pass
    record = stores.runs.get(run.id)
    assert record.code["vcs"] in ("git", "none")
    assert "msgspec" in record.libraries
    assert record.environment["python"]


def test_the_uncommitted_diff_is_an_artifact(
    experiments: Experiments, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "capture", lambda project: Provenance(code={"vcs": "git"}, diff=b"+x = 1\n"))
    with experiments.run("delay") as run:
        pass
    [entry] = files(stores, run.id)
    assert entry.path == "code/uncommitted.diff"
    assert stores.artifacts.get(entry.digest) == b"+x = 1\n"


def test_runs_inside_another_share_its_look_at_the_code(
    experiments: Experiments, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def look(project: Path | None) -> Provenance:
        seen.append(1)
        return Provenance(code={"look": len(seen)}, diff=b"+x = 1\n")

    monkeypatch.setattr(tracking, "capture", look)
    with experiments.run("delay") as outer, experiments.run("delay") as inner:
        pass
    with experiments.run("delay") as later:
        pass
    looks = [stores.runs.get(run.id).code["look"] for run in (outer, inner, later)]
    assert looks == [1, 1, 2]
    assert stores.runs.artifacts(inner.id) == []


def test_steps_count_up_by_themselves_or_are_given(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        run.log_metric("m", 1)
        run.log_metric("m", 2)
        run.log_metric("m", 3, step=10)
        run.log_metric("m", 4)
        run.log_metric("n", 5, step=0.5)
    assert [point.step for point in stores.runs.history(run.id, "m")] == [0, 1, 10, 11]
    assert [point.step for point in stores.runs.history(run.id, "n")] == [0.5]


def test_an_exception_marks_the_run_failed_and_passes(experiments: Experiments, stores: Stores) -> None:
    with pytest.raises(KeyError, match="mine"), experiments.run("delay") as run:
        run.log_metric("m", 1)
        raise KeyError("mine")
    record = stores.runs.get(run.id)
    assert record.status == "failed"
    assert "KeyError: 'mine'" in (record.error or "")
    assert record.metrics["m"].last == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "killed"),
        (SystemExit(3), "killed"),
        (SystemExit(0), "finished"),
        (SystemExit(), "finished"),
    ],
)
def test_the_ways_a_program_ends(experiments: Experiments, stores: Stores, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), experiments.run("delay") as run:
        raise error
    assert stores.runs.get(run.id).status == status


def test_runs_inside_runs_are_children(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as outer, experiments.run("delay") as inner:
        assert active_run.get() == inner.id
    assert stores.runs.get(inner.id).parent == outer.id
    assert stores.runs.get(outer.id).parent is None
    assert active_run.get() is None
    with experiments.run("delay", parent=outer.id) as other:
        pass
    assert stores.runs.get(other.id).parent == outer.id


def test_inputs_and_links_are_lineage(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay", inputs=["dataset:flights@3"]) as run:
        run.link("labels:truth@1", "judged_by")
    run.link("dataset:late@1", "trained_on")
    assert set(stores.journal.walk(run.ref, direction="back")) == {
        Edge("dataset:flights@3", run.ref, "trained_on"),
        Edge("labels:truth@1", run.ref, "judged_by"),
        Edge("dataset:late@1", run.ref, "trained_on"),
    }


def test_files_bytes_and_texts_are_kept(experiments: Experiments, stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(b"png")
    with experiments.run("delay") as run:
        run.log_artifact(tmp_path / "plot.png")
        run.log_artifact(str(tmp_path / "plot.png"), "plots/one.png")
        run.log_artifact(b"raw", "raw.bin")
        run.log_text("é", "notes.txt")
    found = {entry.path: stores.artifacts.get(entry.digest) for entry in files(stores, run.id)}
    assert found == {
        "plot.png": b"png",
        "plots/one.png": b"png",
        "raw.bin": b"raw",
        "notes.txt": "é".encode(),
    }


def test_numpy_numbers_paths_and_nesting_are_plain_params(experiments: Experiments, stores: Stores) -> None:
    params = {"n": np.int64(3), "x": np.float32(0.5), "path": Path("a/b"), "deep": {"t": (1, np.bool_(True))}}
    with experiments.run("delay", params=params) as run:
        run.log_params({"later": np.array(7)})
    assert stores.runs.get(run.id).params == {
        "n": 3, "x": 0.5, "path": "a/b", "deep": {"t": [1, True]}, "later": 7,
    }  # fmt: skip


def test_a_param_keeps_its_value(experiments: Experiments) -> None:
    with experiments.run("delay", params={"a": 1}) as run:
        run.log_params({"a": 1})
        with pytest.raises(Conflict, match="param 'a'"):
            run.log_params({"a": 2, "b": 1})
        run.log_params({"b": 5})


@pytest.mark.parametrize("value", [object(), [object()], lambda: 1, 2**70])
def test_params_that_are_not_plain_are_refused_by_name(experiments: Experiments, value: Any) -> None:
    with experiments.run("delay") as run, pytest.raises(InvalidInput, match="param 'bad'"):
        run.log_params({"good": 1, "bad": value})
    with pytest.raises(InvalidInput, match="param 'bad'"):
        experiments.run("delay", params={"bad": value})


@pytest.mark.parametrize("value", ["0.5", None, [1], "x", b"1"])
def test_metrics_that_are_not_numbers_are_refused_by_name(experiments: Experiments, value: Any) -> None:
    with experiments.run("delay") as run, pytest.raises(InvalidInput, match="metric 'auc'"):
        run.log_metric("auc", value)


def test_metrics_that_are_not_finite_are_kept(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        run.log_metric("m", math.nan)
        run.log_metric("m", math.inf)
        run.log_metric("m", np.float32(1.0))
    values = [point.value for point in stores.runs.history(run.id, "m")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, 1.0]


def test_bad_artifacts_are_refused(experiments: Experiments, tmp_path: Path) -> None:
    with experiments.run("delay") as run:
        with pytest.raises(InvalidInput, match="bytes need a name"):
            run.log_artifact(b"x")
        with pytest.raises(InvalidInput, match="is not a file"):
            run.log_artifact(tmp_path / "absent")
        with pytest.raises(InvalidInput):
            run.log_text("x", "../escape.txt")


def test_nothing_is_logged_after_the_end(experiments: Experiments) -> None:
    run = experiments.run("delay")
    run.end()
    run.end("failed")
    for log in (
        lambda: run.log_metric("m", 1),
        lambda: run.log_params({"a": 1}),
        lambda: run.set_tags({"a": "b"}),
        lambda: run.log_text("x", "x.txt"),
    ):
        with pytest.raises(InvalidInput, match="has ended"):
            log()


def test_a_run_without_a_block_is_ended_by_hand(experiments: Experiments, stores: Stores) -> None:
    run = experiments.run("delay")
    run.end("failed", error="gave up")
    record = stores.runs.get(run.id)
    assert (record.status, record.error) == ("failed", "gave up")


def test_a_run_is_resumed(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay", params={"a": 1}) as run:
        run.log_metric("m", 1)
    with experiments.resume(run.id) as again:
        assert stores.runs.get(run.id).status == "running"
        again.log_metric("m", 2)
        with pytest.raises(Conflict):
            again.log_params({"a": 2})
    assert [point.step for point in stores.runs.history(run.id, "m")] == [0, 1]
    assert stores.runs.get(run.id).status == "finished"
    with pytest.raises(NotFound):
        experiments.resume("nowhere")


def test_threads_may_log_to_one_run(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        threads = [
            threading.Thread(target=lambda n=n: [run.log_metric(f"m{n}", i) for i in range(100)]) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {summary.count for summary in stores.runs.get(run.id).metrics.values()} == {100}


def test_an_outage_while_logging_does_not_reach_the_training(
    experiments: Experiments, stores: Stores, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: Any) -> Any:
        raise Unavailable("the server does not answer")

    with experiments.run("delay") as run, monkeypatch.context() as outage:
        run._buffer.flush()
        outage.setattr(stores.runs, "log", down)
        outage.setattr(stores.artifacts, "put", down)
        run.log_metric("m", 1)
        run.log_text("kept", "notes.txt")
        run._buffer.flush()
    assert stores.runs.get(run.id).metrics["m"].last == 1
    assert [entry.path for entry in files(stores, run.id)] == ["notes.txt"]
    assert "kept in memory" in caplog.text


def test_what_an_outage_to_the_end_costs_is_said(
    experiments: Experiments,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise StorageFull("the disk is full")

    (tmp_path / "a.bin").write_bytes(b"x")
    with caplog.at_level(logging.WARNING), experiments.run("delay") as run:
        run._buffer.flush()
        for store, name in ((stores.runs, "log"), (stores.runs, "end"), (stores.artifacts, "put")):
            monkeypatch.setattr(store, name, full)
        monkeypatch.setattr(stores.artifacts, "put_stream", full)
        run.log_metric("m", 1)
        run.log_artifact(tmp_path / "a.bin")
    assert "1 metric points and 0 other values were lost" in caplog.text
    assert "the artifacts a.bin were lost" in caplog.text
    assert "its end could not be recorded" in caplog.text


def test_a_store_in_memory_that_refuses_a_run_says_so_when_it_opens(
    experiments: Experiments, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise Unavailable("the server does not answer")

    monkeypatch.setattr(stores.runs, "create", down)
    with pytest.raises(Unavailable), experiments.run("delay"):
        pass


def test_what_cannot_be_kept_is_refused_before_anything_opens(experiments: Experiments, stores: Stores) -> None:
    for refused in (
        lambda: experiments.run(""),
        lambda: experiments.run("delay", tags={"": "x"}),
        lambda: experiments.run("delay", params=3),
        lambda: experiments.run("delay", inputs=["no ref"]),
        lambda: experiments.run("delay", kind="no kind"),
    ):
        with pytest.raises(InvalidInput):
            refused()
    assert stores.runs.runs() == []


def test_the_filter_finds_runs_by_kind(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay", kind="evaluation") as run:
        pass
    assert [found.id for found in stores.runs.runs(where=RunFilter(kind="evaluation"))] == [run.id]


def test_a_folder_is_kept_file_by_file(experiments: Experiments, stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "a.txt").write_text("a")
    (tmp_path / "out" / "deep" / "b.txt").write_text("b")
    with experiments.run("delay") as run:
        run.log_artifact(tmp_path / "out")
        run.log_artifact(tmp_path / "out" / "deep", "other")
    assert [entry.path for entry in files(stores, run.id)] == ["other/b.txt", "out/a.txt", "out/deep/b.txt"]


def test_a_run_opens_with_the_first_thing_logged(experiments: Experiments, stores: Stores) -> None:
    run = experiments.run("delay")
    assert stores.runs.runs() == []
    run.log_metric("m", 1)
    assert stores.runs.get(run.id).status == "running"
    run.end()
    assert stores.runs.get(run.id).metrics["m"].last == 1


def test_a_run_opens_by_itself_after_a_while(
    experiments: Experiments, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active, "OPENS_AFTER_S", 0.0)
    run = experiments.run("delay")
    until(lambda: bool(stores.runs.runs()))
    run.end()
    assert stores.runs.get(run.id).status == "finished"


def test_a_child_opens_the_parent_that_waits(experiments: Experiments, stores: Stores) -> None:
    outer = experiments.run("delay")
    with experiments.run("delay", parent=outer.id) as inner:
        pass
    outer.end()
    assert stores.runs.get(inner.id).parent == outer.id


def test_a_decorated_function_is_a_run_for_every_call(experiments: Experiments, stores: Stores) -> None:
    @experiments.run("delay", tags={"team": "a"}, params={"fixed": True})
    def train(depth: int, *, rate: float = 0.1, run: Any = None) -> float:
        run.log_metric("loss", depth * rate)
        return depth * rate

    assert stores.runs.runs() == []
    assert [train(3), train(4, rate=0.5)] == [pytest.approx(0.3), 2.0]
    second, first = stores.runs.runs()
    assert (first.name, first.params, first.tags) == ("train", {"fixed": True, "depth": 3, "rate": 0.1}, {"team": "a"})
    assert (second.params["rate"], second.metrics["loss"].last, second.status) == (0.5, 2.0, "finished")


def test_an_open_run_decorates_nothing(experiments: Experiments) -> None:
    with experiments.run("delay") as run, pytest.raises(InvalidInput, match="cannot decorate"):
        run(lambda: None)
    decorating = experiments.run("delay")
    decorating(lambda: None)
    with pytest.raises(InvalidInput, match="became a decorator"):
        decorating.log_metric("m", 1)
    decorating.end()


def test_a_run_is_resumed_by_id_or_as_the_latest(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as first:
        first.log_metric("m", 1)
    with experiments.run("delay", kind="evaluation"):
        pass
    with experiments.run("delay", resume="latest", params={"late": 1}, tags={"again": "yes"}) as again:
        assert again.id == first.id
        again.log_metric("m", 2)
    with experiments.run("delay", resume=first.id) as again:
        assert again.id == first.id
    record = stores.runs.get(first.id)
    assert (record.params, record.tags, record.metrics["m"].count) == ({"late": 1}, {"again": "yes"}, 2)
    with experiments.run("other", resume="latest") as fresh:
        assert fresh.id != first.id
    with pytest.raises(NotFound):
        experiments.run("delay", resume="nowhere")


def test_a_deleted_run_is_not_resumed(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        pass
    stores.runs.update(run.id, RunChange(deleted=True))
    with pytest.raises(Conflict, match="is deleted"):
        experiments.resume(run.id)


def test_notes_and_datasets(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        run.set_note("first")
        run.set_note("# Better\nmore rows")
        run.log_dataset("dataset:flights@3")
        run.log_dataset("dataset:late@1", context="evaluation")
        run.describe_dataset(DatasetUse("outside", "abc", context="training"))
    record = stores.runs.get(run.id)
    assert record.tags == {"mlflow.note.content": "# Better\nmore rows"}
    assert [use.name for use in record.datasets] == ["outside"]
    assert set(stores.journal.walk(run.ref, direction="back")) == {
        Edge("dataset:flights@3", run.ref, "trained_on"),
        Edge("dataset:late@1", run.ref, "read_for_evaluation"),
    }


def test_what_is_printed_is_kept_and_still_printed(
    experiments: Experiments, stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    with experiments.run("delay") as run:
        print("epoch 1")
        with experiments.run("delay") as inner:
            print("inside")
    with experiments.run("delay", console=False) as silent:
        print("unheard")
    [entry] = files(stores, run.id)
    assert (entry.path, stores.artifacts.get(entry.digest)) == ("console.txt", b"epoch 1\ninside\n")
    assert files(stores, inner.id) == files(stores, silent.id) == []
    assert capsys.readouterr().out == "epoch 1\ninside\nunheard\n"


def test_the_lock_of_the_environment_is_a_file(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run, experiments.run("delay") as inner:
        pass
    [entry] = stores.runs.artifacts(run.id)
    assert entry.path == "environment/requirements.txt"
    assert b"\nmsgspec==" in stores.artifacts.get(entry.digest)
    assert stores.runs.artifacts(inner.id) == []


def test_a_run_shows_itself_and_escapes_what_it_shows(experiments: Experiments) -> None:
    bad = "<script>alert(1)</script>"
    with experiments.run("delay", name=bad, params={bad: bad}) as run:
        run.log_metric("auc", 0.75)
    shown = run._repr_html_() + experiments._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "0.75" in shown
    assert run.id in repr(run)


FORKS = """
import os, sys
from interlock.workspace import open_workspace

with open_workspace(sys.argv[1]) as workspace:
    with workspace.experiments.run("delay") as run:
        run.log_metric("parent", 1)
        child = os.fork()
        if child == 0:
            run.log_metric("child", 2)
            run.end("failed")
            run.flush()
            os._exit(0)
        os.waitpid(child, 0)
        run.log_metric("parent", 3)
print(run.id)
"""


def test_a_forked_child_logs_to_the_run_and_leaves_its_end_to_the_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, str(tmp_path / "ws")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    with open_workspace(tmp_path / "ws") as workspace:
        record = workspace.stores.runs.get(done.stdout.strip())
    assert record.status == "finished", record.error
    assert (record.metrics["parent"].count, record.metrics["child"].count) == (2, 1)
