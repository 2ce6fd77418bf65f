"""The seven steps in ZenML, on its local stack and SQLite store."""

import os
import sys

os.environ.setdefault("ZENML_CONFIG_PATH", os.getcwd())
os.environ.setdefault("ZENML_ANALYTICS_OPT_IN", "false")
os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "ERROR")
os.environ.setdefault("AUTO_OPEN_DASHBOARD", "false")
from zenml import pipeline, step

COUNT = int(sys.argv[1])


@step
def load() -> list:
    return list(range(100))


@step
def prepare(table: list) -> list:
    return [2 * value for value in table]


@step
def train(table: list, alpha: int) -> int:
    return sum(table) * alpha


@step
def select(models: list) -> int:
    return max(models)


@pipeline(enable_cache=True)
def seven() -> None:
    table = prepare(load())
    for alpha in range(COUNT):
        train(table, alpha)


seven()
