"""The seven steps in Interlock: `python with_interlock.py FAN_OUT`, in a folder of its own."""

import sys

from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step
from interlock.workspace import open_workspace


@step
def load():
    return list(range(100))


@step
def prepare(table):
    return [2 * value for value in table]


@step
def train(table, alpha):
    return sum(table) * alpha


@step
def select(models):
    return max(models)


@pipeline
def seven(count):
    table = prepare(load())
    return select([train(table, alpha) for alpha in range(count)])


with open_workspace(".interlock") as workspace:
    assert workspace.pipelines.run(seven, int(sys.argv[1])).value == 9900 * (int(sys.argv[1]) - 1)
