"""Read the searches of models and versions, in which prompts, models too, are found only where they are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.search_fields import Searchable
from interlock.ports.search_grammar import parse_filter, parse_order
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.registered import IS_PROMPT
from interlock.server.mlflow.wire import invalid

_PROMPT = Compare(Field("tag", IS_PROMPT), "=", "true")


def checked_limit(limit: int, *, most: int) -> int:
    """Return how many make a page, if that many may."""
    if limit < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {limit}")
    if limit > most:
        raise invalid(invalid_value("max_results", limit, f"It must be at most {most}."))
    return limit


def with_prompts_hidden(
    where: str | None, order: Iterable[str] | None, of: Searchable
) -> tuple[Filter | None, tuple[OrderBy, ...]]:
    """Read a filter and an order; the filter leaves prompts out unless it asks for them.

    Whatever is no prompt has no tag that says so. So `!= 'true'` and `= 'false'` mean what has not the tag.
    """
    found = parse_filter(where, of)
    by = parse_order(order or (), of)
    if found is None:
        return Not(_PROMPT), by
    asked = _asks(found)
    found = _restated(found)
    return (found if asked else AllOf((found, Not(_PROMPT)))), by


def _asks(where: Filter) -> bool:
    if isinstance(where, Compare):
        return _about_prompts(where) is True
    if isinstance(where, Not):
        return _asks(where.clause)
    return any(map(_asks, where.clauses))


def _restated(where: Filter) -> Filter:
    if isinstance(where, Compare):
        about = _about_prompts(where)
        return where if about is None else _PROMPT if about else Not(_PROMPT)
    if isinstance(where, Not):
        return Not(_restated(where.clause))
    clauses = tuple(map(_restated, where.clauses))
    return AnyOf(clauses) if isinstance(where, AnyOf) else AllOf(clauses)


def _about_prompts(where: Compare) -> bool | None:
    """Say whether a comparison means prompts (True) or everything else (False); None where it is about another tag."""
    if where.field != _PROMPT.field or where.operator not in ("=", "!=") or not isinstance(where.value, str):
        return None
    said = {"true": True, "false": False}.get(where.value.lower())
    return said if said is None or where.operator == "=" else not said
