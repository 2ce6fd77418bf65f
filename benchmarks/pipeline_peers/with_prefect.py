"""The seven steps in Prefect 3, with the server it starts by itself."""

import os
import sys

os.environ.setdefault("PREFECT_HOME", os.getcwd())
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
from prefect import flow, task, unmapped

COUNT = int(sys.argv[1])


@task
def load():
    return list(range(100))


@task
def prepare(table):
    return [2 * value for value in table]


@task
def train(table, alpha):
    return sum(table) * alpha


@task
def select(models):
    return max(models)


@flow
def seven():
    table = prepare(load())
    return select([one.result() for one in train.map(unmapped(table), range(COUNT))])


assert seven() == 9900 * (COUNT - 1)
