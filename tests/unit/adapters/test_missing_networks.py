"""Networks say what they need where their library is not installed, and read nothing that was not signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.keras.runtime import KerasRuntime
from interlock.adapters.mlflow.runtime import MlflowRuntime
from interlock.adapters.torch.runtime import TorchRuntime
from interlock.core.errors import MissingExtra
from interlock.core.schema import Signature
from interlock.core.signed_folders import SIGNATURE_FILE, sign_folder
from interlock.core.signing import Signer
from interlock.workspace import open_workspace


@pytest.mark.parametrize(("runtime", "library"), [(TorchRuntime, "torch"), (KerasRuntime, "keras")])
def test_a_runtime_names_its_library(
    runtime: Any, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert runtime().engine == library
    with pytest.raises(MissingExtra, match=f"needs the library '{library}'") as caught:
        runtime().load(tmp_path, signature=Signature((), ()), settings={})
    assert caught.value.fix == f"pip install {library}"


def test_a_folder_of_mlflow_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(lambda: [bytes(32)], {})
    (tmp_path / "mlflow").mkdir()
    (tmp_path / SIGNATURE_FILE).write_bytes(sign_folder({}, signer))
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    with pytest.raises(MissingExtra, match="mlflow"):
        MlflowRuntime(signer).load(tmp_path, signature=Signature((), ()), settings={})


@pytest.mark.parametrize(
    ("bases", "library"),
    [(("torch.nn.modules.module", "Module"), "torch"), (("keras.src.models.model", "Model"), "keras")],
)
def test_a_network_is_recognised_without_its_library(
    bases: tuple[str, str], library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = bases
    network = type(name, (), {"__module__": module, "export": None, "__call__": lambda self, x: x})
    monkeypatch.setitem(sys.modules, library, None)
    with open_workspace(tmp_path / "w") as workspace, pytest.raises(MissingExtra, match=f"library '{library}'"):
        workspace.registry.register("net", network(), example=[[1.0]])
