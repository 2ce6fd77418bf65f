"""See where each station of the loop stands."""

from __future__ import annotations

from cyclopts import App

from interlock.cli.noun import Here
from interlock.cli.output import Answer, listing
from interlock.workspace import open_workspace

app = App(name="loop", help="See where each station of the loop stands.")


@app.command(name="status")
def status_(*, session: Here) -> Answer:
    """Show every station: its state, its headline, its last event."""
    with open_workspace(session.uri, create=False) as workspace:
        stations = workspace.loop.stations()
    columns = {
        "loop": lambda station: station.loop,
        "station": lambda station: station.title,
        "state": lambda station: station.state,
        "stands at": lambda station: station.headline,
        "last event": lambda station: station.last.kind if station.last else None,
        "when": lambda station: station.last.time if station.last else None,
    }
    return listing(stations, columns, empty="this workspace has no stations")
