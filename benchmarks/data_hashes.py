"""Whose ids of values collide, and whose differ for nothing: `python benchmarks/data_hashes.py --peer joblib=PYTHON`.

Each pair of values goes through the hash that a tool keys its cache with: joblib's, dask's, Hamilton's, Prefect's. An
id that is the same for two different values makes a false hit; ids that differ for equal values make a false miss.
Values that should be equal are made by different ways; those of pairs marked `two processes` in another process too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

DIFFERENT = {
    "array (2,3) / (3,2)": ("np.arange(6).reshape(2,3)", "np.arange(6).reshape(3,2)"),
    "zeros int64 / float64": ("np.zeros(4, 'i8')", "np.zeros(4, 'f8')"),
    "int64 / uint64 array": ("np.arange(4, dtype='i8')", "np.arange(4, dtype='u8')"),
    "little / big endian zeros": ("np.zeros(4, '<i4')", "np.zeros(4, '>i4')"),
    "datetime64 day / second": ("np.array(['2026'], 'M8[D]')", "np.array(['2026'], 'M8[s]')"),
    "structured field names": ("np.zeros(1, [('a','i8')])", "np.zeros(1, [('b','i8')])"),
    "object array 1 / '1'": ("np.array([1, 2], object)", "np.array(['1', '2'], object)"),
    "frame column renamed": ("pd.DataFrame({'a':[1,2]})", "pd.DataFrame({'b':[1,2]})"),
    "frame columns swapped": ("pd.DataFrame({'a':[1],'b':[2]})", "pd.DataFrame({'b':[1],'a':[2]})"),
    "frame column order": ("pd.DataFrame({'a':[1],'b':[2]})", "pd.DataFrame({'b':[2],'a':[1]})"),
    "frame index": ("pd.DataFrame({'a':[1,2]})", "pd.DataFrame({'a':[1,2]}, index=[5,6])"),
    "frame index name": (
        "pd.DataFrame({'a':[1]}, index=pd.Index([0], name='p'))",
        "pd.DataFrame({'a':[1]}, index=pd.Index([0], name='q'))",
    ),
    "frame int64 / uint64": ("pd.DataFrame({'a':[1]}, dtype='i8')", "pd.DataFrame({'a':[1]}, dtype='u8')"),
    "frame int64 / Int64": ("pd.DataFrame({'a':[1]})", "pd.DataFrame({'a':pd.array([1],'Int64')})"),
    "frame None / NaN objects": (
        "pd.DataFrame({'a':pd.Series([1, None], dtype=object)})",
        "pd.DataFrame({'a':pd.Series([1, float('nan')], dtype=object)})",
    ),
    "frame list / tuple cells": ("pd.DataFrame({'a':[[1]]})", "pd.DataFrame({'a':[(1,)]})"),
    "category order": (
        "pd.Series(pd.Categorical(['x'], ['x','y']))",
        "pd.Series(pd.Categorical(['x'], ['y','x']))",
    ),
    "time zone": ("pd.Series(pd.to_datetime(['2026']))", "pd.Series(pd.to_datetime(['2026']).tz_localize('UTC'))"),
    "series name": ("pd.Series([1], name='a')", "pd.Series([1], name='b')"),
    "polars column renamed": ("pl.DataFrame({'a':[1,2]})", "pl.DataFrame({'b':[1,2]})"),
    "polars int64 / uint64": ("pl.DataFrame({'a':[1]})", "pl.DataFrame({'a':[1]}, schema={'a':pl.UInt64})"),
    "arrow int32 / int64": ("pa.table({'a':pa.array([1],'i4')})", "pa.table({'a':pa.array([1],'i8')})"),
    "arrow column renamed": ("pa.table({'a':[1]})", "pa.table({'b':[1]})"),
    "'1' / 1": ("'1'", "1"),
    "1 / 1.0": ("1", "1.0"),
    "1 / True": ("1", "True"),
    "0.0 / -0.0": ("0.0", "-0.0"),
    "None / 'None'": ("None", "'None'"),
    "b'a' / 'a'": ("b'a'", "'a'"),
    "list / tuple": ("[1, 2]", "(1, 2)"),
    "set / frozenset": ("{1, 2}", "frozenset({1, 2})"),
    "[[1], 2] / [[1, 2]]": ("[[1], 2]", "[[1, 2]]"),
    "['ab'] / ['a', 'b']": ("['ab']", "['a', 'b']"),
    "key 1 / key '1'": ("{1: 0}", "{'1': 0}"),
    "nested 8 deep": ("[[[[[[[[1]]]]]]]]", "[[[[[[[[2]]]]]]]]"),
    "datetime naive / UTC": ("dt.datetime(2026,1,1)", "dt.datetime(2026,1,1,tzinfo=dt.timezone.utc)"),
    "Decimal 1.0 / 1.00": ("decimal.Decimal('1.0')", "decimal.Decimal('1.00')"),
    "Path / str": ("pathlib.Path('a')", "'a'"),
}
EQUAL = {
    "array C / Fortran order": ("np.arange(6).reshape(2,3)", "np.asfortranarray(np.arange(6).reshape(2,3))"),
    "array strided": ("np.arange(6)[::2]", "np.array([0, 2, 4])"),
    "dict order": ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    "set order, two processes": ("{'a', 'b', 'c', 'd'}", "{'d', 'c', 'b', 'a'}"),
    "frame built otherwise": (
        "pd.DataFrame({'a':[1,2],'b':['x','y']})",
        "pd.concat([pd.DataFrame({'a':[1],'b':['x']}), pd.DataFrame({'a':[2],'b':['y']}, index=[1])])",
    ),
    "frame column dropped": (
        "pd.DataFrame({'a':[1.,2.],'b':[3.,4.]})",
        "pd.DataFrame({'a':[1.,2.],'b':[3.,4.],'c':[5.,6.]}).drop(columns='c')",
    ),
    "polars re-chunked": (
        "pl.DataFrame({'a':[1,2]})",
        "pl.concat([pl.DataFrame({'a':[1]}), pl.DataFrame({'a':[2]})], rechunk=False)",
    ),
    "arrow re-chunked": ("pa.table({'a':[1,2]})", "pa.concat_tables([pa.table({'a':[1]}), pa.table({'a':[2]})])"),
    "arrow sliced": ("pa.table({'a':[2]})", "pa.table({'a':[1,2,3]}).slice(1,1)"),
    "equal strings": ("['ab', 'ab']", "['ab', ''.join(['a', 'b'])]"),
    "equal floats": ("0.5", "1 / 2"),
}

HASHES = {
    "interlock": "from interlock.pipelines.code_keys import content_id as identify",
    "joblib": "from joblib import hash as identify",
    "dask": "from dask.base import tokenize as identify",
    "hamilton": "from hamilton.caching.fingerprinting import hash_value as identify",
    "prefect": "from prefect.utilities.hashing import hash_objects as identify",
}
PROBE = """
import datetime as dt, decimal, json, pathlib, sys, warnings
warnings.simplefilter("ignore")
for name in ("numpy as np", "pandas as pd", "polars as pl", "pyarrow as pa"):
    try:
        exec("import " + name)
    except ImportError:
        pass
{identify}
answers = []
for text in json.load(sys.stdin):
    try:
        value = eval(text)
    except NameError:
        answers.append(None)
        continue
    try:
        answers.append(str(identify(value)))
    except Exception as error:
        answers.append("refused: " + type(error).__name__)
print("ANSWERS " + json.dumps(answers))
"""


def ids(tool: str, python: str, values: list[str], *, seed: int) -> list[str | None]:
    """Return a tool's ids of values, from a process with its own order of sets; None where a library is missing."""
    done = subprocess.run(
        [python, "-c", PROBE.replace("{identify}", HASHES[tool])],
        input=json.dumps(values),
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWERS ")]
    if done.returncode or not lines:
        sys.exit(f"{tool}: {done.stderr.strip()[-500:]}")
    answers: list[str | None] = json.loads(lines[-1][8:])
    return answers


def verdicts(tool: str, python: str) -> dict[str, str]:
    """Return what a tool's ids say of every pair: `ok`, `false hit`, `false miss` or that it refuses."""
    pairs = {**DIFFERENT, **EQUAL}
    ones = ids(tool, python, [one for one, _ in pairs.values()], seed=1)
    others = ids(tool, python, [other for _, other in pairs.values()], seed=2)
    found = {}
    for name, one, other in zip(pairs, ones, others, strict=True):
        if one is None or other is None:
            found[name] = "-"
        elif one.startswith("refused") or other.startswith("refused"):
            found[name] = "refused"
        elif name in DIFFERENT:
            found[name] = "false hit" if one == other else "ok"
        else:
            found[name] = "ok" if one == other else "false miss"
    return found


def main() -> None:
    reader = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    reader.add_argument("--peer", action="append", default=[], metavar="TOOL=PYTHON")
    given = reader.parse_args()
    tools = {"interlock": sys.executable, **dict(one.split("=", 1) for one in given.peer)}
    for name, python in tools.items():
        if name not in HASHES or not Path(python).exists():
            sys.exit(f"--peer {name}={python}: expected one of {', '.join(HASHES)} and its interpreter")
    found = {name: verdicts(name, python) for name, python in tools.items()}
    print(f"{'pair':28}" + "".join(f"{name:>12}" for name in tools))
    for title, pairs in (("must differ", DIFFERENT), ("must agree", EQUAL)):
        print(title)
        for pair in pairs:
            print(f"  {pair:26}" + "".join(f"{found[name][pair]:>12}" for name in tools))
    for verdict in ("false hit", "false miss", "refused"):
        counts = [list(found[name].values()).count(verdict) for name in tools]
        print(f"{verdict:28}" + "".join(f"{count:>12}" for count in counts))


if __name__ == "__main__":
    main()
