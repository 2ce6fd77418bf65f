"""Let schemathesis make requests from what a server says of itself, in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scripts.serving_fuzz.cases import Case, Finding
from scripts.serving_fuzz.fuzzing import Tally

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class OpenApiSide:
    """Runs schemathesis, one description after the other.

    Args:
        command: Where it is installed.
        folder: Where its answers and reports are kept.
        tally: Where everything is counted.
    """

    def __init__(self, command: Path, folder: Path, tally: Tally) -> None:
        self._command = command
        self._folder = folder
        self._tally = tally
        self._process: subprocess.Popen[str] | None = None

    def run(self, url: str, description: str, *, seed: int, seconds: float, endpoint: str = "") -> bool:
        """Run it once; say whether all was well.

        Args:
            url: Where the server listens.
            description: Path of the OpenAPI document.
            seed: What its dice are thrown from.
            seconds: How long it may take.
            endpoint: The endpoint whose rows are answered.
        """
        answers = self._folder / f"openapi-{seed}.jsonl"
        report = self._folder / f"openapi-{seed}.txt"
        command = [str(self._command), "run", url + description, "--url", url, "--seed", str(seed)]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
        command += ["--max-time", str(max(1, int(seconds))), "--generation-database", "none", "--warnings", "off"]
        command += ["--suppress-health-check", "all", "--request-timeout", "20", "--no-color"]
        here = Path(__file__).parent
        environ = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "openapi_hooks",
            "SERVING_FUZZ_ANSWERS": str(answers),
            "PYTHONPATH": str(here),
        }
        with report.open("w") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, text=True, env=environ, cwd=self._folder
            )
            try:
                code = self._process.wait(seconds + 120)
            except subprocess.TimeoutExpired:
                self._process.terminate()
                code = self._process.wait(30)
        self._read(answers, endpoint)
        if code == 0:
            return True
        text = _COLOUR.sub("", report.read_text(errors="replace"))
        what = f"schemathesis --seed {seed} on {description} ended with {code}"
        case = Case("openapi", str(seed), [], endpoint=endpoint)
        shown = text[text.find("FAILURES") :] if "FAILURES" in text else text[-3_000:]
        self._tally.find(Finding(what, [case], [shown[:6_000]]))
        return False

    def _read(self, answers: Path, endpoint: str) -> None:
        if not answers.exists():
            return
        with answers.open() as file:
            for line in file:
                said = json.loads(line)
                known = said["method"] in ("GET", "POST")
                kind = f"{said['method']} {_kind(said['path'])}" if known else "other methods"
                self._tally.count(f"openapi: {kind}", str(said["status"]))
                self._tally.answered(endpoint, set(said["ids"]))

    def stop(self) -> None:
        """End what runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()


def _kind(path: str) -> str:
    """Return a path without the name of the model.

    Example:
        >>> _kind("/v1/models/delay:predict")
        '/v1/models/…:predict'
    """
    return re.sub(r"(models|endpoints|deployedModels)/[^/:]+", r"\1/…", path)


def in_turn(
    side: OpenApiSide,
    places: list[tuple[str, str, str]],
    *,
    seed: int,
    seconds: float,
    each_s: float,
    goes_on: Callable[[], bool],
) -> None:
    """Run it on one description after the other for so long; each run has a seed of its own."""
    until = time.monotonic() + seconds
    turn = 0
    while (left := until - time.monotonic()) > 3 and goes_on():
        url, description, endpoint = places[turn % len(places)]
        side.run(url, description, seed=seed * 1_000 + turn, seconds=min(each_s, left), endpoint=endpoint)
        turn += 1
