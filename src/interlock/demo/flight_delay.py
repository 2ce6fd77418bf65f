"""Will this flight arrive at least a quarter of an hour late? A researcher's project, written as plain functions.

`interlock demo` copies this file into the project folder beside its workspace: edit it there and run again.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from interlock import pipeline, step

LATE_AFTER_MIN = 15
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
DELAYS = ["carrier_delay_3h", "airport_delay_1h", "airport_delay_3h", "aircraft_delay", "destination_delay_3h"]
NUMBERS = ["distance", "hour", "weekday", *DELAYS, *WEATHER, "plane_age", "seats"]
WORDS = ["carrier", "origin", "dest"]
INPUTS = [*NUMBERS, *WORDS]


def sql(query: str, **tables: pa.Table) -> pa.Table:
    """Run one DuckDB query over tables."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(query).to_arrow_table()


def is_late(minutes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Say which arrivals count as late; null where the flight did not arrive."""
    return pc.cast(pc.greater_equal(minutes, LATE_AFTER_MIN), pa.int8())


@step
def recent_delays(flights: pa.Table, *, keys: list[str], column: str, known: str, hours: dict[str, float]) -> pa.Table:
    """Average a delay over the last hours, row by row as each flight's delay became known."""
    by = ", ".join(keys)
    averages = ", ".join(
        f"avg({column}) OVER (PARTITION BY {by} ORDER BY known_at "
        f"RANGE BETWEEN INTERVAL {round(length * 60)} MINUTE PRECEDING AND CURRENT ROW) AS {name}"
        for name, length in hours.items()
    )
    return sql(
        f"SELECT {by}, known_at, {averages} FROM (SELECT *, {known} AS known_at FROM flights) "
        f"WHERE known_at IS NOT NULL AND {column} IS NOT NULL ORDER BY known_at, flight_id",
        flights=flights,
    )


@step
def labelled(features: pa.Table) -> pa.Table:
    """Keep the rows whose outcome is known, and say which of them were late."""
    late = is_late(features["arr_delay"])
    return features.append_column("truth", late).filter(pc.is_valid(late))


@step
def period(table: pa.Table, *, start: str, end: str) -> pa.Table:
    """Return the rows asked about in a period."""
    times = table["asked_at"]
    bounds = [pa.scalar(text).cast(times.type) for text in (start, end)]
    inside = pc.and_(pc.greater_equal(times, bounds[0]), pc.less(times, bounds[1]))
    return table.filter(inside)


def classifier(strength: float) -> object:
    """Return what is fitted to the prepared columns."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=300)


@step
def train(table: pa.Table, *, strength: float) -> object:
    """Fit a logistic regression on scaled numbers and one-hot words."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = table.select(INPUTS).to_pandas()
    model = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                ("words", OneHotEncoder(handle_unknown="ignore", min_frequency=20), WORDS),
            ]
        ),
        classifier(strength),
    )
    return model.fit(frame, table["truth"].to_numpy())


@step
def evaluate(model: object, held_back: pa.Table) -> dict[str, float]:
    """Score the rows that were held back."""
    from sklearn.metrics import log_loss, roc_auc_score

    truth = held_back["truth"].to_numpy()
    scores = model.predict_proba(held_back.select(INPUTS).to_pandas())[:, 1]  # type: ignore[attr-defined]
    return {"auc": float(roc_auc_score(truth, scores)), "log_loss": float(log_loss(truth, scores))}


@pipeline
def delays(flights: pa.Table, *, source: str = "") -> list[pa.Table]:
    """Compute the sources of the four recent-delay views; `source` names the snapshot, for lineage."""
    recent = {
        "carrier": (["carrier", "origin"], "dep_delay", "departed", {"carrier_delay_3h": 3.0}),
        "airport": (["origin"], "dep_delay", "departed", {"airport_delay_1h": 1.0, "airport_delay_3h": 3.0}),
        "aircraft": (["tailnum"], "arr_delay", "arrived", {"aircraft_delay": 0.0}),
        "destination": (["dest"], "arr_delay", "arrived", {"destination_delay_3h": 3.0}),
    }
    return [
        recent_delays(flights, keys=keys, column=column, known=known, hours=hours)
        for keys, column, known, hours in recent.values()
    ]


@pipeline
def training(
    features: pa.Table, *, start: str, split: str, end: str, strength: float, source: str = ""
) -> dict[str, object]:
    """Train on one period, and score the next; `source` names the snapshot, for lineage."""
    rows = labelled(features)
    model = train(period(rows, start=start, end=split), strength=strength)
    held_back = period(rows, start=split, end=end)
    return {"model": model, "metrics": evaluate(model, held_back), "held_back": held_back}
