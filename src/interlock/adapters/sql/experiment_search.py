"""Find experiments."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.search_layout import Layout, Rows
from interlock.adapters.sql.searching import find
from interlock.ports.search import Filter, Lifecycle, OrderBy
from interlock.ports.search_fields import EXPERIMENTS

LAYOUT = Layout(
    EXPERIMENTS,
    "experiments",
    "id",
    {"id": "r.id", "name": "r.name", "created_at": "r.created", "updated_at": "r.updated"},
    {"tag": Rows("experiment_tags", "experiment", {"": "value"})},
    deleted="deleted",
)


def search_experiments(
    database: Database,
    *,
    where: Filter | None,
    order: Sequence[OrderBy],
    lifecycle: Lifecycle,
    limit: int,
    after: str | None,
) -> tuple[list[int], str | None]:
    """Return the ids of one page of experiments in order, and what to pass as `after` for the next."""
    return find(
        database,
        database.dialect,
        LAYOUT,
        where=where,
        order=order,
        lifecycle=lifecycle,
        limit=limit,
        after=after,
    )
