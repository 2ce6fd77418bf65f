"""List registered models, their versions, cards, aliases and verdicts."""

from __future__ import annotations

from cyclopts import App

from interlock.cli.noun import Here, name_of, numbered
from interlock.cli.output import Answer, Table, fields, listing, table
from interlock.core.errors import InvalidInput
from interlock.core.units import human_bytes
from interlock.ports.model_store import ModelVersion
from interlock.workspace import open_workspace

app = App(name="model", help="List versions, cards, aliases and verdicts.")
app.command("interlock.cli.explaining:explain", name="explain", help="Say what each column contributed.")


@app.command(name="list")
def list_(model: str | None = None, /, *, limit: int = 100, session: Here) -> Answer:
    """List models, or the versions of one.

    Args:
        model: List the versions of this model, newest first.
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        store = workspace.stores.models
        name = name_of(model, kind="model") if model else None
        versions = store.versions(name, limit=limit) if name else store.models(limit=limit)
        aliases = {each: store.aliases(each) for each in {version.model for version in versions}}

    def names(version: ModelVersion) -> list[str]:
        return sorted(alias for alias, number in aliases[version.model].items() if number == version.version)

    columns = {
        "version": lambda version: version.ref,
        "aliases": names,
        "made with": lambda version: version.flavor,
        "served by": lambda version: version.engine,
        "registered": lambda version: version.created_at,
        "metrics": lambda version: dict(sorted(version.metrics.items())[:3]),
    }
    return listing(versions, columns, empty="no models yet: interlock demo, or workspace.registry.register(…)")


@app.command
def show(model: str, /, *, session: Here) -> Answer:
    """Show one version: its signature, metrics, facts and files.

    Args:
        model: Its Ref: a number, an alias, or the newest (`model:delay@champion`).
    """
    with open_workspace(session.uri, create=False) as workspace:
        version = workspace.registry.resolve(model)
        aliases = workspace.stores.models.aliases(version.model)
    blocks: list[str | Table] = [
        fields(
            {
                "version": version.ref,
                "aliases": sorted(alias for alias, number in aliases.items() if number == version.version),
                "made with": version.flavor,
                "served by": version.engine,
                "trained in": f"run:{version.run}" if version.run else None,
                "registered": version.created_at,
                **{f"metric {key}": value for key, value in sorted(version.metrics.items())},
                **{f"fact {key}": value for key, value in sorted(version.facts.items())},
            }
        )
    ]
    columns = {"name": lambda column: column.name, "type": lambda column: column.type}
    blocks.append(table(version.signature.inputs, columns, caption="Takes"))
    blocks.append(table(version.signature.outputs, columns, caption="Gives"))
    sizes = {"file": lambda file: file.path, "size": lambda file: human_bytes(file.size_bytes)}
    blocks.append(table(version.files, sizes))
    return Answer({"version": version, "aliases": aliases}, tuple(blocks))


@app.command
def card(model: str, /, *, session: Here) -> Answer:
    """Print the card of a version, in Markdown.

    Args:
        model: Its Ref.
    """
    with open_workspace(session.uri, create=False) as workspace:
        version = workspace.registry.resolve(model)
        text = workspace.registry.card(version)
    return Answer({"version": version.ref, "card": text}, (text.rstrip("\n"),))


@app.command
def alias(model: str, name: str | None = None, /, *, remove: bool = False, reason: str = "", session: Here) -> Answer:
    """Point an alias at a version, or take it away; without a name, print how the aliases moved.

    Args:
        model: The version (`model:delay@7`); with --remove, the model.
        name: The alias (`champion`).
        remove: Take the alias away.
        reason: Why; kept for ever.
    """
    model_name, number = numbered(model, kind="model")
    with open_workspace(session.uri, create=False) as workspace:
        store = workspace.stores.models
        if name is None:
            moves = store.alias_history(model_name)
        elif number is None and not remove:
            raise InvalidInput(
                f"'{model}' names no version",
                why="an alias points at one",
                fix=f"interlock model alias model:{model_name}@NUMBER {name}",
            )
        else:
            moves = [store.set_alias(model_name, name, version=None if remove else number, reason=reason)]
    columns = {
        "time": lambda move: move.time,
        "alias": lambda move: move.alias,
        "from": lambda move: move.previous,
        "to": lambda move: move.version,
        "verdict": lambda move: f"verdict:{move.verdict}" if move.verdict else None,
        "reason": lambda move: move.reason,
    }
    return listing(moves, columns, empty=f"no alias of '{model_name}' was ever set")


@app.command
def verdicts(model: str, /, *, limit: int = 20, session: Here) -> Answer:
    """List what the gate said of a model's candidates, newest first.

    Args:
        model: Its name or Ref.
        limit: At most so many.
    """
    name = name_of(model, kind="model")
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.models.verdicts(model=name, limit=limit)
    columns = {
        "verdict": lambda verdict: f"verdict:{verdict.id}",
        "time": lambda verdict: verdict.created_at,
        "candidate": lambda verdict: verdict.candidate,
        "champion": lambda verdict: verdict.champion,
        "passed": lambda verdict: verdict.passed,
        "reason": lambda verdict: verdict.reason,
    }
    return listing(found, columns, empty=f"the gate has said nothing about '{name}' yet")
