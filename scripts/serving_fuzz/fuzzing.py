"""Do one case after the other against a server, hold what comes against what may come, and keep what must not be."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.serving_fuzz.cases import Case, Client, Finding, Outcome, of_bytes
from scripts.serving_fuzz.grpc_cases import GrpcClient, grpc_judged, ids_in
from scripts.serving_fuzz.judging import MAY_FAIL, judged
from scripts.serving_fuzz.replies import Reply, ids_of
from scripts.serving_fuzz.seeds import Message

_KEPT = 12
_MOST_FINDINGS = 60
_MOST_LIKE, _LIKE_CHARS = 3, 60
_DIGITS = re.compile(r"\d+")


class Tally:
    """What was asked and what came of it, by all sides together. Thread-safe.

    Args:
        folder: Where findings are kept.
        say: Told of each finding at once.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.counts_found: Counter[tuple[str, str]] = Counter()
        self.findings: list[Finding] = []
        self.ids: dict[str, set[str]] = {}
        self.checked = 0
        self.logged = 0
        self.own = 0

    def count(self, kind: str, outcome: str) -> None:
        """Count a case by its kind and what came of it."""
        with self._lock:
            self.counts[kind, outcome] += 1

    def answered(self, endpoint: str, ids: set[str]) -> None:
        """Note rows that an endpoint answered."""
        with self._lock:
            self.ids.setdefault(endpoint, set()).update(ids)

    def find(self, finding: Finding) -> None:
        """Keep a finding, unless enough like it were kept."""
        kind = finding.cases[-1].kind if finding.cases else ""
        with self._lock:
            like = kind, _DIGITS.sub("", finding.what)[:_LIKE_CHARS]
            self.counts_found[like] += 1
            if self.counts_found[like] > _MOST_LIKE:
                return
            self.findings.append(finding)
            place = self._folder / f"finding-{len(self.findings):03}.json"
            finding.write(place)
        seed = finding.cases[-1].seed if finding.cases else ""
        self._say(f"finding: {finding.what} [{kind} {seed}] {place}")

    @property
    def is_full(self) -> bool:
        """Whether so much was found that going on tells nothing new."""
        return len(self.findings) >= _MOST_FINDINGS

    @property
    def requests(self) -> int:
        """How many cases were done."""
        with self._lock:
            return self.counts.total()


class HttpSide:
    """Fuzzes over HTTP.

    Args:
        address: Where the server listens.
        tally: Where everything is counted.
    """

    def __init__(self, address: tuple[str, int], tally: Tally) -> None:
        self._client = Client(address)
        self._tally = tally
        self._before: deque[Case] = deque(maxlen=_KEPT)

    def do(self, case: Case) -> str:
        """Do a case; return what was wrong, if something was."""
        if not case.stays:
            self._before.clear()
        try:
            outcome = self._client.run(case)
        except OSError as error:
            outcome = Outcome([], f"nobody listens: {error}")
        self._before.append(case)
        tally = self._tally
        what = judged(case, outcome)
        tally.count(case.kind, str(outcome.replies[-1].status) if outcome.replies else "no reply")
        for reply in outcome.replies:
            tally.answered(_endpoint_of(reply, case), ids_of(reply))
        if what:
            shown = [f"{reply.status} {reply.body[:300]!r}" for reply in outcome.replies]
            tally.find(Finding(what, list(self._before), shown))
        return what

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def _endpoint_of(reply: Reply, case: Case) -> str:
    """Return the endpoint whose rows a reply has, also where mutations led to another one."""
    if not reply.is_json and "octet-stream" not in reply.headers.get("content-type", ""):
        return case.endpoint
    try:
        said = reply.json()
    except ValueError:
        return case.endpoint
    return str(said.get("model_name") or case.endpoint) if isinstance(said, dict) else case.endpoint


class GrpcSide:
    """Fuzzes over gRPC.

    Args:
        address: Where the server listens.
        tally: Where everything is counted.
    """

    def __init__(self, address: str, tally: Tally) -> None:
        self._client = GrpcClient(address)
        self._tally = tally

    def do(self, case: Case) -> str:
        """Do a case; return what was wrong, if something was."""
        status, details, replies = self._client.run(case)
        what = grpc_judged(case, status, details, replies, case.endpoint in MAY_FAIL)
        self._tally.count(case.kind, status)
        self._tally.answered(case.endpoint, ids_in(case, replies))
        if what:
            self._tally.find(Finding(what, [case], [f"{status} {details[:300]}"]))
        return what

    def close(self) -> None:
        """End the connection."""
        self._client.close()


class Oracle:
    """Asks again and again what was answered well once, on a fresh connection.

    Args:
        address: Where the server listens.
        asked: The requests by endpoint.
        tally: Where everything is counted.
    """

    def __init__(self, address: tuple[str, int], asked: Sequence[tuple[str, Message]], tally: Tally) -> None:
        self._side = Client(address)
        self._tally = tally
        self._cases = [
            Case(f"known good: {endpoint}", "oracle", of_bytes(message.wire()), "ok", endpoint=endpoint)
            for endpoint, message in asked
        ]
        self._expected = [self._ask(case) for case in self._cases]

    def check(self) -> bool:
        """Ask all of them; say whether each was answered as at first."""
        fine = True
        for case, expected in zip(self._cases, self._expected, strict=True):
            found = self._ask(case)
            fine = fine and found == expected
            if found != expected:
                self._tally.find(
                    Finding("a request that was answered well is answered otherwise", [case], [str(found)])
                )
        self._tally.checked += 1
        return fine

    def _ask(self, case: Case) -> object:
        try:
            outcome = self._side.run(case)
        except OSError as error:
            return f"nobody listens: {error}"
        what = judged(case, outcome)
        if what:
            return what
        reply = outcome.replies[-1]
        self._tally.count(case.kind, str(reply.status))
        self._tally.answered(case.endpoint, ids_of(reply))
        said = reply.json()
        return {name: said.get(name) for name in ("outputs", "predictions")}


def during(
    seconds: float, do: Callable[[int], str], *, tally: Tally, every: int, check: Callable[[], bool], first: int = 0
) -> int:
    """Do cases by their number for so long, and check every so often; return the number that comes next."""
    until = time.monotonic() + seconds
    number = first
    while time.monotonic() < until and not tally.is_full:
        do(number)
        number += 1
        if number % every == 0:
            check()
    return number
