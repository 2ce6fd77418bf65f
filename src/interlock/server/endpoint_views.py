"""What the page of an endpoint reads while it is open: its traffic of the last hour, and its newest predictions."""

from __future__ import annotations

import msgspec


class TrafficMinute(msgspec.Struct, frozen=True):
    """What an endpoint was asked in one minute.

    Args:
        at: When the minute began. Unit: seconds since 1970 UTC.
        requests: Requests that were answered.
        rows: Rows in them.
        failures: Requests that failed.
        p50_ms: Half of the requests took no longer; None where there were none.
        p90_ms: Nine of ten took no longer.
        p99_ms: Ninety-nine of a hundred took no longer.
    """

    at: int
    requests: int
    rows: int
    failures: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class VersionTraffic(msgspec.Struct, frozen=True):
    """What one version did in one role since it was first served here.

    Args:
        model: Its Ref.
        role: Its role.
        requests: Requests that it answered.
        rows: Rows in them.
        failures: Requests that it failed.
        problem: The last failure in words.
        p50_ms: Half of the requests took no longer; None where there were none.
        p90_ms: Nine of ten took no longer.
        p99_ms: Ninety-nine of a hundred took no longer.
    """

    model: str
    role: str
    requests: int
    rows: int
    failures: int
    problem: str
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class EndpointTraffic(msgspec.Struct, frozen=True):
    """`GET /api/v1/endpoints/{name}/traffic`: the last hour by minutes, and all so far by versions.

    Args:
        minutes: Oldest first; minutes without requests are there too.
        versions: The busiest first.
        url: Where a process answers for the endpoint, if one does.
    """

    minutes: tuple[TrafficMinute, ...]
    versions: tuple[VersionTraffic, ...]
    url: str | None
