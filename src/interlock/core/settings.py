"""Read what the environment and the folder say about which workspace to use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

FOLDER = ".interlock"
PROJECT_VARIABLE = "INTERLOCK_PROJECT"
"""Names the folder of the code, where that is not beside the workspace."""
REPRODUCES_VARIABLE = "INTERLOCK_REPRODUCES"
"""Ref of the run that the runs of this process are to reproduce; they get it as the tag `reproduces`."""


def find_workspace_uri(start: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Choose a workspace: `INTERLOCK_URI`, else `.interlock` here or above, else `.interlock` here.

    The folder is found upwards like `.git`; it need not exist yet.
    """
    env = os.environ if environ is None else environ
    uri = env.get("INTERLOCK_URI", "").strip()
    if uri:
        return uri
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return str(folder / FOLDER)
    return str(here / FOLDER)
