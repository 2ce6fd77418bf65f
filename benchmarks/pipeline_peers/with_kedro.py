"""The seven steps in Kedro: nodes, a pipeline and the sequential runner, without a project."""

import sys

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

COUNT = int(sys.argv[1])


def load():
    return list(range(100))


def prepare(table):
    return [2 * value for value in table]


def trainer(alpha):
    def train(table):
        return sum(table) * alpha

    return train


def select(*models):
    return max(models)


nodes = [node(load, None, "raw", name="load"), node(prepare, "raw", "table", name="prepare")]
nodes += [node(trainer(alpha), "table", f"model_{alpha}", name=f"train_{alpha}") for alpha in range(COUNT)]
nodes.append(node(select, [f"model_{alpha}" for alpha in range(COUNT)], "best", name="select"))
found = SequentialRunner().run(Pipeline(nodes), DataCatalog())
best = found["best"]
assert (best.load() if isinstance(best, MemoryDataset) or hasattr(best, "load") else best) == 9900 * (COUNT - 1)
