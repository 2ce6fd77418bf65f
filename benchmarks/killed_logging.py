"""What a `kill -9` costs: `python benchmarks/killed_logging.py [KILLS]`.

A process logs one point after the other, as fast as it can, and counts them in shared memory; it is killed at a random
moment. The next process opens the same workspace. Printed is how long before the kill the first point was handed over
that is not there: everything older is. It is done into a local folder, to a server, and to a server that is away while
the process lives.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from interlock.workspace import open_workspace

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
LOGS = """
import mmap, struct, sys
from interlock.workspace import open_workspace

file = open(sys.argv[2], "r+b")
counter = mmap.mmap(file.fileno(), 8)
with open_workspace(sys.argv[1]) as workspace:
    with workspace.experiments.run("killed", console=False, system_every_s=0) as run:
        number = 0
        while True:
            run.log_metric("n", number, number)
            number += 1
            struct.pack_into("<q", counter, 0, number)
"""


@contextlib.contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "interlock.cli.main", "--dir", str(folder), "up", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        try:
            yield
        finally:
            process.terminate()


def kill_one(uri: str, folder: Path) -> tuple[float, list[tuple[float, int]]]:
    """Let a process log for a while and kill it; return when, and how far it had come at which times."""
    shared = folder / "counter"
    shared.write_bytes(bytes(8))
    with shared.open("r+b") as file:
        counter = mmap.mmap(file.fileno(), 8)
    seen: list[tuple[float, int]] = []
    with subprocess.Popen([sys.executable, "-c", LOGS, uri, str(shared)]) as process:
        end = None
        while end is None or time.monotonic() < end:
            (count,) = struct.unpack_from("<q", counter, 0)
            now = time.monotonic()
            seen.append((now, count))
            if count and end is None:
                end = now + random.uniform(0.3, 1.0)
            time.sleep(0.001)
        process.kill()
        killed_at = time.monotonic()
    return killed_at, seen


def stored(uri: str) -> int:
    """Return how many points the newest run has in the store, once what was left over has been brought there."""
    with open_workspace(uri) as workspace:
        assert workspace.run_spool is not None
        waits = workspace.run_spool.settle(patience_s=30)
        assert not waits, waits
        (run,) = workspace.stores.runs.runs(limit=1)
        assert run.status == "killed", run.status
        points = workspace.stores.runs.history(run.id, "n")
        assert [point.value for point in points] == [float(number) for number in range(len(points))]
        return len(points)


def lost_ms(killed_at: float, seen: list[tuple[float, int]], count: int) -> float:
    """Return how long before the kill the first lost point was handed over, as the last look without it says."""
    lost_at = next((at for at, number in seen if number > count), killed_at)
    return 1000 * (killed_at - lost_at)


def main() -> None:
    random.seed(1)
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    print(f"{KILLS} kills each; milliseconds before the kill within which points were lost")
    print(f"{'':28}{'median':>8}{'most':>8}{'points':>12}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for title, uri, server in (
            ("local folder", str(folder / "local"), "none"),
            ("server", f"http://127.0.0.1:{port}", "always"),
            ("server that is away", f"http://127.0.0.1:{port}", "later"),
        ):
            figures, points = [], 0
            for _ in range(KILLS):
                with contextlib.ExitStack() as stack:
                    if server == "always":
                        stack.enter_context(serving(folder / "served", port))
                    killed_at, seen = kill_one(uri, folder)
                    if server == "later":
                        stack.enter_context(serving(folder / "served", port))
                    count = stored(uri)
                figures.append(lost_ms(killed_at, seen, count))
                points += count
            figures.sort()
            print(f"{title:28}{figures[len(figures) // 2]:8.1f}{figures[-1]:8.1f}{points:12,}")


if __name__ == "__main__":
    main()
