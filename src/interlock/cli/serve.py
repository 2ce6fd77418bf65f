"""Serve one endpoint or one model over HTTP, and nothing else."""

from __future__ import annotations

from interlock.cli.noun import Here
from interlock.cli.output import announce
from interlock.server.serve_endpoint import PORT, run_serve


def serve(ref: str, /, *, port: int = PORT, host: str = "127.0.0.1", session: Here) -> None:
    """Answer predictions over HTTP until interrupted: Open Inference Protocol v2 and MLflow's /invocations.

    An endpoint is followed as its routing changes; a model version is served as it is.

    Args:
        ref: An endpoint (`endpoint:delay`) or a model (`model:delay@champion`).
        port: Port to listen on; 0 for any free one.
        host: Address to listen on; one beyond this machine needs INTERLOCK_TOKEN.
    """

    def ready(url: str) -> None:
        announce({"url": url, "ref": ref}, f"{ref} answers at {url}", as_json=session.as_json)

    run_serve(ref, session.uri, host=host, port=port, on_ready=ready)
