"""Tell the time, always aware and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from interlock.core.errors import InvalidInput

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Anything that can say what time it is."""

    def now(self) -> datetime:
        """Return the present as an aware UTC time."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present as an aware UTC time."""
        return datetime.now(UTC)


class FrozenClock:
    """A clock that stands still until it is moved; for tests and replays.

    Example:
        >>> clock = FrozenClock(datetime(2013, 1, 1, tzinfo=UTC))
        >>> clock.advance(60).isoformat()
        '2013-01-01T00:01:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = aware(start)

    def now(self) -> datetime:
        """Return the time at which the clock stands."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Move the clock to a moment."""
        self._now = aware(moment)

    def advance(self, seconds: float) -> datetime:
        """Move the clock forward and return the new time."""
        self._now += timedelta(seconds=seconds)
        return self._now


def aware(moment: datetime) -> datetime:
    """Return the moment in UTC; a naive time is refused."""
    if moment.tzinfo is None:
        raise InvalidInput(
            f"the time {moment.isoformat()} has no time zone",
            why="every time in Interlock is aware and in UTC",
            fix="datetime(..., tzinfo=UTC)",
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput(
            f"the time {moment.isoformat()} cannot be kept", why="in UTC it lies outside the years 1 to 9999"
        ) from error


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC, exactly."""
    return (aware(moment) - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time for microseconds since 1970-01-01."""
    return EPOCH + micros * _MICROSECOND
