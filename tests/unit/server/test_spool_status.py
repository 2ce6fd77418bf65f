"""How a spool stands can be asked of its process, and read from its folder where none runs."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.cli.main import main
from interlock.cli.spool import _sentence
from interlock.core.errors import NotFound, Unavailable
from interlock.server.serve import address, listen, serving
from interlock.server.spool.records import Write, encode_write
from interlock.server.spool.status import ADDRESS, SpoolStatus, read_status
from tests.unit.server.spooled import API, opened

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UP = "http://up:1"
STATUS = SpoolStatus(
    running=True,
    to=UP,
    upstream="away",
    away_since=datetime.now(UTC) - timedelta(minutes=3),
    trouble="refused",
    waiting=12_345,
    waiting_bytes=10,
    oldest_at=datetime.now(UTC) - timedelta(hours=2),
    forwarded=7,
    refused=2,
    refused_file="/f/refused.jsonl",
    folder="/f",
    size_bytes=2048,
    max_bytes=4096,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spool that ended with two writes waiting and one refused."""
    store = opened(tmp_path / "spool", UP)
    body = msgspec.json.encode({"run_id": "r", "key": "k", "value": 1, "timestamp": 1})
    write = Write("log-metric", "POST", f"{API}/runs/log-metric", {}, body, 1_500, ("r",))
    store.log.append([encode_write(write)] * 3)
    store.refusals.add(0, write, status=400, answer="no", now=NOW)
    store.state.advance(1)
    store.close()
    return tmp_path / "spool"


@contextlib.contextmanager
def running(folder: Path, answer: bytes) -> Iterator[None]:
    """Hold the folder as a running spool does, and answer as one."""

    class App:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": answer})

    store = opened(folder, UP)
    with listen("127.0.0.1", 0) as listener:
        (folder / ADDRESS).write_text(address(listener))
        with serving(App(), listener):
            yield
    store.close()


def test_a_folder_without_a_process_tells_what_waits(folder: Path) -> None:
    status = read_status(folder)
    assert (status.running, status.upstream, status.to) == (False, "unknown", UP)
    assert (status.waiting, status.refused, status.refused_file) == (2, 1, str(folder / "refused.jsonl"))
    assert status.oldest_at == datetime.fromtimestamp(1.5, UTC)
    assert status.size_bytes > status.waiting_bytes > 0
    opened(folder, UP).close()


def test_a_process_is_asked(folder: Path) -> None:
    with running(folder, msgspec.json.encode(STATUS)):
        assert read_status(folder) == STATUS


def test_a_process_that_does_not_answer_is_told(folder: Path) -> None:
    with running(folder, b"nonsense"), pytest.raises(Unavailable):
        read_status(folder)
    store = opened(folder, UP)
    with pytest.raises(Unavailable):
        read_status(folder)
    store.close()


def test_where_there_is_no_spool_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_status(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_people_and_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(folder, msgspec.json.encode(STATUS)):
        assert main(["spool", "--status", "--dir", str(folder)]) == 0
        told = capsys.readouterr().out
        assert "http://up:1 is away; 12,345 writes wait." in told
        for line in (
            r"away for   \d+ min",  # counted from when this module was loaded
            r"oldest     2 h \d+ min",
            r"refused    2 in /f/refused\.jsonl",
            r"folder     /f \(2\.0 KiB\)",
        ):
            assert re.search(line, told), line
        assert main(["--json", "spool", "--status", "--dir", str(folder)]) == 0
        assert json.loads(capsys.readouterr().out)["waiting"] == 12_345
    assert main(["spool", "--status", "--dir", str(folder)]) == 0
    assert "is not looked at: no spool runs here; 2 writes wait." in capsys.readouterr().out
    assert "nothing waits" in _sentence(msgspec.structs.replace(STATUS, waiting=0))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "--to is not given"),
        (["--to", "nonsense"], 2, "not the address of a tracking server"),
        (["--to", "http://other:1"], 4, "belongs to another server"),
        (["--status"], 3, "there is no spool"),
    ],
)
def test_the_command_refuses_in_words(
    folder: Path, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder / "none" if "--status" in words else folder
    assert main(["spool", *words, "--port", "0", "--dir", str(place)]) == code
    assert told in capsys.readouterr().err


def test_the_folder_is_in_the_home_folder_unless_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent / "home"))
    (folder.parent / "home" / ".interlock").mkdir(parents=True)
    folder.rename(folder.parent / "home" / ".interlock" / "spool")
    assert main(["spool", "--status"]) == 0
    assert "2 writes wait" in capsys.readouterr().out
