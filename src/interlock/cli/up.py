"""Start the platform: UI, API, serving and triggers in one process."""

from __future__ import annotations

from interlock.cli.noun import Here
from interlock.cli.output import announce
from interlock.server.serve_endpoint import data_plane
from interlock.server.up import PORT, run_up


def up(*, port: int = PORT, host: str = "127.0.0.1", session: Here) -> None:
    """Start the web page, the API, every endpoint and the loop's triggers, until interrupted.

    Args:
        port: Port to listen on; 0 for any free one.
        host: Address to listen on; one beyond this machine needs INTERLOCK_TOKEN.
    """

    def ready(url: str) -> None:
        announce({"url": url}, f"Interlock is at {url}  (Ctrl+C stops it)", as_json=session.as_json)

    run_up(session.uri, host=host, port=port, data_plane=data_plane, on_ready=ready)
