"""The seven steps in Dagster, executed in process, with its event log in the folder."""

import os
import sys

os.environ.setdefault("DAGSTER_HOME", os.getcwd())
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
import dagster

COUNT = int(sys.argv[1])


@dagster.op
def load():
    return list(range(100))


@dagster.op
def prepare(table):
    return [2 * value for value in table]


def trainer(alpha):
    @dagster.op(name=f"train_{alpha}")
    def train(table):
        return sum(table) * alpha

    return train


@dagster.op
def select(models):
    return max(models)


trainers = [trainer(alpha) for alpha in range(COUNT)]


@dagster.job(executor_def=dagster.in_process_executor)
def seven():
    table = prepare(load())
    select([train(table) for train in trainers])


result = seven.execute_in_process(instance=dagster.DagsterInstance.get())
assert result.output_for_node("select") == 9900 * (COUNT - 1)
