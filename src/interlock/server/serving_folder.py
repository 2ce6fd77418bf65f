"""Say where the serving processes of a workspace keep what they tell each other on this machine."""

from __future__ import annotations

from pathlib import Path

from interlock.workspace import Workspace

ACCESS_FILE = "access.log"
"""The access log's name there, where no other file is named for it."""


def serving_folder(workspace: Workspace) -> Path | None:
    """Return the folder; None for a workspace in memory, which no other process sees."""
    return None if workspace.uri.startswith("memory:") else workspace.folder / "serving"
