"""The servers the tests are turned to, each a process of its own: `mlflow server` and `interlock up`.

Runs inside the tests' own Python, so the standard library is all it may import.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
# the webhook tests make a new key each, which suits a new database; one that is shared needs one key
SERVER_SETTINGS = {"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "aW50ZXJsb2NrLWNvbmZvcm1hbmNlLWtleS0zMmJ5dGU="}
NOT_FOR_SERVERS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "PYTHONPATH")


class Target(Protocol):
    """A kind of server."""

    def fresh(
        self, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> contextlib.AbstractContextManager[str]:
        """Give the URL of a server that knows nothing yet."""

    def close(self) -> None:
        """Stop what still runs."""


def environment(settings: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment a server is started in."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_FOR_SERVERS}
    return {**SERVER_SETTINGS, **kept, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(settings or {})}


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def stop(process: subprocess.Popen[str]) -> None:
    """End a server and whatever it started; it leads a process group of its own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            break
    if process.stdout:
        process.stdout.close()


def await_answer(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: It ended, or did not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it answered")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"no answer from {url} in {START_TIMEOUT_S} s")


class MLflowServer:
    """`mlflow server`, unmodified, on SQLite with one worker.

    It takes seconds to start, so one process serves all tests: between two of them its database is put back, from
    outside, to what it was after the start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared: tuple[subprocess.Popen[str], str, dict[str, str | None]] | None = None
        self.rows: dict[str, tuple[str, list[tuple[object, ...]]]] = {}

    def start(self, folder: Path, port: int, settings: Mapping[str, str] | None) -> tuple[subprocess.Popen[str], str]:
        """Start a server on a new database."""
        folder.mkdir(parents=True)
        port = port or free_port()
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination",
            f"{folder}/artifacts",
        ]
        with (folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                command, env=environment(settings), stdout=log, stderr=log, text=True, start_new_session=True
            )
        url = f"http://127.0.0.1:{port}"
        try:
            await_answer(f"{url}/health", process)
            # the first question makes the tables and the Default experiment
            await_answer(f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0", process)
            await_answer(f"{url}/api/2.0/mlflow/registered-models/search", process)
        except RuntimeError:
            stop(process)
            raise
        return process, url

    def settings_now(self) -> dict[str, str | None]:
        """Return what a test has set for the server it expects in its own process."""
        return {"MLFLOW_CRYPTO_KEK_PASSPHRASE": os.environ.get("MLFLOW_CRYPTO_KEK_PASSPHRASE")}

    @contextlib.contextmanager
    def fresh(self, *, port: int = 0, settings: Mapping[str, str] | None = None) -> Iterator[str]:
        """Give the shared server, emptied; or one of its own to who asks for a port or for settings."""
        if port or settings:
            process, url = self.start(Path(tempfile.mkdtemp(dir=self.folder)) / "own", port, settings)
            try:
                yield url
            finally:
                stop(process)
            return
        if self.shared and (self.shared[0].poll() is not None or self.shared[2] != self.settings_now()):
            self.close()
        if self.shared:
            self.empty()
        else:
            shutil.rmtree(self.folder / "shared", ignore_errors=True)
            process, url = self.start(self.folder / "shared", 0, None)
            self.shared = (process, url, self.settings_now())
            self.remember()
        yield self.shared[1]

    def database(self) -> contextlib.closing[sqlite3.Connection]:
        """Open the shared server's database."""
        return contextlib.closing(
            sqlite3.connect(self.folder / "shared" / "mlflow.db", timeout=30, isolation_level=None)
        )

    def remember(self) -> None:
        """Remember the rows of every table."""
        with self.database() as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                # computed columns are not listed, and cannot be written
                columns = [row[1] for row in database.execute(f'PRAGMA table_info("{name}")')]
                listed = ",".join(f'"{column}"' for column in columns)
                into = f'INSERT INTO "{name}" ({listed}) VALUES ({",".join("?" * len(columns))})'
                self.rows[name] = (into, database.execute(f'SELECT {listed} FROM "{name}"').fetchall())

    def empty(self) -> None:
        """Put every table back to the remembered rows and drop the artifacts."""
        with self.database() as database:
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute("BEGIN IMMEDIATE")
            for name, (into, rows) in self.rows.items():
                database.execute(f'DELETE FROM "{name}"')
                database.executemany(into, rows)
            database.execute("COMMIT")
        shutil.rmtree(self.folder / "shared" / "artifacts", ignore_errors=True)

    def close(self) -> None:
        """Stop the shared server."""
        if self.shared:
            stop(self.shared[0])
            self.shared = None


class InterlockServer:
    """`interlock up` on a new folder, once for every test: no hook in the server, nothing to put back."""

    def __init__(self, folder: Path, *, python: str, path: str) -> None:
        self.folder = folder
        self.python = python
        self.path = path

    @contextlib.contextmanager
    def fresh(self, *, port: int = 0, settings: Mapping[str, str] | None = None) -> Iterator[str]:
        """Start a server on a folder of its own and end it afterwards."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        command = [self.python, "-c", "from interlock.cli.main import main; main()", "up"]
        command += ["--dir", str(folder / "workspace"), "--port", str(port), "--json"]
        with (folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                command,
                env=environment(settings) | {"PYTHONPATH": self.path},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            yield self.url(process, folder / "server.log")
        finally:
            stop(process)
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, process: subprocess.Popen[str], log: Path) -> str:
        """Read the URL that the server prints when it is up.

        Raises:
            RuntimeError: It printed something else, or nothing.
        """
        line = process.stdout.readline() if process.stdout else ""
        try:
            return str(json.loads(line)["url"]).rstrip("/")
        except (ValueError, KeyError) as wrong:
            raise RuntimeError(f"`interlock up` did not start: {line.strip()} {log.read_text()[-400:]}") from wrong

    def close(self) -> None:
        """Nothing runs between two tests."""
