"""Time the way from a fitted model to the first prediction over HTTP: wall, CPU of all processes, steps, files.

Only the standard library, so that it runs in every peer's environment; the model needs scikit-learn and NumPy.
"""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 120


def fitted():
    """Return a fitted pipeline and the rows it was fitted on."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    dice = np.random.default_rng(0)
    rows = dice.normal(size=(500, 10))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > 0), rows


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lead:
    """The stopwatch; it starts when it is made.

    Args:
        tool: Who is timed.
    """

    def __init__(self, tool):
        self._tool = tool
        self._steps = []
        self._files = []
        self._server = None
        self._roots = set()
        self._cpu = own_cpu_s()
        self._began = time.perf_counter()

    def step(self, words):
        """Count something that the user does."""
        self._steps.append(words)

    def write(self, name, text):
        """Count a file that the user writes, and write it."""
        Path(name).write_text(text)
        self._files.append(name)

    def serve(self, command, **environ):
        """Start what the user would start."""
        self.step(" ".join(str(word) for word in command[1:]))
        with Path("server.log").open("ab") as log:
            self._server = subprocess.Popen(
                command, env={**os.environ, **environ}, stdout=log, stderr=log, start_new_session=True
            )
        self._roots.add(self._server.pid)

    def also(self, pid):
        """Count a process that was started otherwise, and those below it."""
        self._roots.add(pid)

    def ask(self, url, body):
        """Ask until there is an answer, and return it."""
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                problem = f"{error.code}: {error.read()[:500]!r}"
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
            ended = self._server is not None and self._server.poll() is not None
            if ended or time.monotonic() > deadline:
                raise SystemExit(f"{self._tool} does not answer: {problem}\n{Path('server.log').read_text()[-2000:]}")
            time.sleep(0.01)

    def end(self, probability, expected):
        """Stop the watch, check the answer, end the server, and print what was found."""
        wall_s = time.perf_counter() - self._began
        cpu_s = own_cpu_s() - self._cpu + tree_cpu_s(self._roots)
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGTERM)
            try:
                self._server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(self._server.pid, signal.SIGKILL)
                self._server.wait()
        assert abs(float(probability) - expected) < 1e-5, (probability, expected)
        found = {"tool": self._tool, "wall_s": wall_s, "cpu_s": cpu_s, "steps": self._steps, "files": self._files}
        print("LEAD " + json.dumps(found), flush=True)


def own_cpu_s():
    """Return the processor seconds of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def tree_cpu_s(roots):
    """Return the processor seconds of some processes, of all below them and in their sessions, ended ones included."""
    facts = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
    counted = set()
    fresh = {pid for pid, one in facts.items() if pid in roots or int(one[3]) in roots}
    while fresh:
        counted |= fresh
        fresh = {pid for pid, one in facts.items() if int(one[1]) in counted} - counted
    return sum(int(facts[pid][place]) for pid in counted for place in (11, 12, 13, 14)) / TICKS
