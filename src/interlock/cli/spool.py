"""Let MLflow clients survive an outage of their tracking server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from interlock.cli.noun import Here
from interlock.cli.output import Answer, announce, fields
from interlock.core.errors import InvalidInput
from interlock.core.units import human_bytes, human_count, human_seconds
from interlock.server.spool.running import MAX_BYTES, PORT, run_spool
from interlock.server.spool.status import SpoolStatus, read_status

FOLDER = Path(".interlock") / "spool"


def spool(
    *,
    to: str = "",
    port: int = PORT,
    max_bytes: int = MAX_BYTES,
    retry_refused: bool = False,
    status: bool = False,
    session: Here,
) -> Answer | None:
    """Acknowledge MLflow writes at a local address, and forward them to the tracking server when that is there.

    Point clients at the address: export MLFLOW_TRACKING_URI=http://127.0.0.1:5001. What waits lies in --dir
    (~/.interlock/spool unless given).

    Args:
        to: The tracking server, as clients would be given it.
        port: Port to listen on; 0 for any free one.
        max_bytes: How large the folder may become; then writes are refused, never dropped.
        retry_refused: Send once more what the server refused.
        status: Say how the spool stands, and end.
    """
    folder = Path(session.uri).expanduser() if session.uri else Path.home() / FOLDER
    if status:
        found = read_status(folder)
        return Answer(found, (_sentence(found), fields(_shown(found))))
    if not to:
        raise InvalidInput(
            "a spool needs to know where to forward to",
            why="--to is not given",
            fix="interlock spool --to http://127.0.0.1:5000",
        )

    def ready(url: str) -> None:
        announce(
            {"url": url, "to": to, "folder": str(folder)},
            f"MLflow clients can log to {url}; it goes to {to}, through {folder} while that is away",
            as_json=session.as_json,
        )

    run_spool(to, folder, port=port, max_bytes=max_bytes, retry_refused=retry_refused, on_ready=ready)
    return None


def _sentence(status: SpoolStatus) -> str:
    server = {"there": "is there", "away": "is away", "unknown": "is not looked at: no spool runs here"}
    waiting = f"{human_count(status.waiting)} writes wait" if status.waiting else "nothing waits"
    return f"{status.to} {server[status.upstream]}; {waiting}."


def _shown(status: SpoolStatus) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "away for": human_seconds((now - status.away_since).total_seconds()) if status.away_since else None,
        "trouble": status.trouble,
        "waiting": human_count(status.waiting),
        "oldest": human_seconds((now - status.oldest_at).total_seconds()) if status.oldest_at else None,
        "forwarded": human_count(status.forwarded),
        "refused": f"{human_count(status.refused)} in {status.refused_file}" if status.refused else None,
        "folder": f"{status.folder} ({human_bytes(status.size_bytes)})",
    }
