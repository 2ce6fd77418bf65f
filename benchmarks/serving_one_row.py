"""One-row prediction over HTTP on loopback: Interlock with validation and logging on, against hand-written FastAPI.

The same fitted pipeline (17 numeric columns with gaps, 3 categorical ones, logistic regression) is behind every server.
Each server is a process of its own, asked in turn by another process over kept-alive connections. What is compared is
the server's CPU time per request, because it does not depend on what else the machine is doing; for Interlock it
includes moving the logged predictions into SQLite.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NUMBERS = [f"number_{at}" for at in range(17)]
STRINGS = ["carrier", "origin", "dest"]
CONNECTIONS = 8
WARM_UP_S = 1.0
MEASURE_S = 4.0
SETTLE_S = 1.0
TABLES = {
    "the same engine (scikit-learn) behind both": ["interlock-sklearn", "fastapi-sklearn"],
    "as each would be deployed": ["floor-onnx", "interlock-onnx", "fastapi-sklearn"],
}
TITLES = {
    "interlock-onnx": "interlock serve, compiled to ONNX (checked, logged)",
    "interlock-sklearn": "interlock serve, scikit-learn (checked, logged)",
    "fastapi-sklearn": "FastAPI + pydantic + scikit-learn (no log)",
    "floor-onnx": "bare ASGI + ONNX Runtime (no check, no log)",
}


def make_frame(rows: int) -> Any:
    """Return made-up flights: columns by name, as a pandas frame."""
    import numpy as np
    import pandas as pd

    dice = np.random.default_rng(0)
    frame = pd.DataFrame({name: dice.normal(size=rows) * 10 for name in NUMBERS})
    frame.loc[dice.random(rows) < 0.1, NUMBERS[0]] = np.nan
    for name, count in zip(STRINGS, (16, 3, 100), strict=True):
        frame[name] = dice.choice([f"{name}{at}" for at in range(count)], size=rows)
    return frame


def prepare(folder: Path) -> None:
    """Fit the model, register it in a new workspace and put it behind an endpoint."""
    import joblib
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from interlock.serving.rollout import begin
    from interlock.workspace import open_workspace

    frame = make_frame(5_000)
    target = (frame["number_1"] + frame["number_2"] > 3).astype(int)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    strings = OneHotEncoder(handle_unknown="ignore", min_frequency=20)
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("strings", strings, STRINGS)])
    model = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(frame, target)
    joblib.dump(model, folder / "model.joblib")
    with open_workspace(folder / "workspace") as workspace:
        version = workspace.registry.register("delay", model, example=frame.head(200))
        workspace.stores.deployments.route("delay", begin(version.ref))
        (folder / "packed.onnx").write_bytes((workspace.registry.package_folder(version) / "packed.onnx").read_bytes())
    row = frame.iloc[1].to_dict()
    (folder / "row.json").write_text(json.dumps(row))


def interlock_server(folder: Path, engine: str) -> None:
    """Serve the endpoint as `interlock serve` does."""
    import msgspec

    from interlock.adapters.onnx.runtime import OnnxRuntime
    from interlock.adapters.sklearn.runtime import SklearnRuntime
    from interlock.ports.model_store import ModelVersion
    from interlock.server.hosting import EndpointHost
    from interlock.server.serve import listen, serve
    from interlock.server.serve_app import ServeApp
    from interlock.serving.loading import ModelLoader
    from interlock.workspace import open_workspace

    with open_workspace(folder / "workspace") as workspace:

        def resolve(ref: str) -> ModelVersion:
            version = workspace.registry.resolve(ref)
            facts = version.facts if engine == version.engine else {**version.facts, "one_row_us": 1e6}
            return msgspec.structs.replace(version, engine=engine, facts=facts)

        load = ModelLoader(resolve, workspace.registry.package_folder, [OnnxRuntime(), SklearnRuntime()])
        stores = workspace.stores
        with EndpointHost(stores.deployments, stores.journal, load=load, log=stores.predictions) as host:
            listener = listen("127.0.0.1", 0)
            announce(listener)
            serve(ServeApp(host), listener)


def fastapi_server(folder: Path) -> None:
    """Serve the model as one writes it by hand: a pydantic model per row, a frame, predict_proba."""
    import joblib
    import pandas as pd
    from fastapi import FastAPI
    from pydantic import create_model

    fields: dict[str, Any] = dict.fromkeys(NUMBERS, (float | None, None)) | dict.fromkeys(STRINGS, (str, ...))
    row_type = create_model("Row", **fields)
    model = joblib.load(folder / "model.joblib")
    app = FastAPI()

    async def predict(row: Any) -> dict[str, float]:
        frame = pd.DataFrame([row.model_dump()])
        return {"probability": float(model.predict_proba(frame)[0, 1])}

    predict.__annotations__ = {"row": row_type}
    app.post("/predict")(predict)
    run_uvicorn(app)


def floor_server(folder: Path) -> None:
    """Serve the compiled model with nothing around it."""
    import msgspec
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession((folder / "packed.onnx").read_bytes(), options)
    decode = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder().encode

    async def app(scope: Any, receive: Any, send: Any) -> None:
        row = decode((await receive())["body"])
        feed = {
            "interlock_numbers": np.array([[row[name] for name in NUMBERS]], np.float64),
            "interlock_strings": np.array([[row[name] for name in STRINGS]], object),
        }
        (found,) = session.run(["probability"], feed)
        body = encode({"probability": found.item()})
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    run_uvicorn(app)


def run_uvicorn(app: Any) -> None:
    """Run an application with uvicorn's quickest settings."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    announce(listener)
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning", lifespan="off")).run([listener])


def announce(listener: socket.socket) -> None:
    """Tell the parent the port."""
    print(listener.getsockname()[1], flush=True)


def request_for(kind: str, row: dict[str, Any]) -> bytes:
    """Return the raw HTTP request of one prediction: Open Inference JSON to Interlock, a plain object to the others."""
    path, body = "/predict", json.dumps(row)
    if kind.startswith("interlock"):
        path = "/v2/models/delay/infer"
        inputs = [
            {"name": name, "shape": [1], "datatype": "BYTES" if name in STRINGS else "FP64", "data": [value]}
            for name, value in row.items()
        ]
        body = json.dumps({"inputs": inputs})
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()


def load(port: int, request_path: str, seconds: float) -> None:
    """Ask for so long over several connections, one request at a time on each; print the latencies in seconds."""
    request = Path(request_path).read_bytes()
    selector = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ, [time.perf_counter(), b""])
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(timeout=1):
            connection: Any = key.fileobj
            key.data[1] += connection.recv(65_536)
            if not _is_whole(key.data[1]):
                continue
            latencies.append(time.perf_counter() - key.data[0])
            key.data[:] = [time.perf_counter(), b""]
            connection.sendall(request)
    print(json.dumps(latencies))


def _is_whole(reply: bytes) -> bool:
    head, found, body = reply.partition(b"\r\n\r\n")
    if not found:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(reply.decode())
    return len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def measure(kind: str, folder: Path) -> dict[str, float]:
    """Start a server, ask it, and return its figures."""
    import psutil

    request_path = folder / f"{kind}.request"
    request_path.write_bytes(request_for(kind, json.loads((folder / "row.json").read_text())))
    me = [sys.executable, __file__]
    with subprocess.Popen([*me, "server", kind, str(folder)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            process = psutil.Process(server.pid)
            ask = [*me, "load", port, str(request_path)]
            subprocess.run([*ask, str(WARM_UP_S)], check=True, capture_output=True, timeout=60)
            time.sleep(SETTLE_S)
            before = process.cpu_times()
            done = subprocess.run([*ask, str(MEASURE_S)], check=True, capture_output=True, text=True, timeout=60)
            time.sleep(SETTLE_S)
            after = process.cpu_times()
        finally:
            server.terminate()
    latencies = sorted(json.loads(done.stdout))
    count = len(latencies)
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "cpu_ms": cpu_s / count * 1e3,
        "rps": count / MEASURE_S,
        "p50_ms": latencies[count // 2] * 1e3,
        "p99_ms": latencies[int(count * 0.99)] * 1e3,
    }


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        figures = {kind: measure(kind, folder) for kind in TITLES}
    peer = figures["fastapi-sklearn"]["cpu_ms"]
    for title, kinds in TABLES.items():
        print(f"\nOne row over HTTP, {CONNECTIONS} connections: {title}")
        print(f"{'server':<54}{'CPU ms/request':>15}{'against FastAPI':>17}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for kind in kinds:
            row = figures[kind]
            print(
                f"{TITLES[kind]:<54}{row['cpu_ms']:>15.3f}{peer / row['cpu_ms']:>15.1f} ×{row['rps']:>9.0f}"
                f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
            )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["server", "fastapi-sklearn", folder_name]:
            fastapi_server(Path(folder_name))
        case ["server", "floor-onnx", folder_name]:
            floor_server(Path(folder_name))
        case ["server", kind_name, folder_name]:
            interlock_server(Path(folder_name), kind_name.removeprefix("interlock-"))
        case ["load", port_text, path_text, seconds_text]:
            load(int(port_text), path_text, float(seconds_text))
        case _:
            main()
