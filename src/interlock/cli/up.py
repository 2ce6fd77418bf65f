"""Start the platform: UI, API, serving and triggers in one process."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from interlock.cli.noun import Here
from interlock.cli.output import announce
from interlock.server.mlflow_ui import PLACE
from interlock.server.serve_endpoint import data_plane
from interlock.server.up import PORT, run_up


def up(
    *,
    port: int = PORT,
    host: str = "127.0.0.1",
    mlflow_ui: Path | None = None,
    grpc_port: int | None = None,
    session: Here,
) -> None:
    """Start the web page, the API, every endpoint and the loop's triggers, until interrupted.

    Args:
        port: Port to listen on; 0 for any free one.
        host: Address to listen on; one beyond this machine needs INTERLOCK_TOKEN.
        mlflow_ui: Folder of a Python environment with MLflow; its own web interface is then at /mlflow/.
        grpc_port: Port on which endpoints answer gRPC too (Triton's is 8001); 0 for any free one.
    """
    grpc: dict[str, str] = {}

    def ready(url: str) -> None:
        words = f"Interlock is at {url}  (Ctrl+C stops it)"
        found = {"url": url, **grpc}
        words += "".join(f"\ngRPC is answered at {place}" for place in grpc.values())
        if mlflow_ui is not None:
            found["mlflow_ui"] = f"{url}{PLACE}/"
            words += f"\nMLflow's own interface is at {found['mlflow_ui']}"
        announce(found, words, as_json=session.as_json)

    plane = partial(data_plane, grpc_port=grpc_port, grpc_host=host, on_grpc=lambda place: grpc.update(grpc=place))
    run_up(session.uri, host=host, port=port, data_plane=plane, mlflow_ui=mlflow_ui, on_ready=ready)
