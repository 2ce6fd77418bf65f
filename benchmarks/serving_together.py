"""What it is worth to answer requests together that wait for a slow model: scikit-learn itself, one row each.

The logistic regression of `serving_hot_path.py` is served by scikit-learn instead of its compiled form, once with
requests answered one by one in threads, once together as they wait. Checked and logged, CPU of the server.

    python benchmarks/serving_together.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serving_hot_path import MEASURE_S, SETTLE_S, WARM_UP_S, prepare


def server(folder: Path, together: bool) -> None:
    """Serve the model by scikit-learn."""
    import msgspec

    from interlock.adapters.sklearn.runtime import SklearnRuntime
    from interlock.ports.model_store import ModelVersion
    from interlock.server.hosting import EndpointHost
    from interlock.server.listening import listen
    from interlock.server.serve_app import ServeApp
    from interlock.server.wire.serving import WireServer
    from interlock.serving.loading import ModelLoader
    from interlock.workspace import open_workspace

    with open_workspace(folder / "workspace") as workspace:

        def resolve(ref: str) -> ModelVersion:
            version = workspace.registry.resolve(ref)
            facts = {"one_row_us": 300.0, "rows512_us": 400.0 if together else 150_000.0}
            return msgspec.structs.replace(version, engine="sklearn", facts={**facts, "frame": version.facts["frame"]})

        load = ModelLoader(resolve, workspace.registry.package_folder, [SklearnRuntime()])
        stores = workspace.stores
        with EndpointHost(stores.deployments, stores.journal, load=load, log=stores.predictions) as host:
            listener = listen("127.0.0.1", 0)
            print(listener.getsockname()[1], flush=True)
            WireServer(ServeApp(host)).run(listener)


def measure(folder: Path, together: bool, connections: int) -> str:
    """Return one line of the table."""
    import psutil

    here = Path(__file__)
    kind = "together" if together else "one by one"
    with subprocess.Popen(
        [sys.executable, str(here), "server", str(folder), str(int(together))], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            load = [sys.executable, str(here.with_name("serving_hot_path.py")), "load", port]
            load += [str(folder / "lr.request"), str(connections)]
            subprocess.run([*load, str(WARM_UP_S)], check=True, capture_output=True, timeout=60)
            time.sleep(SETTLE_S)
            before = sum(psutil.Process(process.pid).cpu_times()[:2])
            done = subprocess.run([*load, str(MEASURE_S)], check=True, capture_output=True, text=True, timeout=60)
            time.sleep(SETTLE_S)
            cpu_s = sum(psutil.Process(process.pid).cpu_times()[:2]) - before
        finally:
            process.terminate()
    latencies = sorted(json.loads(done.stdout))
    count = len(latencies)
    p50, p99 = latencies[count // 2] * 1e3, latencies[int(count * 0.99)] * 1e3
    return f"{kind:<12}{connections:>12}{cpu_s / count * 1e3:>15.3f}{count / MEASURE_S:>9.0f}{p50:>9.2f}{p99:>9.2f}"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        print(f"{'requests':<12}{'connections':>12}{'CPU ms/request':>15}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for connections in (1, 16, 64):
            for together in (False, True):
                print(measure(folder, together, connections), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["server"]:
        server(Path(sys.argv[2]), sys.argv[3] == "1")
    else:
        main()
