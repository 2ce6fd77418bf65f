"""Run checks one after the other, each within its time, and say what became of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence

from interlock.testing.open_inference.checks import TIMEOUT_S, Check, Mismatch, Outcome, Target, lacking, short
from interlock.testing.open_inference.report import from_json
from interlock.testing.open_inference.suite import all_checks


def run_checks(
    checks: Iterable[Check],
    target: Target,
    *,
    timeout_s: float = TIMEOUT_S,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Sequence[Outcome]:
    """Hold a server against checks.

    Args:
        checks: What to check.
        target: The server.
        timeout_s: How long a check may take; one that takes longer has failed.
        on_outcome: Called after each check.
    """
    outcomes: list[Outcome] = []
    for check in checks:
        why = lacking(check.needs, target)
        outcome = Outcome(check.group, check.title, "not run", got=why) if why else _run(check, target, timeout_s)
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
    return outcomes


def _run(check: Check, target: Target, timeout_s: float) -> Outcome:
    began = time.monotonic()
    found: list[tuple[str, str]] = []

    def work() -> None:
        try:
            with warnings.catch_warnings():
                # the clients' own warnings are not the server's
                warnings.simplefilter("ignore")
                check.run(target)
        except Mismatch as mismatch:
            found.append((mismatch.expected, mismatch.got))
        except Exception as error:  # noqa: BLE001 (a client may fail in any way, and the next check must still run)
            found.append(("the client to succeed", short(f"{type(error).__name__}: {error}")))

    thread = threading.Thread(target=work, name=check.title[:40], daemon=True)
    thread.start()
    thread.join(timeout_s)
    took = time.monotonic() - began
    if thread.is_alive():
        found.append((f"an answer within {timeout_s:g} s", "none"))
    if found:
        return Outcome(check.group, check.title, "fail", *found[0], seconds=took)
    return Outcome(check.group, check.title, "pass", seconds=took)


def run_suite(target: Target, *, on_outcome: Callable[[Outcome], None] | None = None) -> Sequence[Outcome]:
    """Hold a server against every check.

    KServe's client and NVIDIA's register messages of the same names, so that no process can import both: the checks
    with KServe's run in a process of their own.
    """
    outcomes = list(
        run_checks((one for one in all_checks() if "kserve" not in one.needs), target, on_outcome=on_outcome)
    )
    apart = [one for one in all_checks() if "kserve" in one.needs]
    if lacking(("kserve",), target):
        return [*outcomes, *run_checks(apart, target, on_outcome=on_outcome)]
    command = [sys.executable, "-m", "interlock.testing.open_inference", target.url, "--only", "kserve", "--json"]
    if target.grpc:
        command += ["--grpc", target.grpc]
    environment = {**os.environ, "INTERLOCK_TOKEN": target.token}
    child = subprocess.run(command, capture_output=True, env=environment, check=False)  # noqa: S603
    for one in from_json(child.stdout).outcomes:
        outcomes.append(one)
        if on_outcome is not None:
            on_outcome(one)
    return outcomes
