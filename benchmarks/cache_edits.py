"""Twelve edits around a cached step, here and in other tools: `python benchmarks/cache_edits.py --peer joblib=PYTHON`.

Every tool gets the same step in the same three files and runs in a new process after each edit. A step that should
have run and did not gives a stale result; one that need not have run and did wastes time. Tools are named by the
interpreter that has them installed: joblib, dask, apache-hamilton, marimo, flyte, flytekit, prefect, zenml.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

TIMEOUT_S = 300

HELPERS = '''"""Helpers."""


def by_module(x):
    return x + 1


def by_name(x):
    return x * 2
'''

STEPS = """import helpers
from helpers import by_name
{imports}

CONST = 1


def _local(x):
    return x - 3


{decorator}
def compute(x: int, k: int = 2) -> int:
    with open("ran.log", "a") as file:
        file.write("x")
    return _local(by_name(helpers.by_module(x))) * CONST + k
"""


class Edit(NamedTuple):
    """One change of the source, and whether the step has to run after it."""

    name: str
    file: str
    old: str
    new: str
    matters: bool


EDITS = [
    Edit("first run", "steps", "", "", True),
    Edit("unchanged", "steps", "", "", False),
    Edit("helper by module", "helpers", "x + 1", "x + 2", True),
    Edit("helper by name", "helpers", "x * 2", "x * 3", True),
    Edit("local helper", "steps", "x - 3", "x - 4", True),
    Edit("constant", "steps", "CONST = 1", "CONST = 2", True),
    Edit("default", "steps", "k: int = 2", "k: int = 3", True),
    Edit("body", "steps", "CONST + k", "CONST - k", True),
    Edit("comment", "steps", "    with open", "    # a note\n    with open", False),
    Edit("docstring", "steps", "    with open", '    """Compute."""\n    with open', False),
    Edit("spacing", "steps", "_local(by_name(", "_local( by_name( ", False),
    Edit("moved", "steps", "CONST = 1", "# lines\n\n\nCONST = 1", False),
]


class Tool(NamedTuple):
    """How a step is written for a tool, and how it is run."""

    imports: str
    decorator: str
    main: str


TOOLS = {
    "interlock": Tool(
        "from interlock.pipelines.steps import step",
        "@step",
        """
from pathlib import Path
from interlock.adapters.local.executors import InlineExecutor
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from steps import compute

@pipeline
def flow():
    return compute(10)

database = Database(SqliteDialect(Path("interlock.db")))
stores = sql_stores(database, artifacts=LocalArtifactStore(Path("artifacts")))
executor = InlineExecutor()
pipelines = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, executor, b"secret")
run = pipelines.run(flow)
value, said = run.value, run.steps[0].reason
database.close()
""",
    ),
    "joblib": Tool(
        "from joblib import Memory\n\nmemory = Memory('cache', verbose=0)",
        "@memory.cache",
        "from steps import compute\nvalue = compute(10)",
    ),
    "dask": Tool(
        "",
        "",
        """
import json
from pathlib import Path
from dask.base import tokenize
from steps import compute

place = Path("cache") / tokenize(compute, 10)
place.parent.mkdir(exist_ok=True)
if not place.exists():
    place.write_text(json.dumps(compute(10)))
value = json.loads(place.read_text())
""",
    ),
    "apache-hamilton": Tool(
        "",
        "",
        """
import steps
from hamilton import driver
built = driver.Builder().with_modules(steps).with_cache(path="cache").build()
value = built.execute(["compute"], inputs={"x": 10})["compute"]
""",
    ),
    "marimo": Tool(
        "import marimo as mo",
        "@mo.persistent_cache(save_path='cache')",
        "from steps import compute\nvalue = compute(10)",
    ),
    "flyte": Tool(
        "import flyte\n\nenv = flyte.TaskEnvironment(name='edits', cache='auto')",
        "@env.task",
        """
import flyte
from steps import compute
flyte.init()
value = flyte.with_runcontext(mode="local").run(compute, x=10).outputs()
value = value[0] if isinstance(value, (tuple, list)) else getattr(value, "o0", value)
""",
    ),
    "flytekit": Tool(
        "from flytekit import task",
        "@task(cache=True, cache_version='1')",
        """
from flytekit import workflow
from steps import compute

@workflow
def flow() -> int:
    return compute(x=10)

value = flow()
""",
    ),
    "prefect": Tool(
        "from prefect import task\nfrom prefect.cache_policies import INPUTS, TASK_SOURCE",
        "@task(cache_policy=INPUTS + TASK_SOURCE, persist_result=True)",
        """
from prefect import flow
from steps import compute

@flow
def nightly():
    return compute(10)

value = nightly()
""",
    ),
    "zenml": Tool(
        "from zenml import step",
        "@step(enable_cache=True)",
        """
from zenml import pipeline
from steps import compute

@pipeline(enable_cache=True)
def nightly():
    compute(x=10)

value = nightly().steps["compute"].output.load()
""",
    ),
}
LAST = "\nimport json\nprint('\\nVALUE ' + json.dumps([value, globals().get('said', '')]))\n"


class Result(NamedTuple):
    """What one tool did after one edit."""

    edit: str
    verdict: str
    cpu_s: float


def source(edit: Edit) -> dict[str, str]:
    """Return the two files with one edit made, for any tool."""
    files = {"helpers": HELPERS, "steps": STEPS}
    if edit.old:
        assert files[edit.file].count(edit.old) == 1, edit
        files[edit.file] = files[edit.file].replace(edit.old, edit.new)
    return files


def right_value(edit: Edit) -> int:
    """Return what the step gives when it is simply called."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in source(edit).items():
            Path(folder, f"{name}.py").write_text(text.replace("{imports}", "").replace("{decorator}", ""))
        done = subprocess.run(
            [sys.executable, "-B", "-c", "from steps import compute; print(compute(10))"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    return int(done.stdout)


def surroundings(folder: Path) -> dict[str, str]:
    """Return an environment in which every tool keeps what it keeps inside one folder, and phones nobody."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "AUTO_OPEN_DASHBOARD": "false",
        "HAMILTON_TELEMETRY_ENABLED": "false",
        "FLYTE_LOCAL_CACHE_ENABLED": "true",
    }


def play(name: str, python: str) -> list[Result]:
    """Play all edits with one tool, each in a process of its own, over one cache."""
    tool = TOOLS[name]
    results = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        for edit in EDITS:
            for file, text in source(edit).items():
                text = text.replace("{imports}", tool.imports).replace("{decorator}", tool.decorator)
                Path(folder, f"{file}.py").write_text(text.replace("\n\n\n\n", "\n\n\n"))
            Path(folder, "main.py").write_text(f"if __name__ == '__main__':\n{_indented(tool.main + LAST)}")
            log = folder / "ran.log"
            log.unlink(missing_ok=True)
            before = os.times()
            try:
                done = subprocess.run(
                    [python, "main.py"],
                    cwd=folder,
                    env=surroundings(folder),
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return [*results, Result(edit.name, f"no answer in {TIMEOUT_S} s", 0.0)]
            after = os.times()
            cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
            answer = [line[6:] for line in done.stdout.splitlines() if line.startswith("VALUE ")]
            if done.returncode or not answer:
                lines = (done.stderr or done.stdout).strip().splitlines() or ["?"]
                return [*results, Result(edit.name, f"failed: {lines[-1][:150]}", cpu_s)]
            value, said = json.loads(answer[-1])
            results.append(Result(edit.name, _verdict(edit, value, ran=log.exists()), cpu_s))
            if said and edit.old:
                print(f"    {edit.name}: {said}", file=sys.stderr)
    return results


def _verdict(edit: Edit, value: object, *, ran: bool) -> str:
    if value != right_value(edit):
        return "stale"
    if ran and not edit.matters:
        return "miss"
    return "ok" if ran == edit.matters else "stale"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    reader.add_argument("--peer", action="append", default=[], metavar="TOOL=PYTHON")
    reader.add_argument("--json", action="store_true")
    given = reader.parse_args()
    tools = {"interlock": sys.executable, **dict(one.split("=", 1) for one in given.peer)}
    unknown = tools.keys() - TOOLS.keys()
    if unknown:
        sys.exit(f"no such tool here: {', '.join(sorted(unknown))}; there are {', '.join(TOOLS)}")
    began = time.monotonic()
    with ThreadPoolExecutor(1) as one_after_another:
        played = dict(zip(tools, one_after_another.map(play, tools, tools.values()), strict=True))
    if given.json:
        print(json.dumps({name: [result._asdict() for result in results] for name, results in played.items()}))
        return
    print(f"{'edit':18}" + "".join(f"{name:>17}" for name in played))
    for place, edit in enumerate(EDITS):
        cells = [results[place].verdict if place < len(results) else "-" for results in played.values()]
        print(f"{edit.name:18}" + "".join(f"{cell[:16]:>17}" for cell in cells))
    right = [sum(result.verdict == "ok" for result in results) for results in played.values()]
    print(f"{'right, of 12':18}" + "".join(f"{count:>17}" for count in right))
    spent = [sum(result.cpu_s for result in results) for results in played.values()]
    print(f"{'CPU-s, all runs':18}" + "".join(f"{cpu_s:>17.1f}" for cpu_s in spent))
    for name, results in played.items():
        if results[-1].verdict not in ("ok", "stale", "miss"):
            print(f"{name}: {results[-1].edit}: {results[-1].verdict}")
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
