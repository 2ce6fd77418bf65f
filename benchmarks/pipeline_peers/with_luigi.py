"""The seven steps in Luigi."""

import json
import sys

import luigi

COUNT = int(sys.argv[1])


class Base(luigi.Task):
    def output(self):
        return luigi.LocalTarget(f"{self.task_id}.json")

    def keep(self, value):
        with self.output().open("w") as out:
            json.dump(value, out)

    def read(self, task):
        with task.open() as file:
            return json.load(file)


class Load(Base):
    def run(self):
        self.keep(list(range(100)))


class Prepare(Base):
    def requires(self):
        return Load()

    def run(self):
        self.keep([2 * value for value in self.read(self.input())])


class Train(Base):
    alpha = luigi.IntParameter()

    def requires(self):
        return Prepare()

    def run(self):
        self.keep(sum(self.read(self.input())) * self.alpha)


class Select(Base):
    count = luigi.IntParameter()

    def requires(self):
        return [Train(alpha=alpha) for alpha in range(self.count)]

    def run(self):
        self.keep(max(self.read(one) for one in self.input()))


assert luigi.build([Select(count=COUNT)], local_scheduler=True, log_level="WARNING")
assert Base.read(None, Select(count=COUNT).output()) == 9900 * (COUNT - 1)
