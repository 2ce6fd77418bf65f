"""The pytest plugin that turns MLflow's tests to a server behind a URL and notes what comes of each.

Runs inside the tests' own Python, which has MLflow and not Interlock. What to do comes in by environment variables.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlflow_conformance.targets import InterlockServer, MLflowServer, Target

SETTINGS = json.loads(os.environ["MLFLOW_CONFORMANCE"])
FOLDER = Path(SETTINGS["folder"])
TARGET: Target = (
    MLflowServer(FOLDER) if SETTINGS["target"] == "mlflow" else InterlockServer(FOLDER, **SETTINGS["interlock"])
)
ONLY = frozenset(SETTINGS["only"]) if SETTINGS["only"] is not None else None


class Tally:
    """Counts the requests that reach the server under test, test by test, and keeps the last that it refused."""

    def __init__(self) -> None:
        self.urls: set[str] = set()
        self.calls = 0
        self.refused = ""

    def begin(self) -> None:
        """Start on a new test."""
        self.calls = 0
        self.refused = ""

    def attach(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """Return a `send` of the HTTP client that counts."""

        def counted(adapter: object, request: Any, *args: object, **options: object) -> object:
            answer = send(adapter, request, *args, **options)
            if any(str(request.url).startswith(url) for url in self.urls):
                self.calls += 1
                if answer.status_code >= 400:
                    self.refused = f"{request.method} {request.path_url.partition('?')[0]} {answer.status_code}"
            return answer

        return counted


TALLY = Tally()


@contextlib.contextmanager
def fresh(port: int = 0, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Give the URL of a server that knows nothing yet, and count what reaches it."""
    with TARGET.fresh(port=port, settings=settings) as url:
        TALLY.urls.add(url)
        try:
            yield url
        finally:
            TALLY.urls.discard(url)


class RemoteInsteadOfThread:
    """Stands in for the tests' `ServerThread`, which would serve the app from the tests' own process.

    There the server and the tracking URI of the test share one database, so here the tracking URI is the server's.
    """

    def __init__(self, app: object, port: int) -> None:
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> str:
        from mlflow.tracking._tracking_service.utils import _use_tracking_uri

        url = self.stack.enter_context(fresh())
        self.stack.enter_context(_use_tracking_uri(url))
        return url

    def __exit__(self, *exception: object) -> None:
        self.stack.close()


@contextlib.contextmanager
def remote_instead_of_subprocess(
    backend_uri: str, root_artifact_uri: str, extra_env: Mapping[str, str] | None = None, **options: object
) -> Iterator[str]:
    """Stand in for the tests' `_init_server`, which would start MLflow's app on a database of the test's choice."""
    with fresh(settings=extra_env) as url:
        yield url


@contextlib.contextmanager
def remote_on_port(host: str, port: int, *places: str) -> Iterator[None]:
    """Stand in for the `_launch_server` of the artifact tests."""
    with fresh(port=port):
        yield None


def path_through_the_server(find: Callable[[str], str]) -> Callable[[str], str]:
    """Return a `local_file_uri_to_path` that fetches what the server keeps.

    Tests look at the files of a run by the path in its artifact URI. With the server elsewhere they are given a copy,
    downloaded from it, which asks more of the server rather than less.
    """

    def found(uri: str) -> str:
        if not str(uri).startswith("mlflow-artifacts:"):
            return find(uri)
        import mlflow

        return str(mlflow.artifacts.download_artifacts(str(uri)))

    return found


def pytest_configure(config: pytest.Config) -> None:
    """Put the stand-ins in place before any test module is imported."""
    import requests.adapters
    from mlflow.utils import file_utils
    from tests.tracking import integration_test_utils as seam

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    file_utils.local_file_uri_to_path = path_through_the_server(file_utils.local_file_uri_to_path)
    seam.ServerThread = RemoteInsteadOfThread
    seam._init_server = remote_instead_of_subprocess
    requests.adapters.HTTPAdapter.send = TALLY.attach(requests.adapters.HTTPAdapter.send)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the tests that are asked for."""
    for item in items:
        module: Any = getattr(item, "module", None)
        if hasattr(module, "_launch_server"):
            module._launch_server = remote_on_port
    if ONLY is not None:
        items[:] = [item for item in items if item.nodeid in ONLY]


@pytest.fixture(autouse=True)
def tracking_uri_of_the_server(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set the tracking URI after the tests' own fixture has set it to a local database."""
    if not SETTINGS["client"] or "notrackingurimock" in request.keywords:
        yield
        return
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    request.getfixturevalue("tracking_uri_mock")
    with fresh() as url, _use_tracking_uri(url):
        yield


def note(record: Mapping[str, object]) -> None:
    """Write one outcome at once, so that a crash loses none."""
    with Path(SETTINGS["out"]).open("a") as out:
        out.write(json.dumps(record) + "\n")


def reason(report: Any) -> str:
    """Return the first line of a failure."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    if isinstance(report.longrepr, tuple):
        text = str(report.longrepr[2])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if crash or not lines else lines[-1])[:400] if lines else ""


class Notes:
    """What has been seen of the running test."""

    outcome = "passed"
    reason = ""
    seconds = 0.0


NOTES = Notes()


def pytest_runtest_logstart(nodeid: str) -> None:
    """Begin a test."""
    TALLY.begin()
    NOTES.outcome, NOTES.reason, NOTES.seconds = "passed", "", 0.0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take in one phase of a test."""
    NOTES.seconds += report.duration
    if report.outcome in ("failed", "skipped") and NOTES.outcome == "passed":
        NOTES.outcome = str(report.outcome)
        NOTES.reason = reason(report)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Write what came of a test."""
    note(
        {
            "id": nodeid,
            "outcome": NOTES.outcome,
            "reason": NOTES.reason,
            "seconds": round(NOTES.seconds, 3),
            "calls": TALLY.calls,
            "refused": TALLY.refused,
        }
    )


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that cannot be collected."""
    if report.failed:
        note({"id": report.nodeid, "outcome": "not collected", "reason": reason(report), "seconds": 0.0, "calls": 0})


def pytest_sessionfinish() -> None:
    """Stop what still runs."""
    TARGET.close()
