"""Start one peer with one model, check what it says, load it, and note its figures."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_peers import fitted, wire
from serving_peers.catalogue import HERE, OURS, Peer, Place
from serving_peers.processes import Server, free_ports, serving

TOLERANCE = 1e-5
MOST_WRONG = 0.02
"""Share of rows whose answer may differ from scikit-learn's: rows on a threshold; the table says how many."""
WARM_UP_CONNECTIONS = 16


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    models: tuple[str, ...]
    rows: tuple[int, ...]
    connections: tuple[int, ...]
    seconds: float


class Loader:
    """The load generator: a C program where there is a compiler, else Python."""

    def __init__(self, folder: Path) -> None:
        self.title = "C (epoll)"
        self._command = [str(folder / "load")]
        self._grpc_command = [sys.executable, str(HERE / "load_grpc.py")]
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        built = compiler and subprocess.run(
            [compiler, "-O2", "-o", str(folder / "load"), str(HERE / "load.c")], capture_output=True, check=False
        )
        if not built or built.returncode:
            self.title = "Python (no C compiler here): it may be the limit"
            self._command = [sys.executable, str(HERE / "load.py")]

    def run(
        self, port: int, connections: int, seconds: float, request: Path, *, is_grpc: bool = False
    ) -> dict[str, Any]:
        given = [str(port), str(connections), str(seconds), str(request)]
        command = self._grpc_command if is_grpc else self._command
        done = subprocess.run([*command, *given], capture_output=True, text=True, check=False, timeout=seconds + 120)
        if done.returncode:
            raise RuntimeError(f"the load generator ended: {done.stderr.strip()[-300:]}")
        figures: dict[str, Any] = json.loads(done.stdout)
        if figures["errors"] or figures["unanswered"] or not figures["replies"]:
            raise RuntimeError(
                f"{figures['errors']} of {figures['replies']} replies are errors, {figures['unanswered']} never came: "
                f"{figures['failed']}"
            )
        return figures


def measure(peer: Peer, model: str, *, plan: Plan, programs: Path, models: Path, loader: Loader) -> dict[str, Any]:
    """Return the figures of one peer with one model.

    Raises:
        RuntimeError: It does not run, answers wrongly, or fails under load.
    """
    import numpy as np

    rows = np.load(models / "rows.npy").tolist()
    expected = np.load(models / f"{model}.npy").tolist()
    with tempfile.TemporaryDirectory(prefix="serving-", ignore_cleanup_errors=True) as name:
        place = Place(programs, Path(name), models, model, tuple(free_ports(3)))
        known = {"joblib": place.joblib, "onnx": str(models / f"{model}.onnx"), "folder": name}
        env = {key: value.format(**known) for key, value in peer.env.items()}
        env |= {"HOME": name, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        if peer.prepare is not None:
            _prepare(peer.prepare(place), place, env)
        began = time.monotonic()
        with serving(peer.command(place), folder=place.folder, environment=env) as server:
            port = place.ports[0]
            main = wire.FORMATS[peer.formats[0]]
            server.wait_until(lambda: _answers(port, main, rows[:1]), peer.timeout_s)
            found: dict[str, Any] = {"ready_s": time.monotonic() - began, "ready_cpu_s": server.cpu_s()}
            metadata = _inputs(port) if peer.formats[0] == "oip" else None
            found["platform"] = (metadata or {}).get("platform")
            requests: dict[tuple[str, int], Path] = {}
            for form in peer.formats:
                for count in plan.rows:
                    request = wire.FORMATS[form].build(rows[:count], metadata)
                    wrong = _check(place, wire.FORMATS[form], request, expected[:count])
                    found["wrong_rows"], found["off"] = max(wrong, (found.get("wrong_rows", 0), found.get("off", 0.0)))
                    requests[form, count] = place.folder / f"{form}-{count}.request"
                    requests[form, count].write_bytes(request.raw())
            asked = sum(plan.rows) * len(peer.formats)
            warm = loader.run(port, WARM_UP_CONNECTIONS, 1.0, requests[peer.formats[0], plan.rows[0]])
            asked += warm["replies"] * plan.rows[0]
            server.settle()
            found["rss_mb"], found["pss_mb"], found["processes"] = server.memory_mb()
            found["idle_cpu"] = idle = server.idle()
            found["cells"] = cells = []
            for (form, count), request_path in requests.items():
                for connections in plan.connections:
                    cell = _cell(server, loader, place, form, connections, plan.seconds, request_path, idle)
                    asked += cell["replies"] * count
                    cells.append({"format": form, "rows": count, "connections": connections, **cell})
            found["rss_end_mb"] = server.memory_mb()[0]
        if peer.name in OURS:
            found["logged"] = fitted.logged(place.folder / "workspace")
            # the first answers, which found out that it is ready, are logged as well
            if found["logged"] < asked:
                raise RuntimeError(f"only {found['logged']} of {asked} predictions are in the log")
        return found


def _prepare(command: list[str], place: Place, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=place.folder, env={**os.environ, **env}, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"it could not be prepared: {done.stderr.decode()[-400:].strip()}")


def _answers(port: int, form: wire.Format, rows: Sequence[Sequence[float]]) -> bool:
    """Whether it answers a prediction; what it says is looked at afterwards."""
    try:
        return wire.ask(port, form.build(rows, _inputs(port) if form is wire.FORMATS["oip"] else None)).status == 200
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _inputs(port: int) -> Any:
    reply = wire.ask(port, f"/v2/models/{wire.MODEL}")
    return json.loads(reply.body) if reply.status == 200 else None


def _check(place: Place, form: wire.Format, request: wire.Request, expected: list[float]) -> tuple[int, float]:
    """Return how many probabilities are not scikit-learn's, and how far off the farthest is.

    Raises:
        RuntimeError: It is another model altogether, or no answer.
    """
    reply = wire.ask_grpc(place.ports[1], request.body) if form.is_grpc else wire.ask(place.ports[0], request)
    if reply.status != 200:
        raise RuntimeError(f"{form.title}: {reply.status} {reply.body[:300]!r}")
    try:
        got = form.read(reply)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RuntimeError(f"{form.title}: {reply.body[:300]!r} is no answer: {error!r}") from error
    if len(got) != len(expected):
        raise RuntimeError(f"{form.title}: {len(got)} probabilities for {len(expected)} rows")
    off = [abs(one - other) for one, other in zip(got, expected, strict=True)]
    wrong = [one for one in off if not one <= TOLERANCE]
    if len(wrong) > MOST_WRONG * len(off):
        raise RuntimeError(f"{form.title}: {len(wrong)} of {len(off)} answers are not scikit-learn's")
    return len(wrong), max(off)


def _cell(
    server: Server,
    loader: Loader,
    place: Place,
    form: str,
    connections: int,
    seconds: float,
    request: Path,
    idle: float,
) -> dict[str, Any]:
    is_grpc = wire.FORMATS[form].is_grpc
    before = server.cpu_s()
    load = loader.run(place.ports[is_grpc], connections, seconds, request, is_grpc=is_grpc)
    settled_s = server.settle(idle)
    # what it does when nobody asks is no part of the requests; what it does for them afterwards is
    cpu_s = server.cpu_s() - before - idle * settled_s
    return {
        "cpu_ms": cpu_s / load["replies"] * 1e3,
        "rps": load["replies"] / load["seconds"],
        "p50_ms": load["p50_ms"],
        "p99_ms": load["p99_ms"],
        "replies": load["replies"],
        "reconnects": load["reconnects"],
        "load_cpu_ms": load["cpu_s"] / load["replies"] * 1e3,
        "settled_s": settled_s,
    }
