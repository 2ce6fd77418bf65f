"""Real trainings of Keras, Lightning and PyTorch become runs, epoch by epoch."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.experiments.tracking import Experiments
from tests.unit.experiments.autolog.conftest import Recorded

RNG = np.random.default_rng(1)
ROWS = RNG.normal(size=(120, 3)).astype(np.float32)
TRUTH = (ROWS[:, 0] > 0).astype(np.float32)
Autolog = Callable[..., None]


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """Let these libraries warn of what they do to each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_keras_fits(autolog: Autolog, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    autolog()
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    history = model.fit(ROWS, TRUTH, epochs=3, verbose=0, validation_split=0.25)
    run = recorded.one
    assert (run.status, run.params["epochs"], run.params["optimizer_name"]) == ("finished", 3, "adam")
    assert {key: one.count for key, one in run.metrics.items()} == {"loss": 3, "val_loss": 3, "learning_rate": 3}
    assert run.metrics["loss"].last == pytest.approx(history.history["loss"][-1])
    files = recorded.files(run)
    assert b"dense" in files["summary.txt"]
    (tmp_path / "model.keras").write_bytes(files["model/data/model.keras"])
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.allclose(again.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0), atol=1e-6)


def lightning_module() -> Any:
    import lightning
    import torch

    class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, rate: float = 0.1) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            rows, truth = batch
            loss = torch.nn.functional.mse_loss(self.layer(rows).squeeze(), truth)
            self.log("loss", loss)
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            rows, truth = batch
            self.log("val_loss", torch.nn.functional.mse_loss(self.layer(rows).squeeze(), truth))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)

    return Line()


def test_lightning_trains(autolog: Autolog, recorded: Recorded, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    lightning = pytest.importorskip("lightning")
    autolog()
    data = torch.utils.data.TensorDataset(torch.tensor(ROWS), torch.tensor(TRUTH))
    loader = torch.utils.data.DataLoader(data, batch_size=30)
    model = lightning_module()
    trainer = lightning.Trainer(
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, loader, loader)
    run = recorded.one
    assert (run.name, run.status, run.tags["autolog"]) == ("Line", "finished", "lightning")
    assert (run.params["rate"], run.params["optimizer"], run.params["max_epochs"]) == (0.1, "SGD", 3)
    assert run.metrics["val_loss"].count == 3
    assert run.metrics["loss"].count >= 3
    assert run.datasets[0].name == "first_batch"
    weights = torch.load(io.BytesIO(recorded.files(run)["model/state_dict.pt"]), weights_only=True)
    assert (weights["layer.weight"] == model.layer.weight).all()
    assert recorded.described(run)["flavors"].keys() == {"pytorch_state"}
    assert not any(type(one).__name__ == "Recorder" for one in trainer.callbacks)


def test_a_module_that_can_be_called_is_kept_as_a_graph_without_code(
    autolog: Autolog, recorded: Recorded, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    lightning = pytest.importorskip("lightning")
    autolog()

    class Called(type(lightning_module())):  # type: ignore[misc]
        def forward(self, rows: Any) -> Any:
            return torch.nn.functional.dropout(self.layer(rows), 0.9, self.training)

    data = torch.utils.data.TensorDataset(torch.tensor(ROWS), torch.tensor(TRUTH))
    model = Called()
    trainer = lightning.Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=30))
    was_training = model.training
    again = torch.export.load(io.BytesIO(recorded.files(recorded.one)["model/data/model.pt2"])).module()
    model.eval()
    # any number of rows, not only as many as it was traced with
    assert torch.allclose(again(torch.tensor(ROWS)), model(torch.tensor(ROWS)))
    assert was_training
    described = recorded.described(recorded.one)
    assert {"pytorch", "python_function", "pytorch_state"} == described["flavors"].keys()
    assert json.loads(described["signature"]["outputs"])[0]["tensor-spec"]["shape"] == [-1, 1]


def test_a_loop_by_hand_adds_to_the_run_that_is_open(
    autolog: Autolog, recorded: Recorded, experiments: Experiments
) -> None:
    torch = pytest.importorskip("torch")
    autolog()
    layer = torch.nn.Linear(3, 1)
    torch.optim.Adam(layer.parameters(), lr=0.5)
    assert recorded.runs == []
    with experiments.run("mine", console=False, system_every_s=0):
        torch.optim.Adam(layer.parameters(), lr=0.25)
        torch.optim.SGD(layer.parameters(), lr=0.125)
    assert (recorded.one.params["optimizer"], recorded.one.params["optimizer_lr"]) == ("Adam", 0.25)


def test_what_is_written_for_tensorboard_is_logged(
    autolog: Autolog, recorded: Recorded, experiments: Experiments, tmp_path: Path
) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    autolog()
    with experiments.run("mine", console=False, system_every_s=0):
        writer = tensorboard.SummaryWriter(str(tmp_path))
        for step in range(3):
            writer.add_scalar("train/loss", 1.0 / (step + 1), step)
        writer.close()
    assert recorded.one.metrics["train/loss"].count == 3
