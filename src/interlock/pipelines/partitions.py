"""Name the partitions of a backfill: days, weeks, months or hours between two moments, or a list."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

from interlock.core.errors import InvalidInput

_SPAN = re.compile(r"(\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d)?)?)\.\.(\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d)?)?)")
_MOST = 100_000


def partitions(text: str, *, every: str = "day") -> list[str]:
    """List the values of one argument that a backfill goes through, in order.

    Args:
        text: `2026-01-01..2026-01-31` (both ends belong to it), or a list `a,b,c`.
        every: `hour`, `day`, `week` or `month`, for the first form.

    Raises:
        InvalidInput: It is neither, runs backwards, or has more than 100,000 values.

    Example:
        >>> partitions("2026-01-30..2026-03-01", every="month")
        ['2026-01-30', '2026-02-28']
        >>> partitions("eu,us")
        ['eu', 'us']
    """
    span = _SPAN.fullmatch(text.strip())
    if span is None:
        values = [one.strip() for one in text.split(",") if one.strip()]
        if not values or ".." in text:
            raise InvalidInput(
                f"'{text}' names no partitions", why="expected FROM..TO or a list", fix="2026-01-01..2026-01-31"
            )
        return values
    if every not in _STEPS:
        raise InvalidInput(f"every '{every}'", why=f"expected one of {', '.join(_STEPS)}")
    try:
        first, last = (datetime.fromisoformat(one) for one in span.groups())
    except ValueError as error:
        raise InvalidInput(f"'{text}' names no partitions", why=str(error)) from error
    if last < first:
        raise InvalidInput(
            f"'{text}' runs backwards", why=f"{span[2]} is before {span[1]}", fix=f"{span[2]}..{span[1]}"
        )
    found: list[str] = []
    while (moment := _STEPS[every](first, len(found))) <= last:
        found.append(moment.isoformat(timespec="minutes") if every == "hour" else moment.date().isoformat())
        if len(found) > _MOST:
            raise InvalidInput(f"'{text}' has too many partitions", why=f"over {_MOST:,}", fix="--every month")
    return found


def _months_later(first: datetime, count: int) -> datetime:
    """Return the same day some months later, or the last of that month where it is shorter."""
    years, month = divmod(first.month - 1 + count, 12)
    beyond = date(first.year + years + (month == 11), (month + 1) % 12 + 1, 1)
    return first.replace(year=first.year + years, month=month + 1, day=min(first.day, (beyond - timedelta(days=1)).day))


_STEPS: dict[str, Callable[[datetime, int], datetime]] = {
    "hour": lambda first, count: first + timedelta(hours=count),
    "day": lambda first, count: first + timedelta(days=count),
    "week": lambda first, count: first + timedelta(weeks=count),
    "month": _months_later,
}
