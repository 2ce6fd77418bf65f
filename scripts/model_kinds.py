"""Register, serve over HTTP and compare a model of every kind that an environment has the libraries for.

    python scripts/model_kinds.py --python /path/to/environment/bin/python [--extra FOLDER] [--json]

The environment needs the dependencies of interlock, in itself or in an extra folder; the source beside this is used.
Exits with 1 if a kind answers otherwise over HTTP than in memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

ROWS = 60
TOLERANCE = 1e-4
_SOURCE = Path(__file__).resolve().parents[1] / "src"


class Case(NamedTuple):
    """A model, its example, what it says in memory to the whole example (one output), and how it is registered."""

    title: str
    model: Any
    example: Any
    expected: Callable[[], tuple[str, list[Any]]]
    options: dict[str, Any] = {}


def has(*libraries: str) -> bool:
    """Say whether libraries are installed."""
    return all(importlib.util.find_spec(library) is not None for library in libraries)


def frame() -> Any:
    """Return made-up rows."""
    import numpy as np
    import pandas as pd

    dice = np.random.default_rng(0)
    made = pd.DataFrame({"x": dice.normal(size=ROWS), "z": dice.uniform(1, 5, size=ROWS)})
    return made.assign(late=(made.x + dice.normal(size=ROWS) / 5 > 0).astype(int))


def python_cases() -> Iterator[Case]:
    """Yield functions, classes and generators."""
    data = frame()[["x", "z"]]

    def scaled(rows):  # type: ignore[no-untyped-def]
        return rows["x"] * 2 + rows["z"]

    class Loading:
        def load(self) -> None:
            self.factor = 3

        def predict(self, row):  # type: ignore[no-untyped-def]
            return {"score": row["x"] * self.factor}

    def talking(row):  # type: ignore[no-untyped-def]
        yield from (f"{row['x']:.2f} ", "and ", f"{row['z']:.2f}")

    yield Case("Python function", scaled, data, lambda: ("prediction", scaled(data).tolist()))
    yield Case("Python class with load()", Loading, data, lambda: ("score", (data.x * 3).tolist()))
    talk = [f"{x:.2f} and {z:.2f}" for x, z in zip(data.x, data.z, strict=True)]
    yield Case("Python generator", talking, data, lambda: ("prediction", talk))


def tree_cases() -> Iterator[Case]:
    """Yield models of the libraries for trees."""
    whole = frame()
    data, y = whole[["x", "z"]], whole["late"]
    if has("sklearn", "skops"):
        from sklearn.ensemble import GradientBoostingClassifier

        model = GradientBoostingClassifier(n_estimators=20).fit(data, y)
        if has("skl2onnx", "onnx"):
            yield Case("scikit-learn", model, data, lambda: ("probability", model.predict_proba(data)[:, 1].tolist()))
    if has("xgboost"):
        import xgboost

        boosted = xgboost.XGBClassifier(n_estimators=20).fit(data, y)
        yield Case("XGBoost", boosted, data, lambda: ("probability", boosted.predict_proba(data)[:, 1].tolist()))
    if has("lightgbm"):
        import lightgbm

        light = lightgbm.LGBMRegressor(n_estimators=20, min_child_samples=2, verbose=-1).fit(data, data.x)
        yield Case("LightGBM", light, data, lambda: ("prediction", light.predict(data).tolist()))
    if has("catboost"):
        import catboost

        cat = catboost.CatBoostRegressor(iterations=20, verbose=0, allow_writing_files=False).fit(data, data.x)
        yield Case("CatBoost", cat, data, lambda: ("prediction", cat.predict(data).tolist()))


def network_cases() -> Iterator[Case]:
    """Yield networks."""
    data = frame()[["x", "z"]].to_numpy("float32")
    if has("torch"):
        import torch

        net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).eval()

        def asked() -> tuple[str, list[Any]]:
            with torch.no_grad():
                return "output", net(torch.from_numpy(data)).numpy().tolist()

        yield Case("PyTorch module", net, torch.from_numpy(data), asked)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield Case("TorchScript", torch.jit.trace(net, torch.from_numpy(data)), data, asked)
    if has("keras") and has("torch"):
        os.environ.setdefault("KERAS_BACKEND", "torch")
        import keras

        layers = keras.layers
        dense = keras.Sequential([layers.Input((2,)), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")])
        yield Case("Keras", dense, data, lambda: ("output", dense.predict(data, verbose=0).tolist()))


def statsmodels_cases() -> Iterator[Case]:
    """Yield results of statsmodels."""
    if not has("statsmodels"):
        return
    import numpy as np  # noqa: F401 (the formulas name it)
    import statsmodels.formula.api as smf

    data = frame()
    for title, formula in (("formula", "x ~ np.log(z) + late * z"), ("splines", "x ~ bs(z, df=4)")):
        results = smf.ols(formula, data).fit()

        def asked(results: Any = results) -> tuple[str, list[Any]]:
            return "prediction", results.predict(data).tolist()

        yield Case(f"statsmodels {title}", results, data, asked)
    logit = smf.logit("late ~ z", data).fit(disp=0)
    yield Case("statsmodels logit", logit, data, lambda: ("prediction", logit.predict(data).tolist()))


def mlflow_cases(folder: Path) -> Iterator[Case]:
    """Yield folders that MLflow saved."""
    if not has("mlflow", "sklearn", "skops"):
        return
    import mlflow.pyfunc
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    whole = frame()
    data = whole[["x", "z"]]
    model = LogisticRegression().fit(data, whole["late"])

    def asked() -> tuple[str, list[Any]]:
        return "probability", model.predict_proba(data)[:, 1].tolist()

    class Doubling(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return model_input["x"] * 2

    mlflow.pyfunc.save_model(folder / "python", python_model=Doubling(), pip_requirements=["pandas"])
    pickle = {"trusted_types": ["pickle"]}
    yield Case("MLflow python_function", folder / "python", data, lambda: ("prediction", (data.x * 2).tolist()), pickle)
    if has("skl2onnx", "onnx"):
        pins = {"pip_requirements": ["scikit-learn"]}
        mlflow.sklearn.save_model(model, folder / "skops", **pins)
        mlflow.sklearn.save_model(model, folder / "pickle", serialization_format="cloudpickle", **pins)
        yield Case("MLflow sklearn (skops)", folder / "skops", data, asked)
        yield Case("MLflow sklearn (pickle)", str(folder / "pickle"), data, asked, pickle)


def graph_cases(workspace: Any) -> Iterator[Case]:
    """Yield graphs of two registered functions."""
    from interlock import branch, ensemble

    data = frame()[["x", "z"]]
    workspace.registry.register("one", lambda rows: rows["x"], example=data)
    workspace.registry.register("two", lambda rows: rows["z"], example=data)
    yield Case("ensemble", ensemble("one", "two"), data, lambda: ("prediction", ((data.x + data.z) / 2).tolist()))
    picked = data.x.where(data.x > 0, data.z)
    yield Case("branch", branch("x > 0", then="one", otherwise="two"), data, lambda: ("prediction", picked.tolist()))


def asked_over_http(url: str, signature: Any, example: Any, output: str) -> list[Any]:
    """Send the whole example as one Open Inference request; return one output, row by row."""
    inputs = []
    for column in signature.inputs:
        values = example[column.name]
        datatype, shape = column.datatype, [ROWS]
        if column.shape is not None:
            shape, values = list(values.shape), values.ravel().tolist()
        else:
            datatype = {"double": "FP64", "long": "INT64", "boolean": "BOOL", "string": "BYTES"}[column.type]
        inputs.append({"name": column.name, "shape": shape, "datatype": datatype, "data": list(values)})
    body = json.dumps({"inputs": inputs}).encode()
    with urlopen(Request(f"{url}/infer", body, {"content-type": "application/json"})) as reply:  # noqa: S310
        outputs = json.load(reply)["outputs"]
    found = next(one for one in outputs if one["name"] == output)
    values = found["data"]
    width = len(values) // ROWS if not isinstance(values[0], list) else 1
    return [values[at : at + width] for at in range(0, len(values), width)] if width > 1 else values


def difference(one: Any, other: Any) -> float:
    """Return the largest difference of two answers."""
    import numpy as np

    if isinstance(one[0], str):
        return 0.0 if list(one) == list(other) else float("inf")
    return float(np.abs(np.ravel(np.array(one, float)) - np.ravel(np.array(other, float))).max())


def tried(workspace: Any, case: Case) -> dict[str, Any]:
    """Register one model, serve it, ask it, and hold the answer against the one in memory."""
    from interlock.registry.packaging import plain_value
    from interlock.registry.tensors import tensors_of
    from interlock.server.dataplane import DataPlane
    from interlock.server.hosting import EndpointHost
    from interlock.server.serve import listen, serving
    from interlock.serving.rollout import begin

    name = "".join(letter if letter.isalnum() else "-" for letter in case.title.lower()).strip("-")
    began = time.perf_counter()
    version = workspace.registry.register(name, case.model, example=case.example, **case.options)
    took = time.perf_counter() - began
    stores = workspace.stores
    stores.deployments.route(name, begin(version.ref))
    if version.signature.is_tensor:
        example: dict[str, Any] = tensors_of(case.example, version.signature.input_names)
    else:
        example = {key: [plain_value(value) for value in case.example[key]] for key in version.signature.input_names}
    host = EndpointHost(
        stores.deployments, stores.journal, load=workspace.load_model, log=stores.predictions, endpoints=[name]
    )
    host.refresh()
    plane = DataPlane(host)
    output, expected = case.expected()
    with serving(plane, listen("127.0.0.1", 0)) as url:
        found = asked_over_http(f"{url}/v2/models/{name}", version.signature, example, output)
    plane.close()
    host.close()
    worst = difference(expected, found)
    return {
        "kind": case.title,
        "flavor": version.flavor,
        "engine": version.engine,
        "max_difference": worst,
        "one_row_us": version.facts["one_row_us"],
        "registered_s": round(took, 2),
        "agrees": worst <= TOLERANCE,
    }


def inside() -> int:
    """Try every kind in this environment; print one line of JSON for each."""
    warnings.simplefilter("ignore")
    import logging

    from interlock.workspace import open_workspace

    logging.disable(logging.WARNING)
    failed = False
    with tempfile.TemporaryDirectory() as folder, open_workspace(Path(folder) / "workspace") as workspace:
        groups = (python_cases(), tree_cases(), network_cases(), statsmodels_cases())
        cases = [*(case for group in groups for case in group), *mlflow_cases(Path(folder)), *graph_cases(workspace)]
        for case in cases:
            try:
                row = tried(workspace, case)
            except Exception as error:  # noqa: BLE001 (one kind that fails must not hide the others)
                row = {"kind": case.title, "agrees": False, "problem": f"{type(error).__name__}: {error}"}
            failed = failed or not row["agrees"]
            print("row " + json.dumps(row), flush=True)
    return int(failed)


def main() -> int:
    """Run this script in the environment and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environment")
    parser.add_argument("--extra", action="append", default=[], help="a folder with libraries that it lacks")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.inside:
        sys.path += told.extra
        return inside()
    extra = [word for folder in told.extra for word in ("--extra", folder)]
    command = [told.python, "-W", "ignore", __file__, "--inside", *extra]
    quiet = {"KERAS_BACKEND": "torch", "TORCH_LOGS": "-all", "MLFLOW_ENABLE_TELEMETRY": "false"}
    done = subprocess.run(
        command, env={**os.environ, **quiet, "PYTHONPATH": str(_SOURCE)}, capture_output=True, text=True, check=False
    )
    rows = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("row ")]
    if not rows:
        print(done.stderr[-4000:], file=sys.stderr)
        return 2
    if told.json:
        print(json.dumps(rows, indent=2))
        return done.returncode
    print("| Kind | Flavor | Engine | Largest difference over HTTP | One row, µs | Registered in, s |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        if "problem" in row:
            print(f"| {row['kind']} | failed: {' '.join(row['problem'].split())[:200]} | | | | |")
            continue
        print(
            f"| {row['kind']} | {row['flavor']} | {row['engine']} | {row['max_difference']:.1e} | "
            f"{row['one_row_us']:.0f} | {row['registered_s']} |"
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
