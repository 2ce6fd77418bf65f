"""Run a module in a process of its own that ends when this one does, however this one ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def start_child(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments…`; the module's `main` calls `end_with_parent` first.

    The child reads from a pipe that only this process holds; the kernel closes it even for a killed process.
    """
    return subprocess.Popen([sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE)


def stop_child(child: subprocess.Popen[bytes], *, grace_s: float = 30.0) -> None:
    """Let a child end, and end it if it does not."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()
    try:
        child.wait(timeout=grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def end_with_parent() -> None:
    """Have this process get SIGTERM when standard input ends."""

    def wait() -> None:
        # straight from the descriptor: a thread inside sys.stdin would hold its lock at exit
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="interlock-parent", daemon=True).start()
