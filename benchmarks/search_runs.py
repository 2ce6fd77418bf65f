"""What finding the first page of runs costs, in a SQLite workspace of 10,000 and of 100,000 runs.

Each run has 10 params, 10 metrics and 5 tags; nine in ten are in one experiment. Per shape of search: the median wall
and CPU time of the page, runs read and put together included, with the plain reading of the same rows by `sqlite3`
beside it. `python benchmarks/search_runs.py [FOLDER]` keeps the databases there for the next time.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.ports.run_store import MetricPoint, Run, RunBatch
from interlock.ports.search_fields import RUNS
from interlock.ports.search_grammar import parse_filter, parse_order
from interlock.ports.stores import Stores

SIZES = (10_000, 100_000)
REPEATS = 7
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = tuple(f"small {n}" for n in range(10))
BIG = ("big",)

# name, experiments, filter, order
SHAPES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("nothing asked", BIG, "", ""),
    ("all experiments", (), "", ""),
    ("order by a metric", BIG, "", "metrics.m1 DESC"),
    ("order by the best of a metric", BIG, "", "best(metrics.m2)"),
    ("order by start, upwards", BIG, "", "started_at ASC"),
    ("order by name", BIG, "", "name"),
    ("order by a param of 5 values", BIG, "", "params.p0"),
    ("order by a tag of 1 value", BIG, "", "tags.user DESC"),
    ("order by a param, then a metric", BIG, "", "params.p0, metrics.m1 DESC"),
    ("metric, half match", BIG, "metrics.m1 > 0.5", ""),
    ("metric, 1 in 1,000 match", BIG, "metrics.m1 > 0.999", ""),
    ("metric, none match", BIG, "metrics.m1 > 2", ""),
    ("metric != , all match", BIG, "metrics.m1 != 2", ""),
    ("metric of the newest fifth, oldest first", BIG, "metrics.late > 0", "started_at ASC"),
    ("max of a metric, order by it", BIG, "max(metrics.m1) > 0.9", "max(metrics.m1) DESC"),
    ("metric, order by another", BIG, "metrics.m1 > 0.5", "metrics.m2 DESC"),
    ("rare metric, order by another", BIG, "metrics.m1 > 0.999", "metrics.m2 DESC"),
    ("metric against the order", BIG, "metrics.m2 < 0.3", "metrics.m2_copy DESC"),
    ("param, a fifth match", BIG, "params.p0 = '0.1'", ""),
    ("param, order by a metric", BIG, "params.p0 = '0.1'", "metrics.m1 DESC"),
    ("param, 1 matches", BIG, "params.seed = '4242'", ""),
    ("param, 1 matches, order by a metric", BIG, "params.seed = '4242'", "metrics.m1 DESC"),
    ("param of the oldest twentieth", BIG, "params.data = 's3://data/0'", ""),
    ("tag LIKE, 1 in 30 match", BIG, "tags.source LIKE '%train_7.py'", ""),
    ("tag LIKE, none match", BIG, "tags.note LIKE '%nowhere%'", ""),
    ("tag ILIKE, none match, order by a metric", BIG, "tags.note ILIKE '%nowhere%'", "metrics.m1 DESC"),
    ("tag LIKE with a beginning", BIG, "tags.note LIKE 'note 123%'", ""),
    ("status, 1 in 50 match", BIG, "status = 'running'", ""),
    ("name LIKE, none match", BIG, "name LIKE '%nowhere%'", ""),
    ("status and metric, order by a metric", BIG, "status = 'failed' AND metrics.m1 > 0.9", "metrics.m2 DESC"),
    ("three broad conditions, few match all", BIG, "metrics.m1 > 0.9 AND metrics.m2 > 0.9 AND metrics.m3 > 0.9", ""),
    ("three, order by a metric", BIG, "metrics.m1 > 0.9 AND metrics.m2 > 0.9 AND metrics.m3 > 0.9", "metrics.m4 DESC"),
    ("OR of a metric and a param", BIG, "metrics.m1 > 0.9999 OR params.seed = '4242'", ""),
    ("NOT, all match", BIG, "NOT (params.p0 = 'no')", ""),
    ("NOT, none match", BIG, "NOT (params.p8 = 'constant')", ""),
    ("IS NULL, four fifths match", BIG, "metrics.late IS NULL", ""),
    ("dataset, none match", BIG, "datasets.name = 'nowhere'", ""),
    ("a small experiment, filter and order", SMALL[:1], "metrics.m1 > 0.5", "metrics.m2 DESC"),
    ("five experiments, newest first", (*BIG, *SMALL[:4]), "", ""),
    ("five experiments, filter and order", (*BIG, *SMALL[:4]), "params.p0 = '0.1'", "metrics.m1 DESC"),
    ("ten small experiments, tag LIKE", SMALL, "tags.source LIKE '%train_7.py'", ""),
)


def fill(stores: Stores, size: int) -> None:
    """Create the runs."""
    draw = random.Random(1)
    for number in range(size):
        begun = BEGIN + timedelta(minutes=number)
        run_id = f"01JAB{number * 977:021d}"
        score = draw.random()
        metrics = {"m1": draw.random(), "m2": score, "m2_copy": score} | {f"m{n}": draw.random() for n in range(3, 9)}
        if number >= size * 0.8:
            metrics["late"] = draw.random()
        else:
            metrics["early"] = draw.random()
        micros = int(begun.timestamp() * 1e6)
        run = Run(
            id=run_id,
            experiment=BIG[0] if number % 10 else SMALL[number // 10 % 10],
            kind="training",
            name=f"run {number % 1000}",
            status="running",
            started_at=begun,
            params={
                "p0": draw.choice([0.1, 0.01, 0.001, 1e-4, 3e-4]),
                "batch": draw.choice([16, 32, 64, 128]),
                "model": draw.choice(["adam", "sgd", "lion"]),
                "depth": draw.randrange(10),
                "arch": f"resnet{draw.randrange(50)}",
                "dropout": draw.random(),
                "seed": number,
                "nested": {"warmup": 100, "decay": True},
                "p8": "constant",
                "data": f"s3://data/{number * 20 // size}",
            },
            tags={
                "user": "ada",
                "source": f"/home/ada/project/train_{draw.randrange(30)}.py",
                "team": draw.choice(["vision", "nlp", "tabular", "rl"]),
                "note": f"note {draw.randrange(10**6)} about run {number}",
                "git": f"{draw.getrandbits(160):040x}",
            },
            environment={"user": "ada", "host": "node", "python": "3.11", "argv": ["train.py"]},
            libraries={f"library-{n}": "1.2.3" for n in range(30)},
        )
        stores.runs.create(run)
        points = tuple(MetricPoint(key, value, 1, micros) for key, value in metrics.items())
        stores.runs.log(run_id, RunBatch(metrics=points))
        if number % 50 != 1:
            stores.runs.end(run_id, status="failed" if number % 7 == 0 else "finished", ended_at=begun)


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """Return the median wall and CPU milliseconds of a call, of which the first is not counted."""
    call()
    walls, cpus = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return statistics.median(walls) * 1e3, statistics.median(cpus) * 1e3


def floor(path: Path, ids: list[str]) -> float:
    """Return the milliseconds in which `sqlite3` reads all rows of some runs."""
    marks = ", ".join("?" * len(ids))
    statements = [f"SELECT * FROM runs WHERE id IN ({marks})"]
    statements += [
        f"SELECT {columns} FROM {table} WHERE run IN ({marks})"
        for table, columns in (
            ("run_params", "run, key, value"),
            ("run_tags", "run, key, value"),
            ("run_metrics", "run, key, last, first, low, high, mean, count, last_step, last_time"),
        )
    ]
    connection = sqlite3.connect(path)
    try:
        return measure(lambda: [connection.execute(one, ids).fetchall() for one in statements])[0] if ids else 0.0
    finally:
        connection.close()


def report(path: Path, stores: Stores) -> None:
    """Print the table of one database."""
    header = "".join(f"{f'page of {limit}':>13}{'CPU':>8}{'floor':>8}{'runs':>6}" for limit in (50, 1000))
    print(f"{'ms, the median of 7':<44}{header}")
    worst = 0.0
    for name, experiments, text, order in SHAPES:
        where = parse_filter(text, RUNS)
        keys = parse_order([order] if order else [], RUNS)
        line = f"{name:<44}"
        for limit in (50, 1000):
            search = partial(stores.runs.search, experiments=experiments, where=where, order=keys, limit=limit)
            found = search().runs
            wall, cpu = measure(search)
            line += f"{wall:>13.1f}{cpu:>8.1f}{floor(path, [run.id for run in found]):>8.1f}{len(found):>6}"
            worst = max(worst, wall) if limit == 50 else worst
        print(line)
    print(f"the slowest page of 50: {worst:.1f} ms")
    keys = parse_order(["metrics.m1 DESC"], RUNS)
    token = None
    for _ in range(10):
        token = stores.runs.search(experiments=BIG, order=keys, limit=900, after=token).after
        if token is None:
            return
    wall, cpu = measure(lambda: stores.runs.search(experiments=BIG, order=keys, limit=50, after=token))
    print(f"after 9,000 runs, by a metric: {wall:.1f} ms, CPU {cpu:.1f} ms\n")


def main() -> None:
    """Print the tables."""
    kept = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as temporary:
        for size in SIZES:
            path = Path(kept or temporary) / f"runs-{size}.db"
            is_new = not path.exists()
            database = Database(SqliteDialect(path))
            stores = sql_stores(database)
            if is_new:
                began = time.perf_counter()
                fill(stores, size)
                took = time.perf_counter() - began
                print(f"wrote {size:,} runs in {took:.0f} s, {path.stat().st_size / 1e6:.0f} MB")
            print(f"{size:,} runs")
            report(path, stores)
            database.close()


if __name__ == "__main__":
    main()
