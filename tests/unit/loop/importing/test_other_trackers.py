"""Runs of W&B, TensorBoard and trackio, as their packages wrote them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.core.errors import Corrupt, InvalidInput
from interlock.loop.importing.protobuf import fields
from interlock.loop.importing.tensorboard import TensorBoard
from interlock.loop.importing.trackio import Trackio
from interlock.loop.importing.wandb_offline import WandbOffline
from interlock.loop.importing.writing import import_source
from interlock.ports.stores import Stores

Unpack = Callable[[str], Path]


def test_an_offline_run_of_wandb(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("wandb-0.31.0")
    report = import_source(WandbOffline(folder), stores)
    assert report.is_whole, report.problems
    (run,) = stores.runs.runs()
    assert (run.experiment, run.name, run.status) == ("vision", "offline one", "finished")
    assert run.params == {"lr": 0.1, "net": {"depth": 3}}
    assert (run.tags["wandb.tags"], run.tags["mlflow.note.content"]) == ("a,b", "a note")
    loss = stores.runs.history(run.id, "loss")
    assert [(point.step, point.value) for point in loss] == [(step, 1 / (step + 1)) for step in range(12)]
    assert [point.value for point in stores.runs.history(run.id, "val.acc")][-1] == 11 / 50
    assert math.isnan(run.metrics["nan"].last) and run.metrics["inf"].last == math.inf
    assert run.metrics["nan"].last_step == 60
    assert [entry.path for entry in stores.runs.artifacts(run.id)] == ["note.txt", "requirements.txt"]
    again = import_source(WandbOffline(folder), stores)
    assert [(one.written, one.unchanged) for one in again.experiments] == [(0, 1)]


def test_a_log_of_wandb_that_breaks_off_gives_what_came_before(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("wandb-0.31.0")
    (log,) = folder.rglob("*.wandb")
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) * 3 // 4])
    report = import_source(WandbOffline(folder), stores)
    assert ["breaks off" in one.why for one in report.problems] == [True]
    (run,) = stores.runs.runs()
    assert run.status == "running" and 0 < run.metrics["loss"].count < 12
    log.write_bytes(whole)
    assert import_source(WandbOffline(folder), stores).is_whole
    (run,) = stores.runs.runs()
    assert (run.status, run.metrics["loss"].count) == ("finished", 12)


def test_a_damaged_log_of_wandb_is_refused(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("wandb-0.31.0")
    (log,) = folder.rglob("*.wandb")
    data = bytearray(log.read_bytes())
    data[200] ^= 1
    log.write_bytes(data)
    with pytest.raises(Corrupt, match="sum"):
        import_source(WandbOffline(folder), stores)
    assert stores.runs.runs() == []


def test_links_out_of_a_run_of_wandb_are_told(unpacked: Unpack, stores: Stores, tmp_path: Path) -> None:
    folder = unpacked("wandb-0.31.0")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "weights").write_text("w")
    (next(folder.rglob("files")) / "weights").symlink_to(tmp_path / "mine" / "weights")
    report = import_source(WandbOffline(folder), stores)
    assert ["--artifacts" in one.why for one in report.problems] == [True]
    assert import_source(WandbOffline(folder, artifacts=(tmp_path / "mine",)), stores).is_whole
    (run,) = stores.runs.runs()
    assert "weights" in [entry.path for entry in stores.runs.artifacts(run.id)]


def test_event_files(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("tensorboard") / "logs"
    report = import_source(TensorBoard(folder, experiment="seen"), stores)
    assert [(one.thing, one.why) for one in report.problems] == [("run exp1/train", "1 values of kind histogram")]
    runs = {run.name: run for run in stores.runs.runs()}
    assert set(runs) == {"exp1/train", "exp1/train/hp", "exp1/val"}
    loss = stores.runs.history(runs["exp1/train"].id, "loss")
    assert [point.step for point in loss] == list(range(20))
    assert loss[1].value == 0.5 and loss[1].time == 1_700_000_001_000_000
    assert [point.value for point in stores.runs.history(runs["exp1/val"].id, "loss")] == [float(n) for n in range(10)]
    assert runs["exp1/train/hp"].params == {"lr": 0.1, "opt": "sgd", "aug": True}
    assert runs["exp1/train/hp"].metrics["hparam/acc"].last == 0.5
    files = {one.path: stores.artifacts.get(one.digest) for one in stores.runs.artifacts(runs["exp1/train"].id)}
    assert files["media/note/text_summary/3.md"] == b"hello **world**"
    assert files["media/img/2.png"].startswith(b"\x89PNG")


def test_a_damaged_event_file_is_refused(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("tensorboard") / "logs"
    path = next((folder / "exp1" / "val").iterdir())
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="sum"):
        import_source(TensorBoard(folder), stores)


def test_an_event_file_that_is_still_written_gives_what_is_there(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("tensorboard") / "logs"
    path = next((folder / "exp1" / "val").iterdir())
    path.write_bytes(path.read_bytes()[:-3])
    report = import_source(TensorBoard(folder), stores)
    assert any("breaks off" in one.why for one in report.problems)
    (run,) = [run for run in stores.runs.runs() if run.name == "exp1/val"]
    assert run.metrics["loss"].count == 9


def test_projects_of_trackio(unpacked: Unpack, stores: Stores) -> None:
    folder = unpacked("trackio") / "trackio"
    assert import_source(Trackio(folder), stores).is_whole
    (run,) = [run for run in stores.runs.runs() if run.experiment == "speech"]
    assert (run.name, run.params) == ("r0", {"lr": 0.1, "net": {"depth": 2}})
    assert (run.tags["trackio.group"], run.tags["trackio.note"]) == ("g", "t")
    assert [point.value for point in stores.runs.history(run.id, "val.acc")] == [float(n) for n in range(10)]
    assert run.metrics["x"].last == math.inf
    again = import_source(Trackio(folder / "speech.db"), stores)
    assert [(one.written, one.unchanged) for one in again.experiments] == [(0, 1)]


@pytest.mark.parametrize("open_source", [WandbOffline, TensorBoard, Trackio])
def test_a_folder_without_runs_is_refused(open_source: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        open_source(tmp_path)


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x80" * 12, b"\x0b", b"\x09\x00"])
def test_a_damaged_message_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        list(fields(data))
