"""The fuzzer tells servers that fail from servers that refuse."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.serving_fuzz import byte_mutations, tensor_mutations
from scripts.serving_fuzz.cases import Case, Finding, Step, of_bytes, read_finding
from scripts.serving_fuzz.fuzzing import HttpSide, Oracle, Tally
from scripts.serving_fuzz.report import summary, table
from scripts.serving_fuzz.seeds import Message, Model, infer
from scripts.serving_fuzz.watched import Reading, changes
from scripts.serving_fuzz.wire_cases import RUDE, WIRE, wire_case

MODEL = Model(
    "delay",
    ({"name": "x", "datatype": "FP64", "shape": [-1]}, {"name": "city", "datatype": "BYTES", "shape": [-1]}),
    ({"name": "probability", "datatype": "FP64", "shape": [-1]},),
)
GOOD = b'{"outputs":[{"name":"probability","data":[0.5]}],"parameters":{"prediction_ids":["a"]}}'
REFUSED = b'{"error":"no"}'


def reply(body: bytes = GOOD, status: int = 200, *headers: bytes) -> bytes:
    """Return a reply."""
    lines = [b"HTTP/1.1 %d " % status, b"content-type: application/json", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@contextmanager
def saying(*replies: bytes) -> Iterator[tuple[str, int]]:
    """Listen, and say these replies to what comes, one on each connection; the last one from then on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ends = threading.Event()

        def serve() -> None:
            said = list(replies)
            while not ends.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(said.pop(0) if len(said) > 1 else said[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[:2]
        ends.set()
        socket.create_connection(listener.getsockname()[:2]).close()
        thread.join()


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    return Tally(tmp_path, say=lambda text: None)


def case(**fields: object) -> Case:
    return Case(**{"kind": "a", "seed": "1/http/1", "steps": of_bytes(b"GET / HTTP/1.1\r\n\r\n"), **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "fields", "what"),
    [
        (reply(), {"wants": "ok"}, ""),
        (reply(REFUSED, 400), {"wants": "refused"}, ""),
        (reply(REFUSED, 503), {}, ""),
        (reply(REFUSED, 500), {}, "status 500"),
        (reply(b'{"error":"the model failed; x"}', 500), {"endpoint": "guess"}, ""),
        (reply(b'{"error":"the model failed; x"}', 500), {"endpoint": "delay"}, "status 500"),
        (reply(REFUSED, 400), {"wants": "ok"}, "a request in order was answered [400]"),
        (reply(), {"wants": "refused"}, "a request that must be refused was answered 200"),
        (reply(b'{"detail":"no"}', 400), {}, "an error of an unknown shape"),
        (reply(b'{"error":"Traceback (most recent call last)"}', 400), {}, "the reply holds a traceback"),
        (reply(b"{"), {}, "the reply is no JSON"),
        (reply() * 2, {}, "2 replies to what are 1 requests"),
        (b"", {}, "0 replies of 1"),
        (b"", {"least": 0}, ""),
        (b"hello\r\n\r\n", {}, "malformed reply: no status line"),
        (reply()[:-1], {}, "malformed reply: a body of"),
        (reply(GOOD, 200, b"transfer-encoding: chunked"), {}, "malformed reply: a reply has both"),
        (reply(GOOD, 200, b"content-encoding: gzip"), {}, "malformed reply: the body is not gzip"),
        (reply(REFUSED, 400), {"head_only": True}, "malformed reply"),
    ],
)
def test_what_must_not_come_is_found_and_can_be_done_again(
    tally: Tally, tmp_path: Path, said: bytes, fields: dict[str, object], what: str
) -> None:
    with saying(said) as address:
        side = HttpSide(address, tally)
        found = side.do(case(**fields))
        side.close()
    assert found.startswith(what) if what else found == ""
    assert [finding.what for finding in tally.findings] == ([found] if what else [])
    if what:
        assert read_finding(tmp_path / "finding-001.json").cases == [case(**fields)]


def test_findings_that_are_alike_are_kept_a_few_times(tally: Tally) -> None:
    for number in range(10):
        tally.find(Finding(f"status 500 in {number}", [case()], []))
    assert len(tally.findings) == 3


def test_a_right_answer_that_becomes_another_is_found(tally: Tally) -> None:
    other = GOOD.replace(b"0.5", b"0.75")
    with saying(reply(), reply(), reply(other)) as address:
        oracle = Oracle(address, [("delay", Message("GET", "/"))], tally)
        assert oracle.check()
        assert not oracle.check()
    assert tally.ids == {"delay": {"a"}}
    assert tally.findings[0].what == "a request that was answered well is answered otherwise"


def test_growth_and_replaced_processes_are_told() -> None:
    before = Reading({1: 0.5}, 100.0, 8, 40, 1.0)
    assert changes(before, Reading({1: 0.5}, 109.0, 9, 42, 5.0)) == []
    found = changes(before, Reading({2: 0.5}, 111.0, 11, 43, 5.0))
    assert [one.split()[0] for one in found] == ["processes", "memory", "threads", "open"]


@pytest.mark.parametrize("change", tensor_mutations.MUTATIONS)
def test_lies_about_tensors_are_no_requests_in_order(change: object) -> None:
    for seed in range(60):
        message, wants = change(random.Random(seed), MODEL)  # type: ignore[operator]
        assert message.wire().startswith(b"POST /v2/models/delay/infer HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert wants in ("refused", "any")


@pytest.mark.parametrize("change", byte_mutations.MUTATIONS)
def test_every_request_can_be_changed(change: object) -> None:
    for seed in range(60):
        dice = random.Random(seed)
        message, _ = change(dice, infer(dice, MODEL).message())  # type: ignore[operator]
        assert message.wire()


@pytest.mark.parametrize("make", [*WIRE, *RUDE])
def test_cases_of_the_wire_come_from_their_seed(make: object) -> None:
    for seed in range(20):
        first, second = (wire_case(random.Random(seed), MODEL, make, "a") for _ in range(2))  # type: ignore[arg-type]
        assert first == second
        assert all(isinstance(step, Step) for step in first.steps)


def test_the_table_tells_everything(tally: Tally, tmp_path: Path) -> None:
    tally.count("tensors: sizes", "400")
    tally.find(Finding("status 500", [case()], []))
    reading = Reading({1: 0.5}, 100.0, 8, 40, 1.0)
    found = summary(tally, {"every endpoint": (reading, reading)}, seed=7, seconds=60.0, folder=tmp_path)
    text = table(found)
    assert "| tensors: sizes | 1 | 400 ×1 |" in text
    assert "| every endpoint | 100.0 → 100.0 | 8 → 8 | 40 → 40 | 1.0 → 1.0 | yes |" in text
    assert text.endswith("- status 500 a")
