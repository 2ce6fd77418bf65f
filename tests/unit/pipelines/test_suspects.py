"""Lines that read the clock or draw at random are found whichever way they are written, and only those."""

from __future__ import annotations

import pytest

from interlock.pipelines.code_keys import code_key, suspects_of
from interlock.pipelines.suspects import may_name_file
from tests.unit.pipelines.conftest import ModuleMaker

FOUND = {
    "import time\ndef f():\n    return time.time()\n": ("clock", "time.time", 3),
    "from time import time as now\ndef f():\n    return now()\n": ("clock", "time.time", 3),
    "def f():\n    import time\n    return time.time_ns()\n": ("clock", "time.time_ns", 3),
    "def f():\n    from datetime import datetime\n    return datetime.now()\n": ("clock", "datetime.now", 3),
    "import datetime\ndef f():\n    return datetime.date.today()\n": ("clock", "date.today", 3),
    "import pandas as pd\ndef f():\n    return pd.Timestamp.now()\n": ("clock", "Timestamp.now", 3),
    "import time\ndef f():\n    return [time.time() for _ in range(2)]\n": ("clock", "time.time", 3),
    "def m():\n    import time as t\n    def f():\n        return t.time()\n    return f\nf = m()\n": (
        "clock",
        "time.time",
        4,
    ),
    "import time\ndef g():\n    return 1\ndef h():\n    return time.ctime()\ndef f():\n    return g(), h()\n": (
        "clock",
        "time.ctime",
        5,
    ),
    "import random\ndef f():\n    return random.Random()\n": ("random", "random.Random", 3),
    "import secrets\ndef f():\n    return secrets.token_hex()\n": ("random", "secrets.token_hex", 3),
}


@pytest.mark.parametrize("source", FOUND)
def test_what_is_suspicious(module: ModuleMaker, source: str) -> None:
    (doubt,) = code_key(module("project", source).f).suspects.doubts
    assert (doubt.kind, doubt.what, doubt.line) == FOUND[source]
    assert doubt.file == "<project>"


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef f():\n    return time.perf_counter()\n",
        "import time\ndef f(x):\n    return time.gmtime(x), time.ctime(x)\n",
        "import random\ndef f():\n    return random.Random(3).random()\n",
        "class Loud(type):\n    __hash__ = None\nclass A(metaclass=Loud):\n    pass\ndef f():\n    return A\n",
        "def f():\n    from time import nowhere\n    return nowhere\n",
    ],
)
def test_what_is_not(module: ModuleMaker, source: str) -> None:
    assert code_key(module("project", source).f).suspects.doubts == ()


@pytest.mark.parametrize(
    ("source", "seeds"),
    [
        ("import random\ndef f():\n    random.seed(1)\n", ("random",)),
        ("from random import seed\ndef f():\n    seed(1)\n", ("random",)),
        ("import numpy as np\ndef f():\n    np.random.seed(1)\n", ("numpy",)),
        ("from numpy import random\ndef f():\n    random.seed(1)\n", ("numpy",)),
        ("def seed(n):\n    return n\ndef f():\n    return seed(1)\n", ()),
    ],
)
def test_seeds(module: ModuleMaker, source: str, seeds: tuple[str, ...]) -> None:
    assert code_key(module("project", source).f).suspects.seeds == seeds


def test_what_was_found_is_remembered_for_the_run(module: ModuleMaker) -> None:
    function = module("project", "import time\ndef f():\n    return time.time()\n").f
    assert suspects_of(function) == code_key(function).suspects
    assert suspects_of(function) is suspects_of(function)


def test_paths_among_the_constants(module: ModuleMaker) -> None:
    source = """
    from pathlib import Path
    PLACE = Path("in")
    TABLE = "data/x.parquet"
    def f(where="more.csv"):
        return PLACE, TABLE, "rates.json", "not a path", "Hello.", "https://a.b/c"
    """
    found = code_key(module("project", source).f).suspects.paths
    assert sorted(found) == ["data/x.parquet", "in", "more.csv", "rates.json"]


@pytest.mark.parametrize("text", ["a/b", "x.csv", "./x", "/abs/x", "a b.csv"])
def test_texts_that_may_name_files(text: str) -> None:
    assert may_name_file(text)


@pytest.mark.parametrize(
    "text", ["", "word", " x.csv", "x.csv\n", ".", "a.b c", "s3://b/k", "x." + "y" * 20, "é" * 2000]
)
def test_texts_that_do_not(text: str) -> None:
    assert not may_name_file(text)
