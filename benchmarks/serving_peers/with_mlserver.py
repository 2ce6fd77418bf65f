"""Write the two settings files that `mlserver start` reads; all is left as it is by default but the ports.

With `uvloop` 0.22 or newer the default (`parallel_workers` 1) loads no model, so the environment has an older one.
"""

import json
import sys
from pathlib import Path

source, target, port, grpc_port, metrics_port, workers = sys.argv[1:]
folder = Path(target)
folder.mkdir(parents=True, exist_ok=True)
settings = {
    "host": "127.0.0.1",
    "http_port": int(port),
    "grpc_port": int(grpc_port),
    "metrics_port": int(metrics_port),
}
if workers != "default":
    settings["parallel_workers"] = int(workers)
(folder / "settings.json").write_text(json.dumps(settings))
model = {"name": "served", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": source}}
(folder / "model-settings.json").write_text(json.dumps(model))
