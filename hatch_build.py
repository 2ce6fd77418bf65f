"""Build the web interface before the package is packed or installed, if that has not been done already."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class UiBuildHook(BuildHookInterface[Any]):
    """Bring `src/interlock/server/ui/dist` up to date with `ui/`; a wheel, an sdist and an editable install need it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build unless what is there was built from the present sources."""
        ui = runpy.run_path(str(Path(self.root) / "ui" / "build.py"))
        if ui["is_fresh"]():
            return
        try:
            ui["build"]()
        except ui["BuildFailed"] as error:
            self.app.abort(f"error: {error}")
