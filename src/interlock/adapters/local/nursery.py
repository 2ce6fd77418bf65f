"""The process that workers are forked from: it has imported what they need, and does nothing else.

It is told what to do over a socket. `p` and a list of modules: import them. `f` with a worker's line attached: fork a
worker, and answer with its process id. `r` and an id: answer how that process ended. When the other end closes, its
workers end too: nothing is left behind by a killed program.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from typing import Any

from interlock.adapters.local.channel import Channel
from interlock.ports.call_rules import answer

REAP_PATIENCE_S = 2.0
_PR_SET_PDEATHSIG = 1


def main(control: socket.socket) -> None:
    """Serve one program until it goes away."""
    children: set[int] = set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request, lines, _, _ = socket.recv_fds(control, 5, 1)
        if request[:1] == b"p":
            names = control.recv(int.from_bytes(request[1:], "big"), socket.MSG_WAITALL)
            preload(json.loads(names))
        elif request[:1] == b"f":
            pid = _fork(control, lines[0])
            children.add(pid)
            os.close(lines[0])
            control.sendall(pid.to_bytes(4, "big"))
        elif request[:1] == b"r":
            pid = int.from_bytes(request[1:], "big")
            control.sendall(_ended(pid).to_bytes(4, "big", signed=True))
            children.discard(pid)
        else:
            break
    for pid in children:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def preload(names: list[str]) -> None:
    """Import what the workers to come will need."""
    for name in names:
        # what cannot be imported here fails, with a name and a reason, in the call that needs it
        with suppress(Exception):
            importlib.import_module(name)
    # what is alive now stays shared between the workers: a collection would touch, and so copy, every page of it
    gc.collect()
    gc.freeze()


def move(place: dict[str, Any]) -> None:
    """Make this process look like the caller's: its folder, its environment variables, where it finds modules."""
    with suppress(OSError):
        os.chdir(place["folder"])
    for name in set(os.environ) - set(place["environ"]):
        del os.environ[name]
    os.environ.update(place["environ"])
    if place["path"]:
        sys.path[:] = place["path"]


def serve(line: Channel) -> None:
    """Answer calls until the other end closes."""
    while True:
        try:
            place = line.receive()
            payload = line.receive()
        except EOFError:
            return
        if place:
            move(json.loads(place))
        reply = answer(payload)
        del payload
        try:
            line.send(reply)
        except OSError:
            return


def _fork(control: socket.socket, line: int) -> int:
    with warnings.catch_warnings():
        # a library that was preloaded may have a thread of its own; the child only has this one
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    control.close()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # a group of its own, so that what a call started is stopped with it
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    code = 1
    try:
        serve(Channel(line, line))
        code = 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)
    raise AssertionError("unreachable")


def _ended(pid: int) -> int:
    """Return how a process ended: its exit code, or below zero the signal that killed it."""
    until = time.monotonic() + REAP_PATIENCE_S
    while time.monotonic() < until:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
