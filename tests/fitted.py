"""Small fitted models for tests that need a real one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

NUMBERS = ("wind", "delay", "distance")
STRINGS = ("carrier", "origin")


@lru_cache(maxsize=1)
def flights(rows: int = 600) -> pa.Table:
    """Return made-up flights: numbers with gaps in `delay`, a carrier that is rare, and airports."""
    dice = np.random.default_rng(7)
    columns: dict[str, Any] = {name: dice.normal(size=rows) * 10 for name in NUMBERS}
    gaps = dice.random(rows) < 0.1
    columns["delay"] = [None if gap else float(value) for gap, value in zip(gaps, columns["delay"], strict=True)]
    carriers = dice.choice(["AA", "DL", "UA"], size=rows).astype(object)
    carriers[:3] = "ZZ"
    columns |= {"carrier": carriers.tolist(), "origin": dice.choice(["EWR", "JFK", "LGA"], size=rows).tolist()}
    return pa.table(columns)


def late(table: pa.Table) -> Any:
    """Return what is to be predicted."""
    wind = table.column("wind").to_numpy()
    return ((wind + (np.array(table.column("origin").to_pylist()) == "EWR") * 8) > 4).astype(int)


@lru_cache(maxsize=4)
def flight_delay(*, unknown: str = "ignore") -> Any:
    """Return the model of the demo in small: numbers imputed and scaled, categories one-hot, logistic regression."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)),
            ("strings", OneHotEncoder(handle_unknown=unknown, min_frequency=20), list(STRINGS)),
        ]
    )
    table = flights()
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(table, late(table))


@lru_cache(maxsize=1)
def uncompilable() -> Any:
    """Return a model that the converter writes as a graph that fails on categories that were never seen."""
    from sklearn.base import clone
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    columns = clone(flight_delay(unknown="infrequent_if_exist").steps[0][1])
    final = SGDClassifier(loss="log_loss", random_state=0)
    return make_pipeline(columns, final).fit(flights(), late(flights()))
