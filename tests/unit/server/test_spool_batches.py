"""Batches hold all that was logged one by one, in order, within what MLflow takes."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.server.spool.batches import BODY_BYTES, Batch, joined
from interlock.server.spool.records import Write


def write(call: str, run: str = "r", headers: dict[str, str] | None = None, **fields: Any) -> Write:
    body = json.dumps({"run_id": run, **fields}).encode()
    return Write(call, "POST", f"/api/2.0/mlflow/runs/{call}", headers or {}, body, 0, (run,))


def metric(run: str = "r", **fields: Any) -> Write:
    return write("log-metric", run, **{"key": "k", "value": 0.5, "timestamp": 1, "step": 2, **fields})


def bodies(*writes: Write) -> list[Any]:
    return [json.loads(piece.body() if isinstance(piece, Batch) else piece.body) for piece in joined(writes)]


def test_what_a_run_logs_becomes_one_batch() -> None:
    found = bodies(
        metric(),
        write("log-parameter", key="p", value="1"),
        write("set-tag", key="t", value="a"),
        metric(step=3, value="NaN"),
        write("log-batch", metrics=[{"key": "b", "value": 1, "timestamp": 1}], params=[{"key": "q", "value": "2"}]),
        write("set-tag", key="t", value="b"),
    )
    assert found == [
        {
            "run_id": "r",
            "metrics": [
                {"key": "k", "value": 0.5, "timestamp": 1, "step": 2},
                {"key": "k", "value": "NaN", "timestamp": 1, "step": 3},
                {"key": "b", "value": 1, "timestamp": 1},
            ],
            "params": [{"key": "p", "value": "1"}, {"key": "q", "value": "2"}],
            "tags": [{"key": "t", "value": "b"}],
        }
    ]


def test_numbers_are_sent_as_they_were_written() -> None:
    body = b'{"run_id": "r", "key": "k", "value": 0.1000000000000000055, "timestamp": 12345678901234567890}'
    one = Write("log-metric", "POST", "/x", {}, body, 0, ("r",))
    (batch,) = joined([one, metric()])
    assert isinstance(batch, Batch)
    assert b"0.1000000000000000055" in batch.body() and b"12345678901234567890" in batch.body()


def test_a_batch_that_stands_alone_is_sent_as_it_came() -> None:
    one = write("log-batch", metrics=[{"key": "b", "value": 1, "timestamp": 1}], unknown=[1])
    (batch,) = joined([one])
    assert isinstance(batch, Batch) and batch.body() == one.body


def test_runs_are_kept_apart_and_each_in_order() -> None:
    found = bodies(*(metric(run, step=step) for step in range(3) for run in ("a", "b")))
    assert [(one["run_id"], [point["step"] for point in one["metrics"]]) for one in found] == [
        ("a", [0, 1, 2]),
        ("b", [0, 1, 2]),
    ]


@pytest.mark.parametrize(
    "odd",
    [
        write("log-metric", key="k", value=1, timestamp=1, strange=True),
        write("log-metric", value=1, timestamp=1),
        write("log-parameter", key="p", value="1", strange=True),
        write("log-batch", params=[{"key": "p", "value": "1"}, {"key": "p", "value": "1"}]),
        write("log-batch", metrics=5),
    ],
)
def test_what_fits_no_batch_is_sent_by_itself_in_its_place(odd: Write) -> None:
    found = list(joined([metric(step=1), odd, metric(step=2)]))
    assert [isinstance(piece, Batch) for piece in found] == [True, False, True]
    assert found[1] is odd


def test_a_parameter_stands_once_in_a_batch_and_headers_differ_between_them() -> None:
    again = [write("log-parameter", key="p", value="1"), write("log-parameter", key="p", value="1")]
    assert len(bodies(*again)) == 2
    other = write("log-metric", headers={"x-mlflow-workspace": "w"}, key="k", value=1, timestamp=1)
    assert len(bodies(metric(), other)) == 2


def test_a_batch_stays_below_the_size_that_servers_take() -> None:
    large = [write("set-tag", key=f"t{number}", value="v" * 200_000) for number in range(9)]
    found = list(joined(large))
    assert len(found) == 3
    assert all(isinstance(piece, Batch) and len(piece.body()) <= BODY_BYTES for piece in found)


entries = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["m", "p", "t"]), st.integers(1, 60)), min_size=1, max_size=60
)


@given(entries)
def test_nothing_is_lost_and_no_limit_is_passed(logged: list[tuple[str, str, int]]) -> None:
    writes, expected = [], defaultdict(list)
    for number, (run, kind, count) in enumerate(logged):
        named = [{"key": f"{kind}{number}-{place}", "value": "v"} for place in range(count)]
        points = [{"key": f"k{number}", "value": 1, "timestamp": place} for place in range(count * 9)]
        parts = {"metrics": points} if kind == "m" else {"params" if kind == "p" else "tags": named}
        writes.append(write("log-batch", run, **parts))
        for name, found in parts.items():
            expected[run, name] += found
    sent = defaultdict(list)
    for body in bodies(*writes):
        sizes = {name: len(body.get(name, [])) for name in ("metrics", "params", "tags")}
        assert sizes["params"] <= 100 and sizes["tags"] <= 100 and sum(sizes.values()) <= 1000
        for name in sizes:
            sent[body["run_id"], name] += body.get(name, [])
    assert {key: found for key, found in sent.items() if found} == dict(expected)
