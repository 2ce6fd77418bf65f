"""What steps print is kept line by line, within bounds, and without secrets."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest

from interlock.pipelines.step_logs import Redactor, StepLog, captured


def test_the_beginning_and_the_end_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    log = StepLog(2048, file=str(tmp_path / "live" / "a.log"))
    for number in range(1000):
        log.write(f"line {number:04}\n")
    log.write("unfinished")
    text = log.text()
    assert text.startswith("line 0000\n") and text.endswith("line 0999\nunfinished")
    assert len(text) < 2200
    assert "KiB of output not kept" in text
    live = (tmp_path / "live" / "a.log").read_text()
    log.close()
    assert live.startswith("line 0000\n") and "the end of it follows" in live and live.count("follows") == 1


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    log = StepLog(2048)
    for _ in range(1000):
        log.write("x" * 1000)
    assert len(log.text()) < 4000


def test_lines_that_are_written_over_keep_their_last_state() -> None:
    log = StepLog(2048)
    log.write("10%\r50%\r100%\nnext\r\n20%\r40%\r")
    assert log.text() == "100%\nnext\n40%"


def test_lines_are_in_the_file_as_soon_as_they_end(tmp_path: Path) -> None:
    log = StepLog(2048, file=str(tmp_path / "a.log"))
    log.write("one\ntw")
    assert (tmp_path / "a.log").read_text() == "one\n"
    log.write("o\n")
    assert (tmp_path / "a.log").read_text() == "one\ntwo\n"
    log.close()
    log.write("three\n")
    assert (tmp_path / "a.log").read_text() == "one\ntwo\n"
    assert log.text() == "one\ntwo\nthree\n"


def test_a_folder_that_cannot_be_written_does_not_end_the_step(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    log = StepLog(2048, file=str(tmp_path / "taken" / "a.log"))
    log.write("one\n")
    assert log.text() == "one\n"


def test_secrets_are_taken_out_whole_and_line_by_line() -> None:
    key = "-----BEGIN-----\nabcdefghijkl\n-----END-----"
    redact = Redactor(["hunter2", key, "hunter2-long", " "])
    assert redact and not Redactor([])
    assert redact("a hunter2-long and hunter2 b") == "a *** and *** b"
    log = StepLog(4096, redact=redact)
    log.write("got hun")
    log.write("ter2\n" + key + "\nhunter2")
    assert log.text() == "got ***\n***\n***\n***\n***"


def test_what_is_printed_and_logged_inside_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    log, other = StepLog(4096, redact=Redactor(["secret"])), StepLog(4096)
    before = (sys.stdout, sys.stderr)
    with captured(log):
        print("one secret")
        sys.stderr.writelines(["two\n", "three\n"])
        logging.getLogger("mine").error("four %s", 4)
        with captured(other):
            print("five")
        thread = threading.Thread(target=lambda: print("from a thread"))
        thread.start()
        thread.join()
        assert sys.stdout.isatty() is False
    assert (sys.stdout, sys.stderr) == before
    assert log.text() == "one ***\ntwo\nthree\nERROR mine: four 4\n"
    assert other.text() == "five\n"
    assert capsys.readouterr().out == "one ***\nfive\nfrom a thread\n"


def test_a_log_line_is_heard_once_whoever_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        log = StepLog(4096)
        with captured(log):
            logging.getLogger("mine").warning("alone")
            handler = logging.StreamHandler(sys.stderr)
            root.addHandler(handler)
            logging.getLogger("mine").warning("with a handler")
    finally:
        root.handlers = before
    assert log.text() == "alone\nwith a handler\n"
    assert capsys.readouterr().err == "alone\nwith a handler\n"
