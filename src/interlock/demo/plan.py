"""Say what the demo uses: names, times, rules, views, monitors and policies, in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from interlock.core.schema import Column
from interlock.data.rules import Rule, expression, in_range, not_null, unique
from interlock.loop.gates import GatePolicy
from interlock.loop.retraining import RetrainPolicy
from interlock.loop.rollouts import RolloutPolicy
from interlock.ports.feature_store import FeatureView
from interlock.ports.monitor_store import Monitor

MODEL = ENDPOINT = "delay"
EXPERIMENT = "flight-delay"
FEATURES, TRAINING = "flight-features", "delay-training"
RECIPE = "interlock.demo.recipe:retrain"
ASKED_BEFORE = timedelta(hours=1)
"""A flight is asked about this long before its scheduled departure; nothing later may be known."""

YEAR = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HOLD_BACK = timedelta(days=14)


class Span(msgspec.Struct, frozen=True):
    """The periods of one demo.

    Args:
        months: How many months of 2013 are read.
        split: Training data ends and held-back data begins.
        live: Held-back data ends and the replay begins.
        end: The replay ends.
    """

    months: int
    split: datetime
    live: datetime
    end: datetime


FULL = Span(12, datetime(2013, 1, 22, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
QUICK = Span(2, datetime(2013, 1, 22, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))

FLIGHT_RULES: tuple[Rule, ...] = (
    unique("flight_id"),
    not_null("carrier"),
    in_range("distance", 1, 6000),
    in_range("air_time", 10, 900),
    in_range("dep_delay", -120, 1440),
    expression("departed IS NULL OR arr_delay IS NOT NULL", name="a flight that left also arrived"),
)
WEATHER_RULES: tuple[Rule, ...] = (
    unique("origin", "observed"),
    in_range("wind_speed", 0, 120),
    in_range("temp", -40, 130),
    in_range("pressure", 900, 1100),
)
PLANE_RULES: tuple[Rule, ...] = (
    unique("tailnum"),
    not_null("year"),
    in_range("year", 1950, 2013),
    in_range("seats", 1, 900),
)


def _view(
    name: str,
    entity: list[str],
    features: dict[str, str | None],
    *,
    known_at: str,
    source: str,
    ttl_h: float | None,
    about: str,
) -> FeatureView:
    return FeatureView(
        name=name,
        entity=tuple(entity),
        features=tuple(Column(feature, "double", unit=unit) for feature, unit in features.items()),
        known_at=known_at,
        ttl_s=ttl_h * 3600 if ttl_h else None,
        source=source,
        description=about,
    )


VIEWS: tuple[FeatureView, ...] = (
    _view(
        "weather",
        ["origin"],
        {
            "temp": "°F",
            "dewp": "°F",
            "humid": "%",
            "wind_speed": "mph",
            "precip": "in",
            "pressure": "mbar",
            "visib": "mi",
        },
        known_at="observed",
        source="dataset:weather",
        ttl_h=6,
        about="The last weather measured at the airport of departure",
    ),
    _view(
        "plane",
        ["tailnum"],
        {"plane_age": "years", "seats": None},
        known_at="registered",
        source="dataset:planes",
        ttl_h=None,
        about="Age and size of the aircraft",
    ),
    _view(
        "carrier_delays",
        ["carrier", "origin"],
        {"carrier_delay_3h": "min"},
        known_at="known_at",
        source="dataset:carrier-delays",
        ttl_h=4,
        about="How late the carrier's last departures from this airport were",
    ),
    _view(
        "airport_delays",
        ["origin"],
        {"airport_delay_1h": "min", "airport_delay_3h": "min"},
        known_at="known_at",
        source="dataset:airport-delays",
        ttl_h=4,
        about="How late the last departures from this airport were",
    ),
    _view(
        "aircraft_delays",
        ["tailnum"],
        {"aircraft_delay": "min"},
        known_at="known_at",
        source="dataset:aircraft-delays",
        ttl_h=20,
        about="How late this aircraft came in last",
    ),
    _view(
        "destination_delays",
        ["dest"],
        {"destination_delay_3h": "min"},
        known_at="known_at",
        source="dataset:destination-delays",
        ttl_h=6,
        about="How late flights have been arriving where this one goes",
    ),
)
DELAY_VIEWS = ("carrier_delays", "airport_delays", "aircraft_delays", "destination_delays")
DELAY_SOURCES = ("carrier-delays", "airport-delays", "aircraft-delays", "destination-delays")

MONITORS: tuple[Monitor, ...] = (
    Monitor(
        name="delay-drift",
        endpoint=ENDPOINT,
        kind="drift",
        metric="psi",
        threshold=0.25,
        direction="above",
        # a week's weather always differs from a month's; what matters is whether the answers still hold
        settings={
            "start": "2013-02-01T00:00:00Z",
            "skip": ["weekday", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"],
        },
    ),
    Monitor(
        name="delay-performance",
        endpoint=ENDPOINT,
        kind="performance",
        metric="auc",
        threshold=0.68,
        direction="below",
        settings={"start": "2013-02-01T00:00:00Z", "slices": ["origin"], "delay_s": 86_400.0},
    ),
)
RETRAIN = RetrainPolicy(
    endpoint=ENDPOINT,
    model=MODEL,
    recipe=RECIPE,
    gate=GatePolicy(floor=0.6, margin=0.001, slices=("origin",)),
    rollout=RolloutPolicy(),
    cooldown_s=14 * 86_400.0,
)
