"""Pick the newest row of every key, and judge whether a stored one is still fresh."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.ports.feature_store import FeatureView, OnlineRow

_POSITION = "__position__"


def newest_rows(view: FeatureView, table: pa.Table) -> list[OnlineRow]:
    """Return the newest row of each key by `known_at`; ties go to the last row of the table.

    Rows without a time or with an incomplete key name nothing that could be looked up and are left out.
    """
    rows = table.select([*view.entity, view.known_at, *(feature.name for feature in view.features)])
    rows = rows.filter(_complete(rows, (*view.entity, view.known_at)))
    rows = rows.append_column(_POSITION, pa.array(np.arange(rows.num_rows)))
    rows = rows.sort_by([(view.known_at, "ascending"), (_POSITION, "ascending")])
    rows = rows.set_column(rows.num_columns - 1, _POSITION, pa.array(np.arange(rows.num_rows)))
    last = rows.group_by(list(view.entity)).aggregate([(_POSITION, "max")]).column(f"{_POSITION}_max")
    rows = rows.take(last)
    keys = zip(*(rows.column(name).to_pylist() for name in view.entity), strict=True)
    times = rows.column(view.known_at).cast(pa.timestamp("us", tz="UTC")).to_pylist()
    names = [feature.name for feature in view.features]
    values = zip(*(rows.column(name).to_pylist() for name in names), strict=True)
    return [
        OnlineRow(key, known_at, dict(zip(names, row, strict=True)))
        for key, known_at, row in zip(keys, times, values, strict=True)
    ]


def key_of(view: FeatureView, entity: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the key of an entity in a view.

    Raises:
        InvalidInput: The entity lacks one of the view's key columns.
    """
    for name in view.entity:
        if name not in entity:
            raise InvalidInput(
                f"the entity lacks '{name}', a key of feature view '{view.name}'",
                why=did_you_mean(name, entity),
                fix="{" + ", ".join(f'"{key}": …' for key in view.entity) + "}",
            )
    return tuple(entity[name] for name in view.entity)


def values_at(view: FeatureView, row: OnlineRow | None, at: datetime) -> dict[str, Any]:
    """Return a view's features as a stored row gives them at a moment: null if absent, too old or not yet known."""
    stored: dict[str, Any] = {}
    if row is not None and row.known_at <= at:
        limit = None if view.ttl_s is None else timedelta(seconds=view.ttl_s)
        stored = row.values if limit is None or at - row.known_at <= limit else {}
    return {feature.name: stored.get(feature.name) for feature in view.features}


def _complete(rows: pa.Table, names: tuple[str, ...]) -> pa.ChunkedArray:
    mask = pc.is_valid(rows.column(names[0]))
    for name in names[1:]:
        mask = pc.and_(mask, pc.is_valid(rows.column(name)))
    return mask
