"""What an explanation costs: CPU time for a row, for few rows and for many.

Run: .venv/bin/python benchmarks/explaining.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from interlock.adapters.sklearn.explaining import SklearnExplainer

ROWS, COLUMNS = 5_000, 10


def cpu_us(work: Callable[..., object], *arguments: object, rows: int, repeats: int) -> float:
    """Return the least CPU time for a row. Unit: microseconds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(repeats):
            work(*arguments)
        best = min(best, (time.process_time() - began) / repeats / rows)
    return best * 1e6


def main() -> None:
    """Print the table."""
    dice = np.random.default_rng(0)
    table = dice.normal(size=(ROWS, COLUMNS))
    late = (table[:, 0] * table[:, 1] + table[:, 2] > 0).astype(int)
    print(f"{'model':28} {'rows':>5} {'contributions us/row':>21} {'with the check us/row':>22}")
    for name, model in {
        "100 boosted trees, depth 3": GradientBoostingClassifier(n_estimators=100, random_state=0),
        "100 boosted trees, depth 6": GradientBoostingClassifier(n_estimators=100, max_depth=6, random_state=0),
        "100 full-grown trees": RandomForestClassifier(100, random_state=0),
    }.items():
        explainer = SklearnExplainer(model.fit(table, late), ["probability", "label"], columns=COLUMNS)
        ensemble = explainer._ensemble
        assert ensemble is not None
        for rows in (1, 16, 512) if "full" not in name else (1, 16):
            asked = table[:rows]
            repeats = max(1, (400 if "full" not in name else 2) // rows)
            bare = cpu_us(ensemble.contributions, asked.astype(np.float32), rows=rows, repeats=repeats)
            whole = cpu_us(explainer.explain, asked, table, rows=rows, repeats=repeats)
            print(f"{name:28} {rows:5} {bare:21.1f} {whole:22.1f}")


if __name__ == "__main__":
    main()
