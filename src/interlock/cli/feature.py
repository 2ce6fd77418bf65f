"""List feature views and read their definitions."""

from __future__ import annotations

from cyclopts import App

from interlock.cli.noun import Here, numbered
from interlock.cli.output import Answer, fields, listing, table
from interlock.core.units import human_count, human_seconds
from interlock.workspace import open_workspace

app = App(name="feature", help="List feature views and read their definitions.")


@app.command(name="list")
def list_(*, limit: int = 100, session: Here) -> Answer:
    """List the newest definition of every feature view.

    Args:
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        views = workspace.stores.features.views(limit=limit)
        online = {view.name: workspace.stores.online.count(view.name) for view in views}
    columns = {
        "view": lambda view: view.ref,
        "entity": lambda view: view.entity,
        "features": lambda view: [column.name for column in view.features],
        "keys online": lambda view: human_count(online[view.name]),
    }
    return listing(views, columns, empty="no feature views yet: workspace.features.apply(…) records one")


@app.command
def show(view: str, /, *, session: Here) -> Answer:
    """Show one definition.

    Args:
        view: A Ref (`feature:weather@2`); without a version, the newest.
    """
    name, version = numbered(view, kind="feature")
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.features.get(name, version=version)
    facts = {
        "view": found.ref,
        "entity": found.entity,
        "known at": found.known_at,
        "at most": f"{human_seconds(found.ttl_s)} old" if found.ttl_s is not None else None,
        "source": found.source,
        "description": found.description,
    }
    columns = {
        "feature": lambda column: column.name,
        "type": lambda column: column.type,
        "unit": lambda column: column.unit,
    }
    return Answer(found, (fields(facts), table(found.features, columns)))
