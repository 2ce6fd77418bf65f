"""Write a trained torch module as files that hold no code: its weights, and where it can be traced its graph."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed
from interlock.experiments.autolog.sessions import quietly
from interlock.experiments.pictures import as_array

WEIGHTS = "state_dict.pt"
GRAPH = "data/model.pt2"
_LARGEST_GRAPH_BYTES = 1 << 28
"""The graph holds the weights once more: of a larger module only the weights are kept."""
_NO_FORWARD = ("torch.nn.modules.module", "lightning.", "pytorch_lightning.")


def torch_files(model: Any, rows: Any, *, framework: str) -> ModelFiles:
    """Write the weights, and the graph of `forward` for any number of rows, which MLflow loads and serves.

    Args:
        model: A module, trained.
        rows: Some rows that it takes, as a tensor; None where they are not known.
        framework: Who asks, for the one line about a module that cannot be traced.

    Cost: one pass in which nothing is computed, and up to 256 MiB of memory.
    """
    torch = importlib.import_module("torch")
    weights = io.BytesIO()
    torch.save(model.state_dict(), weights)
    kind = type(model)
    files = {WEIGHTS: weights.getvalue()}
    version = installed("torch")
    flavors: dict[str, dict[str, Any]] = {
        "pytorch_state": {
            "pytorch_version": version,
            "state_dict": WEIGHTS,
            "module_class": f"{kind.__module__}.{kind.__qualname__}",
        }
    }
    predict = None
    if rows is not None and _can_be_called(model) and weights.getbuffer().nbytes <= _LARGEST_GRAPH_BYTES:
        with quietly(framework), _resting(model):
            given = rows.to(next(iter(model.parameters())).device)
            answers = model(given).detach()
            files[GRAPH] = _graph(torch, model, given)
            flavors["pytorch"] = {"model_data": "data", "pytorch_version": version, "code": None}
            flavors["python_function"] = {
                "loader_module": "mlflow.pytorch",
                "data": "data",
                "config": {"device": None},
            }

            def predict() -> Any:
                return as_array(answers.cpu())

    return ModelFiles(files, flavors, ("torch", "lightning", "numpy"), predict)


def _can_be_called(model: Any) -> bool:
    """Say whether the module's own author wrote its `forward`; Lightning does not ask for one."""
    owner = next(cls for cls in type(model).__mro__ if "forward" in vars(cls))
    return not owner.__module__.startswith(_NO_FORWARD)


def _graph(torch: Any, model: Any, rows: Any) -> bytes:
    # it speaks of each dimension that it finds to be fixed
    told = logging.getLogger("torch.export")
    level = told.level
    told.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.export.export(model, (rows,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
            written = io.BytesIO()
            torch.export.save(traced, written)
    finally:
        told.setLevel(level)
    return written.getvalue()


@contextlib.contextmanager
def _resting(model: Any) -> Iterator[None]:
    """Have a module answer as it would in use, and leave it as it was found."""
    torch = importlib.import_module("torch")
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes.items():
            part.training = training
