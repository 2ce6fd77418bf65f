from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from interlock.testing.open_inference import bad_input_checks, command, rest_checks, running
from interlock.testing.open_inference.checks import (
    Check,
    Group,
    Mismatch,
    Target,
    expect,
    expect_equal,
    lacking,
    short,
)
from interlock.testing.open_inference.http_calls import output, refused, send
from interlock.testing.open_inference.models import DATATYPES, all_models
from interlock.testing.open_inference.report import Report, as_json, as_page, as_table, counts, from_json
from interlock.testing.open_inference.running import run_checks, run_suite
from interlock.testing.open_inference.suite import GROUPS, all_checks
from tests.open_inference_server import open_inference_server


class Agreeing(BaseHTTPRequestHandler):
    """Says yes to everything, whatever it is."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        self.send_response(200)
        body = b"{}"
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 (the name is the library's)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def agreeing() -> Iterator[Target]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agreeing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Target(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


def raw_checks() -> list[Check]:
    return [check for group in (*rest_checks.GROUPS, *bad_input_checks.GROUPS) for check in group.checks]


def test_every_check_of_bad_input_fails_a_server_that_says_yes_to_everything(agreeing: Target) -> None:
    checks = [check for group in bad_input_checks.GROUPS for check in group.checks]
    assert {one.verdict for one in run_checks(checks, agreeing)} == {"fail"}


def test_most_checks_of_answers_fail_it_too(agreeing: Target) -> None:
    checks = [check for group in rest_checks.GROUPS for check in group.checks]
    passed = [one.title for one in run_checks(checks, agreeing) if one.verdict == "pass"]
    # these want no more than a status
    assert {title for title in passed if "ready" not in title and "live" not in title} <= {
        "the log settings can be read",
        "the trace settings can be read",
        "the trace settings of a model can be read",
        "the status of system shared memory can be read",
        "the status of CUDA shared memory can be read",
    }


def test_checks_have_names_of_their_own_and_there_are_many() -> None:
    names = [check.name for check in all_checks()]
    assert len(names) == len(set(names)) > 300
    assert {check.group for check in all_checks()} == {group.title for group in GROUPS}


def test_our_server_passes_what_is_sent_as_bytes() -> None:
    with open_inference_server(grpc=False) as (url, _):
        seen: list[str] = []
        outcomes = run_checks(raw_checks(), Target(url), on_outcome=lambda one: seen.append(one.title))
    assert [one for one in outcomes if one.verdict != "pass"] == []
    assert len(seen) == len(outcomes) > 150


def test_what_needs_more_than_there_is_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("http://127.0.0.1:1")
    assert lacking(("http",), target) == ""
    assert lacking(("grpc",), target) == "no address of gRPC was given"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert lacking(("kserve",), target) == "the client 'kserve' is not installed"
    (outcome,) = run_checks([Check("g", "t", pytest.fail, ("kserve",))], target)
    assert (outcome.verdict, "not installed" in outcome.got) == ("not run", True)


def test_a_check_that_hangs_or_breaks_has_failed() -> None:
    over = threading.Event()
    group = Group("odd")
    group.add("it hangs", lambda target: void(over.wait(60)))
    group.add("it breaks", lambda target: void([][1]))
    target = Target("http://127.0.0.1:1")
    hung, broken = run_checks(group.checks, target, timeout_s=0.05)
    over.set()
    assert (hung.verdict, hung.expected, hung.got) == ("fail", "an answer within 0.05 s", "none")
    assert "IndexError" in broken.got


def void(anything: Any) -> None:
    """Take a value."""


def test_a_server_that_is_not_there_has_given_no_answer() -> None:
    with pytest.raises(Mismatch, match="expected an answer"):
        send(Target("http://127.0.0.1:1"), "GET", "/v2")
    assert command.main(["http://127.0.0.1:1"]) == 2


def test_replies_are_held_against_the_protocol(agreeing: Target) -> None:
    with pytest.raises(Mismatch, match="400 to 499"):
        refused(send(agreeing, "GET", "/"))
    with pytest.raises(Mismatch, match="the output 'y'"):
        output({"outputs": [{"name": "x"}]}, "y")
    with pytest.raises(Mismatch, match="expected 1, got 2"):
        expect_equal(2, 1)
    expect(True, expected="", got="")
    assert short("a\n" * 300).endswith("…")


def test_the_models_are_what_the_page_says() -> None:
    models = all_models()
    assert len(models) == len(DATATYPES) + 2
    assert [column.shape for column in models["simple"][0].inputs] == [(-1, 16), (-1, 16)]


@pytest.fixture
def reports(agreeing: Target) -> list[Report]:
    found = []
    with open_inference_server(grpc=False) as (url, _):
        for name, target in (("ours 1", Target(url)), ("odd | 2", agreeing)):
            outcomes = run_checks(rest_checks.HEALTH.checks, target)
            found.append(Report(name, {"tritonclient": "1"}, tuple(outcomes)))
    return found


def test_a_report_comes_back_from_json(reports: list[Report]) -> None:
    assert from_json(as_json(reports[0])) == reports[0]


def test_tables_and_pages_say_what_went_wrong(reports: list[Report]) -> None:
    ours, odd = reports
    assert counts(ours) == f"{len(ours.outcomes)} of {len(ours.outcomes)} checks pass, 0 fail"
    text = as_table(odd)
    assert "✗ the server says its name, its version and its extensions" in text
    assert "expected: name, version, extensions" in text
    page = as_page(reports)
    assert f"| **all** | **{len(ours.outcomes)}** | **{len(ours.outcomes)}** |" in page
    assert "## What odd | 2 does instead" in page
    assert "| the server is live | ✓ | ✓ |" in page
    assert "odd \\| 2" in page


def test_what_was_not_run_is_told_apart() -> None:
    (outcome,) = run_checks([Check("g", "t", pytest.fail, ("grpc",))], Target("http://127.0.0.1:1"))
    report = Report("r", {}, (outcome,))
    assert counts(report) == "0 of 0 checks pass, 0 fail, 1 were not run"
    assert "– t" in as_table(report)
    assert "| g | 1 | not run |" in as_page([report])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the suite hold few checks."""
    for module in (running, command):
        monkeypatch.setattr(module, "all_checks", lambda: rest_checks.HEALTH.checks[:2])


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("flags", "said"),
    [([], "2 of 2 checks pass"), (["--json"], '"verdict"'), (["--page"], "| **all** | **2** | **2** |")],
)
def test_the_command_shows_what_became_of_the_checks(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_inference_server(grpc=False) as (url, _):
        assert command.main([url, *flags]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("few")
def test_a_page_may_have_other_servers_beside(
    agreeing: Target, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([agreeing.url, "--json", "--name", "odd"]) == 0
    (tmp_path / "odd.json").write_text(capsys.readouterr().out)
    assert command.main([agreeing.url, "--page", "--beside", str(tmp_path / "odd.json")]) == 0
    assert f"| {agreeing.url} | odd |" in capsys.readouterr().out


def test_failures_are_in_the_exit_code(agreeing: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "all_checks", lambda: bad_input_checks.JSON_BODIES.checks[:1])
    assert command.main([agreeing.url]) == 1


def test_kserves_checks_run_in_a_process_of_their_own(
    agreeing: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    child = tmp_path / "child"
    told = as_json(Report("", {}, tuple(run_checks(rest_checks.HEALTH.checks[:1], agreeing))))
    child.write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\n")
    child.chmod(0o755)
    monkeypatch.setattr(running, "all_checks", lambda: [Check("g", "t", pytest.fail, ("kserve",))])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(sys, "executable", str(child))
    (outcome,) = run_suite(Target(agreeing.url, "127.0.0.1:1"), on_outcome=lambda one: None)
    assert (outcome.title, outcome.verdict) == (rest_checks.HEALTH.checks[0].title, "pass")
