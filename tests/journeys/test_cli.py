"""The command line as a person or a script meets it: processes, exit codes, signals, pipes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "interlock.cli.main"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a table, and nothing else."""
    (tmp_path / "planes.csv").write_text("tail,seats\nN1,100\nN2,\n")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("INTERLOCK_")}
    return kept | more


def interlock(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, cwd=cwd, env=environment(**env), timeout=60, check=False
    )


def started(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment()
    )


def test_a_newcomer_commits_a_table_and_finds_it_again(home: Path) -> None:
    done = interlock("data", "commit", "planes.csv", "--message", "first", cwd=home)
    assert (done.returncode, done.stderr) == (0, "") and "dataset:planes@1" in done.stdout
    assert (home / ".interlock" / "workspace.json").is_file()
    below = home / "deep" / "down"
    below.mkdir(parents=True)
    assert "dataset:planes@1" in interlock("data", "list", cwd=below).stdout
    again = json.loads(interlock("--json", "data", "commit", str(home / "planes.csv"), cwd=below).stdout)
    assert again["version"] == 1, "equal content makes no new snapshot"
    assert "dataset.committed" in interlock("event", "list", cwd=home).stdout
    assert interlock("verify", cwd=home).returncode == 0


def test_the_workspace_is_chosen_by_option_then_environment(home: Path) -> None:
    interlock("--dir", "one", "data", "commit", "planes.csv", cwd=home)
    assert (home / "one" / "workspace.json").is_file()
    listed = interlock("data", "list", "--json", cwd=home, INTERLOCK_URI=str(home / "one"))
    assert len(json.loads(listed.stdout)) == 1
    missing = interlock("--dir", "two", "data", "list", cwd=home, INTERLOCK_URI=str(home / "one"))
    assert missing.returncode == 3 and not (home / "two").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["data", "list"], 3, "there is no workspace"),
        (["daat", "list"], 2, "did you mean 'data'"),
        (["--dir", "planes.csv", "data", "list"], 2, "is a file"),
        (["--dir", ".", "data", "commit", "planes.csv"], 2, "is not a workspace"),
        (["--dir", "ftp://x", "data", "list"], 2, "unknown scheme"),
        (["--dir", "http://127.0.0.1:9", "data", "list"], 5, "does not answer"),
        (["data", "commit", "nothing.csv"], 3, "there is no file"),
    ],
)
def test_bad_input_gets_words_an_exit_code_and_leaves_nothing(
    home: Path, words: list[str], code: int, said: str
) -> None:
    refused = interlock(*words, cwd=home)
    assert refused.returncode == code, refused.stderr
    assert said in refused.stderr and "Traceback" not in refused.stderr and refused.stdout == ""
    assert {line.split(":")[0] for line in refused.stderr.splitlines()} <= {"error", "because", "try"}
    assert [path.name for path in home.iterdir()] == ["planes.csv"]


def test_a_workspace_of_a_newer_version_is_left_alone(home: Path) -> None:
    interlock("data", "commit", "planes.csv", cwd=home)
    database = sqlite3.connect(home / ".interlock" / "metadata.db")
    with database:
        database.execute("INSERT INTO schema_versions VALUES (999, 0)")
    database.close()
    refused = interlock("data", "list", cwd=home)
    assert refused.returncode == 7 and "pip install --upgrade interlock" in refused.stderr


def test_a_damaged_workspace_is_named(home: Path) -> None:
    interlock("data", "commit", "planes.csv", cwd=home)
    for file in (home / ".interlock").glob("metadata.db*"):
        file.write_bytes(b"not a database, but long enough to be read as one" * 100)
    refused = interlock("data", "list", cwd=home)
    assert refused.returncode == 6 and "metadata.db is damaged" in refused.stderr


def test_a_reader_that_has_seen_enough_is_no_error(home: Path) -> None:
    for number in range(40):
        (home / f"t{number}.csv").write_text("a\n1\n")
    interlock("data", "commit", "planes.csv", cwd=home)
    command = started("data", "list", cwd=home)
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    with command.stderr:
        assert command.stderr.read() == ""
    assert command.wait(timeout=60) == 141


def test_following_events_ends_with_an_interrupt(home: Path) -> None:
    interlock("data", "commit", "planes.csv", cwd=home)
    tail = started("event", "tail", "--json", cwd=home)
    assert tail.stdout is not None
    assert json.loads(tail.stdout.readline())["kind"] == "dataset.committed"
    (home / "planes.csv").write_text("tail,seats\nN3,7\n")
    interlock("data", "commit", "planes.csv", cwd=home)
    assert json.loads(tail.stdout.readline())["payload"]["rows"] == 1
    tail.send_signal(signal.SIGINT)
    _, err = tail.communicate(timeout=60)
    assert (tail.returncode, err) == (130, "interrupted\n")


def test_the_platform_starts_answers_and_stops(home: Path) -> None:
    interlock("data", "commit", "planes.csv", cwd=home)
    up = started("--json", "up", "--port", "0", cwd=home)
    assert up.stdout is not None
    url = json.loads(up.stdout.readline())["url"]
    with urllib.request.urlopen(url + "/healthz", timeout=30) as answer:
        assert answer.status == 200
    over_http = json.loads(interlock("--json", "--dir", url, "data", "list", cwd=home).stdout)
    assert over_http == json.loads(interlock("--json", "data", "list", cwd=home).stdout)
    up.send_signal(signal.SIGTERM)
    _, err = up.communicate(timeout=60)
    assert (up.returncode, err) == (0, "")


def test_a_taken_port_is_named_and_nothing_is_made(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = interlock("up", "--port", str(port), cwd=home)
    assert refused.returncode == 5 and f"port {port}" in refused.stderr and "--port" in refused.stderr
    assert not (home / ".interlock").exists()


def test_an_address_beyond_this_machine_needs_a_token(home: Path) -> None:
    refused = interlock("up", "--host", "0.0.0.0", "--port", "0", cwd=home)
    assert refused.returncode == 1 and "INTERLOCK_TOKEN" in refused.stderr
