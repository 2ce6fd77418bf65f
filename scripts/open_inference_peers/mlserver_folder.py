"""Write the folder from which `mlserver start` serves the models: `python mlserver_folder.py FOLDER HTTP GRPC`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

DATATYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
]


def write(folder: Path, http_port: int, grpc_port: int) -> None:
    """Write settings and models."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": grpc_port + 1,
        # its parallel workers do not start beside a present uvloop
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    models = {f"echo_{datatype.lower()}": _echo(datatype) for datatype in DATATYPES}
    models["spare"] = _echo("FP32")
    models["simple"] = {
        "implementation": "mlserver_models.AddSubtractModel",
        "inputs": [{"name": f"INPUT{at}", "datatype": "INT32", "shape": [-1, 16]} for at in range(2)],
        "outputs": [{"name": f"OUTPUT{at}", "datatype": "INT32", "shape": [-1, 16]} for at in range(2)],
    }
    for name, model in models.items():
        place = folder / name
        place.mkdir(exist_ok=True)
        described = {"name": name, "parameters": {"version": "1"}, **model}
        (place / "model-settings.json").write_text(json.dumps(described))
        shutil.copy(Path(__file__).with_name("mlserver_models.py"), place)


def _echo(datatype: str) -> dict[str, object]:
    return {
        "implementation": "mlserver_models.EchoModel",
        "inputs": [{"name": "INPUT", "datatype": datatype, "shape": [-1, -1]}],
        "outputs": [{"name": "OUTPUT", "datatype": datatype, "shape": [-1, -1]}],
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
