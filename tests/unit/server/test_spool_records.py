"""Addresses become calls, and calls say what they are about."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.server.mlflow.wire import Failure
from interlock.server.spool.records import (
    Call,
    Subjects,
    Write,
    call_of,
    decode_write,
    encode_write,
    mentioned,
    read_object,
    subjects,
)

RUN = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("POST", "/api/2.0/mlflow/runs/create", Call("create-run")),
        ("POST", "/ajax-api/2.0/mlflow/runs/log-batch", Call("log-batch")),
        ("POST", "/v1/traces", Call("otlp-traces")),
        ("POST", "/api/3.0/mlflow/traces", Call("start-trace")),
        ("PATCH", "/api/2.0/mlflow/logged-models/m-1", Call("finalize-model", ("m-1",))),
        ("PATCH", "/api/2.0/mlflow/logged-models/m-1/tags", Call("set-model-tags", ("m-1",))),
        ("DELETE", "/api/2.0/mlflow/logged-models/m-1/tags/k", Call("delete-model-tag", ("m-1", "k"))),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/a/f", Call("put-artifact", ("0/a/f",))),
        ("GET", "/api/2.0/mlflow/runs/create", None),
        ("POST", "/api/2.0/mlflow/runs/search", None),
        ("DELETE", "/api/2.0/mlflow/logged-models/m-1", None),
        ("POST", "/api/2.0/mlflow/registered-models/create", None),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/", None),
        ("POST", "/other/ajax-api/2.0/mlflow/runs/create", None),
    ],
)
def test_which_calls_can_be_spooled(method: str, path: str, call: Call | None) -> None:
    assert call_of(method, path) == call


@pytest.mark.parametrize(
    ("call", "fields", "expected"),
    [
        (Call("log-metric"), {"run_id": "r", "key": "k"}, Subjects(("r",))),
        (Call("log-metric"), {"run_uuid": "r", "key": "k"}, Subjects(("r",))),
        (Call("create-run"), {"experiment_id": "0"}, Subjects((), ("0",))),
        (Call("create-model"), {"experiment_id": "0", "source_run_id": "r"}, Subjects((), ("0", "r"))),
        (Call("create-model"), {"experiment_id": "0", "source_run_id": 5}, Subjects((), ("0",))),
        (Call("create-experiment"), {"name": "n"}, Subjects(("name:n",))),
        (Call("set-experiment-tag"), {"experiment_id": "3"}, Subjects(("3",))),
        (Call("finalize-model", ("m-1",)), {}, Subjects(("m-1",))),
        (Call("put-artifact", (f"0/{RUN}/artifacts/f",)), {}, Subjects((RUN,))),
        (Call("otlp-traces"), {}, Subjects()),
        (
            Call("start-trace"),
            {
                "trace": {
                    "trace_info": {"trace_id": "t", "trace_location": {"mlflow_experiment": {"experiment_id": "0"}}}
                }
            },
            Subjects(("t",), ("0",)),
        ),
        (Call("start-trace"), {"trace": {"trace_info": {"trace_id": "t", "trace_location": 5}}}, Subjects(("t",))),
    ],
)
def test_what_a_call_is_about(call: Call, fields: dict[str, Any], expected: Subjects) -> None:
    assert subjects(call, fields) == expected


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("log-metric", {"key": "k"}),
        ("log-metric", {"run_id": "r"}),
        ("log-metric", {"run_id": 5, "key": "k"}),
        ("log-batch", {"run_id": ""}),
        ("create-run", {}),
        ("create-experiment", {"name": None}),
        ("start-trace", {"trace": []}),
    ],
)
def test_a_call_that_does_not_say_what_it_is_about_is_refused(call: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Failure) as failure:
        subjects(Call(call), fields)
    assert (failure.value.code, failure.value.status) == ("INVALID_PARAMETER_VALUE", 400)


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Failure):
        read_object(body)


def test_ids_are_recognised_in_texts() -> None:
    model = f"m-{RUN}"
    assert set(mentioned(b'{"a": "runs:/' + RUN.encode() + b'/x"}', model.encode())) == {RUN, model}
    assert mentioned(b"short words only") == ()


def test_a_write_is_read_back_as_it_was() -> None:
    write = Write("log-metric", "POST", "/x?y", {"a": "b"}, b"\0body", 5, ("r",), ("e",), "m", "f", 9, "d", True)
    assert decode_write(encode_write(write)) == write
    assert (write.path, write.size_bytes) == ("/x", 14)
