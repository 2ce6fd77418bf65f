"""What registering a model costs: the whole of `register`, cold (the first in its process) and warm.

Each model is fitted in a process of its own that has numpy, scikit-learn and pandas in memory, as a notebook. Cold is
the first registration, with every import that it needs; warm the best of five after it. The floor of cold is importing
skops and ONNX Runtime in the same process and writing the model by skops, which no such registration can be
without. CPU time depends least on what else the machine does; processes take turns, and the best of three is shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPEATS, WARM = 3, 5
ROWS, COLUMNS = 2_000, 10
MODELS = {
    "scaler + logistic regression": "make_pipeline(StandardScaler(), LogisticRegression())",
    "gradient boosting, 100 trees": "GradientBoostingClassifier(n_estimators=100)",
    "forest, 100 trees": "RandomForestClassifier(n_estimators=100, random_state=0)",
    "columns + one-hot + logistic": "columns",
}


def fit(code: str) -> tuple[Any, Any]:
    """Return a fitted model and its example."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    dice = np.random.default_rng(0)
    rows = dice.normal(size=(ROWS, COLUMNS))
    target = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(int)
    if code == "columns":
        frame = pd.DataFrame(rows, columns=[f"x{at}" for at in range(COLUMNS)])
        frame["city"] = dice.choice(["EWR", "JFK", "LGA"], ROWS)
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        steps = [("n", numbers, list(frame.columns[:COLUMNS])), ("s", OneHotEncoder(handle_unknown="ignore"), ["city"])]
        model = make_pipeline(ColumnTransformer(steps), LogisticRegression(max_iter=500))
        return model.fit(frame, target), frame.head(100)
    known = {"StandardScaler": StandardScaler, "LogisticRegression": LogisticRegression, "make_pipeline": make_pipeline}
    known |= {
        "GradientBoostingClassifier": GradientBoostingClassifier,
        "RandomForestClassifier": RandomForestClassifier,
    }
    return eval(code, known).fit(rows, target), rows[:100]  # noqa: S307 (the codes are above)


def measure(code: str, what: str) -> dict[str, float]:
    """Return seconds of wall and CPU of one thing done first in this process, and again."""
    model, example = fit(code)
    if what == "floor":
        begun, cpu = time.perf_counter(), time.process_time()
        import onnxruntime  # noqa: F401
        import skops.io

        skops.io.dumps(model)
        return {"cold_s": time.perf_counter() - begun, "cold_cpu_s": time.process_time() - cpu}
    import interlock

    with tempfile.TemporaryDirectory() as folder:
        registry = interlock.open(folder).registry
        begun, cpu = time.perf_counter(), time.process_time()
        version = registry.register("m", model, example=example)
        found = {"cold_s": time.perf_counter() - begun, "cold_cpu_s": time.process_time() - cpu}
        warm = []
        for _ in range(WARM):
            begun = time.perf_counter()
            registry.register("m", model, example=example)
            warm.append(time.perf_counter() - begun)
        return {**found, "warm_s": min(warm), "one_row_us": version.facts["one_row_us"]}


def main() -> None:
    """Print the table."""
    title = f"{'':<30}{'floor s':>9}{'CPU':>7}{'cold s':>9}{'CPU':>7}{'warm ms':>9}{'1 row us':>10}"
    print(title)
    for name, code in MODELS.items():
        found: dict[str, list[dict[str, float]]] = {"floor": [], "register": []}
        for _ in range(REPEATS):
            for what, rows in found.items():
                command = [sys.executable, str(Path(__file__)), code, what]
                rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))

        def best(what: str, key: str, of: dict[str, list[dict[str, float]]] = found) -> float:
            return min(row[key] for row in of[what])

        print(
            f"{name:<30}{best('floor', 'cold_s'):>9.2f}{best('floor', 'cold_cpu_s'):>7.2f}"
            f"{best('register', 'cold_s'):>9.2f}{best('register', 'cold_cpu_s'):>7.2f}"
            f"{1000 * best('register', 'warm_s'):>9.0f}{best('register', 'one_row_us'):>10.1f}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
    else:
        main()
