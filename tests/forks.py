"""Code that forks, played in a process of its own: gRPC, Ray and Dask leave threads and handlers behind in this one."""

from __future__ import annotations

import subprocess
import sys

_IN_CHILD = """
import os, sys

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"in the child: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

"""


def play(code: str, *arguments: object) -> str:
    """Run code, which may call `in_child(work)`; give what it printed."""
    command = [sys.executable, "-W", "error", "-c", _IN_CHILD + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout
