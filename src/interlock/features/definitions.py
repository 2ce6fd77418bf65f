"""Check that a feature view's definition makes sense and that its source fits it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.refs import check_name
from interlock.core.schema import ColumnType
from interlock.ports.feature_store import FeatureView


def check_view(view: FeatureView) -> None:
    """Check what a definition says of itself.

    Raises:
        InvalidInput: It lacks an entity, features or `known_at`, or uses a column twice.
    """
    check_name(view.name, of="feature")
    if not view.known_at:
        raise InvalidInput(
            f"the feature view '{view.name}' does not say when its rows became known",
            why="without known_at a join would let the future leak into a row",
            fix='FeatureView(..., known_at="<the column with the time at which the row was known>")',
        )
    if not view.entity:
        raise InvalidInput(f"the feature view '{view.name}' has no entity", why="expected the key columns of its rows")
    if not view.features:
        raise InvalidInput(f"the feature view '{view.name}' has no features", why="expected at least one column")
    names = [*view.entity, view.known_at, *(feature.name for feature in view.features)]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(
                f"the feature view '{view.name}' uses the column '{name}' twice",
                why="entity, known_at and features are different columns",
                fix=f"copy '{name}' under another name in the source",
            )
    if view.ttl_s is not None and not view.ttl_s > 0:
        raise InvalidInput(
            f"the feature view '{view.name}' has a ttl of {view.ttl_s} s",
            why="expected a positive number of seconds, or None for no limit",
        )


def check_source(view: FeatureView, schema: pa.Schema) -> None:
    """Check that a table can be the source of a view.

    Raises:
        SchemaMismatch: A column is missing or of another type, or `known_at` holds no times with a zone.
    """
    where = f"the source of feature view '{view.name}'"
    for name in (*view.entity, view.known_at):
        _field(schema, name, where)
    kind = schema.field(view.known_at).type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        raise SchemaMismatch(
            f"the column '{view.known_at}' in {where} holds no times with a zone",
            why=f"expected times in UTC, got {kind}",
            fix=f'pc.assume_timezone(table["{view.known_at}"], "UTC")'
            if pa.types.is_timestamp(kind)
            else f"name a column of times instead of '{view.known_at}'",
        )
    for feature in view.features:
        got = logical_type(_field(schema, feature.name, where).type)
        if got != feature.type:
            raise SchemaMismatch(
                f"the column '{feature.name}' in {where} has another type",
                why=f"expected {feature.type}, got {_field(schema, feature.name, where).type}",
                fix=f'Column("{feature.name}", "{got}")' if got else f"cast '{feature.name}' to {feature.type}",
            )


def check_names(views: Sequence[FeatureView]) -> None:
    """Check that no two views have a feature of one name.

    Raises:
        InvalidInput: Two have.
    """
    owner: dict[str, str] = {}
    for view in views:
        for feature in view.features:
            if feature.name in owner:
                raise InvalidInput(
                    f"the feature '{feature.name}' is in view '{owner[feature.name]}' and in view '{view.name}'",
                    why="beside each other, all features have names of their own",
                    fix=f"rename it in the source of '{view.name}', as in '{view.name}_{feature.name}'",
                )
            owner[feature.name] = view.name


def logical_type(kind: pa.DataType) -> ColumnType | None:
    """Return the logical type of an Arrow type, or None if features cannot have it."""
    is_ = pa.types
    if is_.is_boolean(kind):
        return "boolean"
    if is_.is_integer(kind):
        return "long"
    if is_.is_floating(kind):
        return "double"
    if is_.is_string(kind) or is_.is_large_string(kind):
        return "string"
    if is_.is_timestamp(kind):
        return "datetime"
    if is_.is_binary(kind) or is_.is_large_binary(kind):
        return "binary"
    return None


def _field(schema: pa.Schema, name: str, where: str) -> pa.Field:
    if name not in schema.names:
        raise SchemaMismatch(f"{where} has no column '{name}'", why=did_you_mean(name, schema.names))
    return schema.field(name)
