"""Answer about registered models: lists, and one model with its versions, moves and verdicts."""

from __future__ import annotations

import msgspec

from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import ModelDetail, ModelSummary


class ModelsQuery(msgspec.Struct, frozen=True):
    """Which models to list; `after` is the name that ended the last page."""

    after: str = ""
    limit: Limit = 100


def list_models(source: Source, query: ModelsQuery) -> list[ModelSummary]:
    """List models by name, each with its newest version and its aliases."""
    models = source.stores.models
    return [
        ModelSummary(name=newest.model, newest=newest, aliases=models.aliases(newest.model))
        for newest in models.models(after=query.after, limit=query.limit)
    ]


def get_model(source: Source, query: NoQuery, *, name: str) -> ModelDetail:
    """Return a model with its versions, its aliases and how they moved, its verdicts and its newest card."""
    models = source.stores.models
    newest = models.get(name)
    return ModelDetail(
        name=name,
        versions=tuple(models.versions(name)),
        aliases=models.aliases(name),
        moves=tuple(models.alias_history(name)),
        verdicts=tuple(models.verdicts(model=name)),
        card=source.stores.artifacts.get(newest.card).decode("utf-8", errors="replace") if newest.card else None,
    )


VIEWS = (
    View(path="/models", read=list_models, query=ModelsQuery),
    View(path="/models/{name}", read=get_model),
)
