from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import InvalidInput, Unauthorised
from interlock.server.api_keys import Caller
from interlock.server.dataplane import DATA_LIMITS
from interlock.server.grpc_oip.calls import Refusal
from interlock.server.grpc_oip.listening import grpc_serving
from interlock.server.grpc_oip.messages import METHODS, SERVICE, message_types
from interlock.server.guard import Access
from interlock.server.http import Rejection, Scope
from interlock.server.observing import Observer
from tests.open_inference_server import hosted_models
from tests.serving_examples import SIGNATURE, Adding, Shelf, fresh_stores, hosted, loaded

grpc = pytest.importorskip("grpc")


class Gate:
    """Lets in who shows `Bearer secret`; others may only ask what is open."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Access, str]] = []

    def __call__(self, scope: Scope, access: Access, endpoint: str) -> Caller | None:
        self.asked.append((scope["path"].rpartition("/")[2], access, endpoint))
        if access == "open" or (b"authorization", b"Bearer secret") in scope["headers"]:
            return Caller("key")
        raise Rejection(Unauthorised("this server wants a token"), status=401)


class Noting(Observer):
    """Remembers what it was told of."""

    __slots__ = ("noted",)

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, str, int, str, str]] = []

    def done(self, seen: Any, **fields: Any) -> None:
        found = (fields["route"].rpartition("/")[2], fields["endpoint"], fields["status"], seen.key, fields["client"])
        self.noted.append(found)
        super().done(seen, **fields)


@contextmanager
def channel(host: Any, **options: Any) -> Iterator[Any]:
    listened = grpc_serving(host, "127.0.0.1", 0, limits=DATA_LIMITS, **options)
    with listened as address, grpc.insecure_channel(address) as channel:
        yield channel


def call(channel: Any, name: str, /, metadata: Any = (), **fields: Any) -> Any:
    types = message_types()
    method = channel.unary_unary(
        f"/{SERVICE}/{name}",
        request_serializer=types[f"{name}Request"].SerializeToString,
        response_deserializer=types[f"{name}Response"].FromString,
    )
    return method(types[f"{name}Request"](**fields), timeout=20, metadata=metadata)


def code_of(channel: Any, name: str, /, metadata: Any = (), **fields: Any) -> str:
    with pytest.raises(grpc.RpcError) as error:
        call(channel, name, metadata, **fields)
    assert error.value.details()
    return str(error.value.code().name)


def test_every_call_is_answered() -> None:
    models = {"name": "simple", "model_name": "simple"}
    with hosted_models() as host, channel(host) as open_channel:
        refused = {name for name in METHODS if name.endswith("SharedMemoryRegister")}
        for name in METHODS:
            known = message_types()[f"{name}Request"].DESCRIPTOR.fields_by_name
            fields = {field: value for field, value in models.items() if field in known}
            if name in refused or name == "ModelInfer":
                assert code_of(open_channel, name, **fields) == "INVALID_ARGUMENT"
            else:
                call(open_channel, name, **fields)


def test_only_who_shows_a_token_is_let_in_and_all_calls_are_noted() -> None:
    gate, noted = Gate(), Noting()
    shown = (("authorization", "Bearer secret"),)
    with hosted_models() as host, channel(host, admit=gate, observer=noted) as guarded:
        assert call(guarded, "ServerLive").live
        assert code_of(guarded, "ModelReady", name="simple") == "UNAUTHENTICATED"
        assert call(guarded, "ModelReady", shown, name="simple").ready
        assert code_of(guarded, "ModelReady", shown, name="nothing") == "NOT_FOUND"
        call(guarded, "RepositoryModelLoad", shown, model_name="simple")
        call(guarded, "LogSettings", shown)
        call(guarded, "LogSettings", shown, settings={"log_file": {"string_param": ""}})
    assert gate.asked == [
        ("ServerLive", "open", ""),
        ("ModelReady", "data", "simple"),
        ("ModelReady", "data", "simple"),
        ("ModelReady", "data", "nothing"),
        ("RepositoryModelLoad", "admin", "simple"),
        ("LogSettings", "data", ""),
        ("LogSettings", "admin", ""),
    ]
    assert noted.noted[:4] == [
        ("ServerLive", "", 200, "key", "127.0.0.1"),
        ("ModelReady", "simple", 401, "", "127.0.0.1"),
        ("ModelReady", "simple", 200, "key", "127.0.0.1"),
        ("ModelReady", "", 404, "key", "127.0.0.1"),
    ]


def echo(value: bytes, **fields: Any) -> Any:
    request = message_types()["ModelInferRequest"](model_name="echo_int8", raw_input_contents=[value], **fields)
    request.inputs.add(name="INPUT", datatype="INT8", shape=[1, len(value)])
    return request


class Failing(Adding):
    """Fails as only faulty models do."""

    def predict(self, columns: Any, *, rows: int) -> dict[str, Any]:
        raise RuntimeError("secret details")


def test_a_model_that_fails_is_an_internal_error_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    failing = loaded(predictor=Failing(SIGNATURE, 0))
    with hosted(fresh_stores(), Shelf(failing)) as host, channel(host) as open_channel:
        request = message_types()["ModelInferRequest"](model_name="delay")
        for name, datatype, contents in (
            ("x", "FP64", {"fp64_contents": [1.0]}),
            ("n", "INT64", {"int64_contents": [1]}),
            ("city", "BYTES", {"bytes_contents": [b"a"]}),
        ):
            request.inputs.add(name=name, datatype=datatype, shape=[1], contents=contents)
        with pytest.raises(grpc.RpcError) as error:
            call(open_channel, "ModelInfer", model_name="delay", inputs=list(request.inputs))
        assert error.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in error.value.details()


def test_errors_have_the_status_that_says_the_same() -> None:
    assert Refusal.of(InvalidInput("what", why="why"), "x").code == "INVALID_ARGUMENT"
    assert Refusal.of(Rejection(Unauthorised("who"), status=421), "x").code == "INVALID_ARGUMENT"
    assert Refusal.of(Refusal(503, "busy"), "x").code == "UNAVAILABLE"
    assert Refusal(418, "").code == "INVALID_ARGUMENT"


def test_statistics_count_what_grpc_asked() -> None:
    with hosted_models(memory_stores()) as host, channel(host) as open_channel:
        request = echo(b"\1\2")
        call(
            open_channel,
            "ModelInfer",
            model_name="echo_int8",
            inputs=list(request.inputs),
            raw_input_contents=[b"\1\2"],
        )
        (found,) = call(open_channel, "ModelStatistics", name="echo_int8", version="1").model_stats
        assert (found.inference_count, found.inference_stats.success.count) == (1, 1)
        assert len(call(open_channel, "ModelStatistics").model_stats) == 16
        assert host.engine("echo_int8").routing.live.statistics.requests == 1


@pytest.mark.parametrize("name", ["ModelInfer", "ModelReady", "RepositoryModelLoad"])
@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\x01", b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_message_are_refused_in_our_words(name: str, data: bytes) -> None:
    with hosted_models() as host, channel(host) as open_channel, pytest.raises(grpc.RpcError) as caught:
        open_channel.unary_unary(f"/{SERVICE}/{name}")(data, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"this is no {name}Request" in caught.value.details()
