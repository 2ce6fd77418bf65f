"""Turn what filters say of an attribute into what is stored: dates, milliseconds, states, paths."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from interlock.core.clock import to_micros
from interlock.core.errors import InvalidInput
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Operator
from interlock.ports.search_fields import Attribute

NOTHING = AnyOf(())
"""The filter that no record matches."""

_FARTHEST_US = 2**62
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_LISTS = ("IN", "NOT IN")
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "IN": lambda value, choices: value in choices,
    "NOT IN": lambda value, choices: value not in choices,
    "LIKE": lambda value, pattern: is_like(value, pattern),
    "ILIKE": lambda value, pattern: is_like(value.translate(_LOWER), pattern.translate(_LOWER)),
}
"""What each comparison with a value means; `ILIKE` takes A to Z for a to z."""


def compared_attribute(attribute: Attribute, operator: Operator, value: Any) -> Filter:
    """Return what a comparison means, of an attribute that filters may spell otherwise than it is stored.

    Raises:
        InvalidInput: The value does not fit.
    """
    field = Field("attribute", attribute.key)
    if attribute.words:
        return _one_of_words(attribute, field, operator, value)
    if attribute.before:
        return _end_of_path(attribute, field, operator, value)
    if attribute.kind == "time":
        if isinstance(value, str):
            return Compare(field, operator, _moment(attribute, value))
        return _time(field, operator, value, attribute.unit_us)
    if attribute.kind == "number":
        texts = value if operator in _LISTS else (str(value),)
        if not all(one.isascii() and one.removeprefix("-").isdigit() and len(one) <= 18 for one in texts):
            raise InvalidInput(f"Invalid value for numeric attribute '{attribute.key}': {value!r:.80}")
        return Compare(field, operator, value if operator in _LISTS else int(value))
    return Compare(field, operator, value)


def is_like(text: str, pattern: str) -> bool:
    """Say whether a text has the form of a pattern, in which `%` is any text and `_` any one character.

    Cost: the length of the text times that of the pattern, whatever they are.

    Example:
        >>> is_like("train_07.py", "train%.py"), is_like("Train.py", "train%"), is_like("ab", "_")
        (True, False, False)
    """
    at = begin = retry = 0
    star = -1
    while at < len(text):
        if begin < len(pattern) and pattern[begin] == "%":
            star, retry = begin, at
            begin += 1
        elif begin < len(pattern) and pattern[begin] in ("_", text[at]):
            at += 1
            begin += 1
        elif star >= 0:
            retry += 1
            at, begin = retry, star + 1
        else:
            return False
    return all(one == "%" for one in pattern[begin:])


def _one_of_words(attribute: Attribute, field: Field, operator: Operator, value: Any) -> Filter:
    found = tuple(stored for word, stored in attribute.words.items() if COMPARE[operator](word, value))
    if len(found) == 1:
        return Compare(field, "=", found[0])
    return Compare(field, "IN", found) if found else NOTHING


def _end_of_path(attribute: Attribute, field: Field, operator: Operator, value: Any) -> Filter:
    """Compare the last part of a path before what always follows, since the rest is the same for all."""
    if operator in ("LIKE", "ILIKE"):
        if "/" in value:
            raise InvalidInput(
                f"{operator} '{value:.80}' cannot be searched for", why="expected a part of a run's id, without '/'"
            )
        return Compare(field, operator, value) if value[:1] == value[-1:] == "%" else NOTHING
    paths = value if operator in _LISTS else (value,)
    ends = tuple(
        one.removesuffix(attribute.before).rpartition("/")[2] for one in paths if one.endswith(attribute.before)
    )
    if ends:
        return Compare(field, operator, ends if operator in _LISTS else ends[0])
    return NOTHING if operator in ("=", "IN") else Compare(field, "IS NOT NULL")


def _moment(attribute: Attribute, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"Expected numeric value type for numeric attribute: {attribute.key}. Found '{text:.80}'",
            why="expected a number, or a time such as '2026-07-28' or '2026-07-28T09:30:00+02:00'",
        ) from error
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _time(field: Field, operator: Operator, value: float, unit_us: int) -> Filter:
    """Compare a time that is read in whole units, so that 5 ms is every time from 5,000 µs up to 6,000."""
    if unit_us == 1:
        return Compare(field, operator, value)
    far = _FARTHEST_US // unit_us
    number = max(-far, min(far, value))
    whole = math.floor(number) == number
    begin = math.ceil(number) * unit_us
    end = (math.floor(number) + 1) * unit_us
    at_least, below = Compare(field, ">=", begin), Compare(field, "<", begin)
    after, up_to = Compare(field, ">=", end), Compare(field, "<", end)
    if operator == "=":
        return AllOf((at_least, up_to)) if whole else NOTHING
    if operator == "!=":
        return AnyOf((below, after)) if whole else Compare(field, "IS NOT NULL")
    return {">=": at_least, ">": after, "<": below, "<=": up_to}[operator]
