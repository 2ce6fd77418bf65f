"""The seven steps in Metaflow: written as a flow file, run by its command line on the local datastore."""

import os
import subprocess
import sys

FLOW = """
from metaflow import FlowSpec, Parameter, step


class Seven(FlowSpec):
    count = Parameter("count", type=int)

    @step
    def start(self):
        self.raw = list(range(100))
        self.next(self.prepare)

    @step
    def prepare(self):
        self.table = [2 * value for value in self.raw]
        self.alphas = list(range(self.count))
        self.next(self.train, foreach="alphas")

    @step
    def train(self):
        self.model = sum(self.table) * self.input
        self.next(self.select)

    @step
    def select(self, inputs):
        self.best = max(one.model for one in inputs)
        assert self.best == 9900 * (len(list(inputs)) - 1)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Seven()
"""
with open("seven_flow.py", "w") as out:
    out.write(FLOW)
environment = {**os.environ, "METAFLOW_USER": "bench", "USERNAME": "bench", "METAFLOW_HOME": os.getcwd()}
command = [sys.executable, "seven_flow.py", "--quiet", "run", "--count", sys.argv[1], "--max-num-splits", "100000"]
subprocess.run(command, check=True, env=environment)
