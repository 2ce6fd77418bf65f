"""What a row, and 512 rows, cost by each model's own library and by the engine chosen at its registration.

Ten columns of numbers, two classes. `native` is what people call: `predict_proba` of the estimator in memory on a
NumPy matrix. `chosen` is the version as a server has it, the engine for many rows loaded: checked columns in, share
and label out. Best of many calls, one thread each, in microseconds; CatBoost is shown where it is installed.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

ROWS = 512
BUDGET_S = 0.3


def models() -> dict[str, Any]:
    """Return the models, not fitted."""
    import lightgbm
    import xgboost
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "GradientBoosting-100": GradientBoostingClassifier(n_estimators=100),
        "HistGradientBoosting-100": HistGradientBoostingClassifier(max_iter=100),
        "RandomForest-100": RandomForestClassifier(n_estimators=100, random_state=0),
        "XGBoost-100": xgboost.XGBClassifier(n_estimators=100, n_jobs=1),
        "LightGBM-100": lightgbm.LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1),
    }
    if importlib.util.find_spec("catboost"):
        import catboost

        options = {"iterations": 100, "verbose": False, "allow_writing_files": False, "thread_count": 1}
        found["CatBoost-100"] = catboost.CatBoostClassifier(**options)
    return found


def best_us(call: Callable[[], Any]) -> float:
    """Return the best time of a call. Unit: microseconds."""
    call()
    best, end = float("inf"), time.perf_counter() + BUDGET_S
    while time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
    return best * 1e6


def main() -> None:
    """Print the table."""
    import numpy as np

    import interlock
    from interlock.serving.loading import ModelLoader
    from interlock.serving.sized import SizedPredictor

    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    dice = np.random.default_rng(0)
    rows = dice.normal(size=(2_000, 10))
    target = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(int)
    one, many = rows[:1], rows[:ROWS]
    columns = {1: one.T.tolist(), ROWS: many.T.tolist()}
    print(f"{'us':<26}{'native 1':>10}{'chosen 1':>10}{'native 512':>12}{'chosen 512':>12}  {'engines':<24}difference")
    with tempfile.TemporaryDirectory() as folder:
        registry = (workspace := interlock.open(folder)).registry
        load = ModelLoader(registry.resolve, registry.package_folder, workspace.runtimes)
        for name, model in models().items():
            version = registry.register("m", model.fit(rows, target), example=rows[:200])
            predictor: Any = load(version.ref).predictor
            engines = version.engine
            if isinstance(predictor, SizedPredictor):
                predictor.settle()
                engines += f", {version.facts['many']['engine']} from {version.facts['many']['from_rows']}"
            figures = [
                best_us(lambda: model.predict_proba(one)),  # noqa: B023 (called at once)
                best_us(lambda: predictor.predict(columns[1], rows=1)),  # noqa: B023
                best_us(lambda: model.predict_proba(many)),  # noqa: B023
                best_us(lambda: predictor.predict(columns[ROWS], rows=ROWS)),  # noqa: B023
            ]
            found = predictor.predict(columns[ROWS], rows=ROWS)["probability"]
            difference = np.abs(found - model.predict_proba(many)[:, 1]).max()
            print(
                f"{name:<26}{figures[0]:>10.1f}{figures[1]:>10.1f}{figures[2]:>12.1f}{figures[3]:>12.1f}"
                f"  {engines:<24}{difference:.1e}"
            )


if __name__ == "__main__":
    main()
