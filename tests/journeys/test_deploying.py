"""A stranger's notebook becomes a live endpoint: one call, no file, and a server that outlives its maker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 120
FIT = """
import sys
import numpy as np
from sklearn.linear_model import LogisticRegression
import interlock as il
dice = np.random.default_rng(0)
X = dice.normal(size=(300, 2))
model = LogisticRegression(C=float(sys.argv[1])).fit(X, X[:, 0] > 0)
"""
DEPLOY = (
    FIT
    + """
endpoint = il.deploy(model, example=X[:50], name="delay")
answers = endpoint.predict(X[:5])
assert answers["label"].tolist() == model.predict(X[:5]).tolist()
print(endpoint.url, endpoint.outcome.model)
"""
)
ASK = """
import sys
import interlock as il
print(il.endpoint(sys.argv[1]).predict({"x0": float(sys.argv[2]), "x1": 0.0})["label"])
"""

CELLS = """
import linecache, math, sys
cells = [
    "import interlock as il\\nimport math\\nFACTOR = 3.0\\ndef helper(x):\\n    return math.sqrt(abs(x)) * FACTOR\\n",
    "class Rooted:\\n    def load(self):\\n        self.by = 2\\n    def predict(self, rows):\\n"
    "        return {'score': [helper(x) * self.by for x in rows['x']]}\\n",
    "endpoint = il.deploy(Rooted(), example={'x': [1.0, 4.0]}, name='rooted')\\n"
    "print(endpoint.predict({'x': 16.0})['score'])\\n",
]
space = {"__name__": "__main__"}
for number, cell in enumerate(cells):
    name = f"<ipython-input-{number}>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    exec(compile(cell, name, "exec"), space)
"""


class Home:
    """An empty home with an empty project in it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        kept = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "PATH", "LD_"))}
        self.environ = {**kept, "HOME": str(folder)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a Python process in the project."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.project,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run a Python process in the project and return what it printed."""
        with self.start(*words) as process:
            said, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == code, said
        return said

    def command(self, *words: str, code: int = 0) -> Any:
        """Run an `interlock` command and return its answer."""
        said = self.run("-m", "interlock.cli.main", "--json", *words, code=code)
        return json.loads(said) if said.strip() else None

    def server(self) -> dict[str, Any]:
        """Return what is known of the server."""
        found: dict[str, Any] = self.command("endpoint", "server")
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    try:
        yield made
    finally:
        if (made.project / ".interlock").is_dir():
            made.command("endpoint", "stop")


def infer(url: str, x0: float) -> dict[str, Any]:
    inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [x]} for name, x in (("x0", x0), ("x1", 0.0))]
    body = json.dumps({"inputs": inputs}).encode()
    request = urllib.request.Request(url + "/infer", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_a_notebook_becomes_an_endpoint_that_stays(home: Home) -> None:
    url, model = home.run("-c", DEPLOY, "1.0").split()
    assert model == "model:delay@1"
    assert sorted(path.name for path in home.project.iterdir()) == [".interlock"], "the user wrote no file"
    # its maker is gone, and it answers whoever asks
    assert infer(url, 3.0)["model_version"] == "1"
    first = home.server()
    assert (first["kind"], first["wants a token"]) == ("background", False)
    # the next one swaps in, without another process
    again, second = home.run("-c", DEPLOY, "0.01").split()
    assert (again, second) == (url, "model:delay@2")
    assert home.server()["pid"] == first["pid"]
    assert infer(url, 3.0)["model_version"] == "2"
    # what a command deploys takes the same way
    back = home.command("deploy", "model:delay@1")
    assert (back["url"], back["model"], back["revision"]) == (url, "model:delay@1", 3)
    assert [one["role"] for one in home.command("endpoint", "traffic", "delay")] == ["live"]
    assert home.command("endpoint", "rollback", "delay")["revision"] == 4
    assert infer(url, 3.0)["model_version"] == "2"
    assert isinstance(home.command("endpoint", "logs"), list)
    # a server that was killed comes back with the next question, where it was
    os.kill(first["pid"], signal.SIGKILL)
    assert home.run("-c", ASK, "delay", "3.0").split() == ["True"]
    assert home.server()["pid"] != first["pid"]
    assert infer(url, 3.0)["model_version"] == "2"
    assert home.command("endpoint", "stop")["stopped"] == url.partition("/v2")[0]
    assert home.command("endpoint", "server") is None
    assert home.command("endpoint", "stop") == {"stopped": None}


def test_two_that_deploy_at_once_share_one_server(home: Home) -> None:
    script = (
        FIT + "print(il.deploy(model, example=X[:50], name=sys.argv[2]).url, il.endpoint(sys.argv[2])._located().pid)"
    )
    both = [home.start("-c", script, "1.0", name) for name in ("one", "two")]
    said = []
    for process in both:
        with process:
            said.append(process.communicate(timeout=LIMIT_S)[0].split())
    (first, pid), (second, other) = said
    assert pid == other and first.replace("/one", "/two") == second
    for url in (first, second):
        assert infer(url, 3.0)["outputs"]


def test_helpers_of_a_notebook_travel_with_its_model(home: Home) -> None:
    assert float(home.run("-c", CELLS)) == 24.0
    # in a process that never saw the notebook it is the same
    script = "import interlock as il; print(il.endpoint('rooted').predict({'x': 9.0})['score'])"
    assert float(home.run("-c", script)) == 18.0


def test_what_cannot_be_deployed_leaves_nothing(home: Home) -> None:
    script = """
import interlock as il
from sklearn.linear_model import LogisticRegression
try:
    il.deploy(LogisticRegression(), example=[[1.0]], name="delay")
except il.InterlockError as error:
    print(error.what)
"""
    assert "LogisticRegression" in home.run("-c", script)
    assert home.command("endpoint", "list") == [] and home.command("model", "list") == []
    assert home.command("endpoint", "server") is None


def test_a_server_that_is_not_kept_ends_with_the_notebook(home: Home) -> None:
    script = FIT + 'print(il.deploy(model, example=X[:50], name="delay", keep=False).url)'
    url = home.run("-c", script, "1.0").strip()
    # it was told to end when its maker did; a deployment meanwhile or later finds another
    assert home.run("-c", ASK, "delay", "3.0").split() == ["True"]
    assert infer(url, 3.0)["outputs"]


def test_a_server_that_was_started_by_hand_is_used(home: Home) -> None:
    home.run("-c", FIT + 'il.open().registry.register("delay", model, example=X[:50])', "1.0")
    words = ("-m", "interlock.cli.main", "--json", "serve", "--port", "0")
    with home.start(*words) as serving:
        assert serving.stdout is not None
        try:
            url = json.loads(serving.stdout.readline())["url"]
            assert home.server()["kind"] == "serve"
            assert home.command("deploy", "delay")["url"].startswith(url)
            assert home.command("endpoint", "stop") == {"stopped": None}
        finally:
            serving.terminate()
    assert home.command("endpoint", "server") is None


def test_the_platform_serves_what_is_deployed_beside_it(home: Home) -> None:
    home.run("-c", FIT + 'il.open().registry.register("delay", model, example=X[:50])', "1.0")
    with home.start("-m", "interlock.cli.main", "--json", "up", "--port", "0") as platform:
        assert platform.stdout is not None
        try:
            url = json.loads(platform.stdout.readline())["url"]
            deployed = home.command("deploy", "delay")
            assert deployed["url"].startswith(url)
            assert infer(deployed["url"], 3.0)["model_version"] == "1"
            # over its own address it is the same
            home.environ["INTERLOCK_URI"] = url
            assert home.command("deploy", "delay@1", "--name", "other")["url"].startswith(url)
            assert home.run("-c", ASK, "other", "-3.0").split() == ["False"]
        finally:
            del home.environ["INTERLOCK_URI"]
            platform.terminate()


def test_the_server_ends_when_its_workspace_is_deleted(home: Home) -> None:
    import shutil
    import threading

    from interlock.core.processes import start_of

    home.run("-c", DEPLOY, "1.0")
    pid = home.server()["pid"]
    start = start_of(pid)
    shutil.rmtree(home.project / ".interlock")
    pause = threading.Event()
    for _ in range(600):
        if start_of(pid) != start:
            return
        pause.wait(0.1)
    raise AssertionError("it still runs after a minute")
