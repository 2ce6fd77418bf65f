"""Fuzz a real `interlock serve`: HTTP and its tensors, gRPC, and what its OpenAPI says, at once.

    python -m scripts.serving_fuzz --minutes 10 [--schemathesis BIN] [--seed 7] [--json] [--keep FOLDER]
    python -m scripts.serving_fuzz --replay finding-001.json

Prints what was asked and what came of it, and exits with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.serving_fuzz import report
from scripts.serving_fuzz.cases import Case, Client, Finding, of_bytes, read_finding
from scripts.serving_fuzz.fuzzing import GrpcSide, HttpSide, Oracle, Tally, during
from scripts.serving_fuzz.grpc_cases import grpc_case
from scripts.serving_fuzz.log_check import log_faults
from scripts.serving_fuzz.making import Maker
from scripts.serving_fuzz.openapi_side import OpenApiSide, in_turn
from scripts.serving_fuzz.seeds import Message, Model, infer, models_of, warming
from scripts.serving_fuzz.slow import slow_clients
from scripts.serving_fuzz.watched import Reading, Watched, changes
from scripts.serving_fuzz.workspace import ASIDE, COUNTED, prepare

CHECK_EVERY = 100
WARM_UP_PART = 0.2
GRPC_PAUSE_S = 0.01


def say(text: str) -> None:
    """Tell what goes on, on standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def good_requests(models: Sequence[Model]) -> list[tuple[str, Message]]:
    """Return a request in order for each endpoint, in JSON and raw."""
    found = []
    for model in models:
        if model.name in ("delay", "tensors"):
            for binary in (False, True):
                found.append((model.name, infer(random.Random(1), model, binary=binary, rows=2).message()))
    return found


class Run:
    """One run against two servers: one of every endpoint, and one of a single one, as in a container.

    Args:
        folder: Where everything is kept.
        seed: What all dice are thrown from.
        schemathesis: Where that is installed, if it is.
    """

    def __init__(self, folder: Path, *, seed: int, schemathesis: Path | None) -> None:
        self._folder = folder
        self._seed = seed
        self._schemathesis = schemathesis
        self.tally = Tally(folder, say=say)
        self.readings: dict[str, tuple[Reading, Reading]] = {}
        self.seconds = 0.0

    def go(self, seconds: float) -> None:
        """Fuzz for so long."""
        workspace = self._folder / "workspace"
        if not workspace.exists():
            say("fitting and registering models")
            prepare(workspace)
        with Watched(workspace, grpc=True) as every, Watched(workspace, "endpoint:delay") as alone:
            say(f"{every.title} at {every.url} and {every.grpc}; {alone.title} at {alone.url}; seed {self._seed}")
            began = time.monotonic()
            self._fuzz(every, alone, seconds)
            self.seconds = time.monotonic() - began
        for server in (every, alone):
            for fault in server.faults():
                self._found(f"{server.title}: the server said:\n{fault}")
        for fault in log_faults(workspace, self.tally):
            self._found(fault)

    def _fuzz(self, every: Watched, alone: Watched, seconds: float) -> None:
        models = models_of(every.url, COUNTED)
        maker = Maker(self._seed, models, models_of(every.url, ASIDE))
        single = Maker(self._seed, [model for model in models if model.name == "delay"], alone=True)
        good = good_requests(models)
        for server in (every, alone):
            self._warm(server, models[0], alone=server is alone)
        oracles = [Oracle((_HOST, one.port), good[: None if one is every else 2], self.tally) for one in (every, alone)]
        sides = [HttpSide((_HOST, one.port), self.tally) for one in (every, alone)]
        grpc = GrpcSide(every.grpc, self.tally)
        numbers = [0, 0]

        def http(number: int) -> str:
            # the server of one endpoint is asked less
            which = 1 if number % 4 == 3 else 0
            numbers[which] += 1
            return sides[which].do((maker, single)[which].case(numbers[which]))

        def check() -> bool:
            # each of them, also after one that is not well
            return min(list(map(Oracle.check, oracles)))

        def calls(number: int) -> str:
            # gRPC is the quickest side by far, and must not take all the time of this process
            time.sleep(GRPC_PAUSE_S)
            seed = f"{self._seed}/grpc/{number}"
            return grpc.do(grpc_case(random.Random(seed), models, seed))

        def phase(length: float, first: tuple[int, int]) -> tuple[int, int]:
            ends = [0, 0]

            def run_calls() -> None:
                ends[1] = during(length, calls, tally=self.tally, every=10**9, check=check, first=first[1])

            def run_http() -> None:
                ends[0] = during(length, http, tally=self.tally, every=CHECK_EVERY, check=check, first=first[0])

            def run_openapi() -> None:
                self._openapi(every, alone, length, first[0])

            def run_slow() -> None:
                slow_clients((_HOST, every.port), models[0], self.tally, seconds=length)

            threads = [threading.Thread(target=one) for one in (run_calls, run_http, run_openapi, run_slow)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for side in sides:
                side.close()
            check()
            return ends[0], ends[1]

        servers = (every, alone)
        firsts = phase(seconds * WARM_UP_PART, (0, 0))
        before = [server.settled() for server in servers]
        say(f"warm after {self.tally.requests} requests: {', '.join(f'{one.rss_mb:.1f} MB' for one in before)}")
        phase(seconds * (1 - WARM_UP_PART), firsts)
        after = [server.settled(least=one) for server, one in zip(servers, before, strict=True)]
        grpc.close()
        for server, first, last in zip(servers, before, after, strict=True):
            self.readings[server.title] = (first, last)
            for change in changes(first, last):
                self._found(f"{server.title}: {change}")

    def _openapi(self, every: Watched, alone: Watched, seconds: float, first: int) -> None:
        if self._schemathesis is None:
            return
        side = OpenApiSide(self._schemathesis, self._folder, self.tally)
        places = [(every.url, f"/v2/models/{name}/openapi.json", name) for name in COUNTED]
        places.insert(1, (alone.url, "/openapi.json", "delay"))
        each = max(10.0, min(45.0, seconds / len(places)))
        in_turn(
            side,
            places,
            seed=self._seed * 10 + bool(first),
            seconds=seconds,
            each_s=each,
            goes_on=lambda: not self.tally.is_full,
        )

    def _warm(self, server: Watched, model: Model, *, alone: bool) -> None:
        """Have a server load what it loads when it is first asked for."""
        client = Client((_HOST, server.port))
        for message in warming(model, alone=alone):
            client.run(Case("warming", "", of_bytes(message.wire())))
        self.tally.answered(model.name, {f"warm-{at}" for at in range(4)})

    def _found(self, what: str) -> None:
        self.tally.find(Finding(what, [], []))


_HOST = "127.0.0.1"


def replay(path: Path, folder: Path) -> int:
    """Do the cases of a finding again against a fresh server; say what comes of each."""
    finding = read_finding(path)
    workspace = folder / "workspace"
    prepare(workspace)
    tally = Tally(folder, say=say)
    say(f"{path}: {finding.what}")
    with Watched(workspace, "endpoint:delay" if _is_alone(finding.cases) else "", grpc=True) as server:
        http, grpc = HttpSide((_HOST, server.port), tally), GrpcSide(server.grpc, tally)
        for case in finding.cases:
            what = (grpc if case.call else http).do(case)
            print(f"{case.kind} {case.seed}: {what or 'as it may be'}")
        http.close()
        grpc.close()
        for fault in server.faults():
            tally.find(Finding(fault, [], []))
    return int(bool(tally.findings))


def _is_alone(cases: Sequence[Case]) -> bool:
    return any("/alone/" in case.seed for case in cases)


def main() -> int:
    """Fuzz, or do a finding again; print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.serving_fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="what all dice are thrown from; told at the start")
    parser.add_argument("--schemathesis", type=Path, default=None, help="the command, in an environment of its own")
    parser.add_argument("--replay", type=Path, default=None, help="do the cases of a finding again")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the workspace, logs and findings")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    folder = told.keep or Path(tempfile.mkdtemp(prefix="serving-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    if told.replay is not None:
        return replay(told.replay, folder)
    seed = random.SystemRandom().randrange(10_000) if told.seed is None else told.seed
    run = Run(folder, seed=seed, schemathesis=told.schemathesis)
    run.go(told.minutes * 60)
    result = report.summary(run.tally, run.readings, seed=seed, seconds=run.seconds, folder=folder)
    print(json.dumps(result, indent=2) if told.json else report.table(result))
    return int(bool(run.tally.findings))


if __name__ == "__main__":
    sys.exit(main())
