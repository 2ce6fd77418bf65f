"""Check a server with KServe's own clients, as they come: `InferenceRESTClient` and `InferenceGRPCClient`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from interlock.testing.open_inference import samples
from interlock.testing.open_inference.checks import Group, Mismatch, Target, expect, expect_equal
from interlock.testing.open_inference.models import DATATYPES, SIMPLE, WIDTH, echo_name

REST = Group("kserve.InferenceRESTClient, v2", needs=("http", "kserve"))
REST_V1 = Group("kserve.InferenceRESTClient, v1", needs=("http", "kserve"))
GRPC = Group("kserve.InferenceGRPCClient", needs=("grpc", "kserve"))

_FIRST = np.arange(WIDTH, dtype=np.int32).reshape(1, WIDTH)


def _with_rest(group: Group, protocol: str) -> Callable[[str], Callable[[Callable[..., Awaitable[None]]], None]]:
    """Return a decorator that adds checks which await a client over REST."""

    def named(title: str) -> Callable[[Callable[..., Awaitable[None]]], None]:
        def add(body: Callable[..., Awaitable[None]]) -> None:
            def run(target: Target) -> None:
                async def with_client() -> None:
                    import kserve

                    client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol))
                    try:
                        await body(kserve, client, target)
                    finally:
                        await client.close()

                asyncio.run(with_client())

            group.add(title, run)

        return add

    return named


_rest = _with_rest(REST, "v2")
_rest_v1 = _with_rest(REST_V1, "v1")


def _grpc(title: str) -> Callable[[Callable[..., Awaitable[None]]], None]:
    def add(body: Callable[..., Awaitable[None]]) -> None:
        def run(target: Target) -> None:
            async def with_client() -> None:
                import kserve

                client = kserve.InferenceGRPCClient(target.grpc)
                try:
                    await body(kserve, client, target)
                finally:
                    await client.close()

            asyncio.run(with_client())

        GRPC.add(title, run)

    return add


def _simple(kserve: Any, *, binary: bool) -> Any:
    inputs = []
    for at, values in enumerate((_FIRST, np.ones_like(_FIRST))):
        one = kserve.InferInput(f"INPUT{at}", list(values.shape), "INT32")
        one.set_data_from_numpy(values, binary_data=binary)
        inputs.append(one)
    return kserve.InferRequest(model_name=SIMPLE, infer_inputs=inputs)


def _is_simple(reply: Any) -> None:
    found = {one.name: np.asarray(one.as_numpy()) for one in reply.outputs}
    for name, wanted in (("OUTPUT0", _FIRST + 1), ("OUTPUT1", _FIRST - 1)):
        expect(name in found, expected=f"the output {name}", got=list(found))
        expect_equal((found[name].shape, found[name].tolist()), (wanted.shape, wanted.tolist()), of=name)


def _echo_request(kserve: Any, datatype: str, values: Any, *, binary: bool) -> Any:
    made = kserve.InferInput("INPUT", list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    request: dict[str, Any] = {"model_name": echo_name(datatype), "infer_inputs": [made]}
    if binary:
        request["request_outputs"] = [kserve.RequestedOutput("OUTPUT", parameters={"binary_data": True})]
    return kserve.InferRequest(**request)


def _same(reply: Any, values: Any) -> None:
    got = np.asarray(reply.outputs[0].as_numpy())
    expect_equal(got.shape, values.shape, of="the shape")
    if values.dtype.kind == "O":
        plain = [one.encode() if isinstance(one, str) else one for one in got.ravel().tolist()]
        expect_equal(plain, values.ravel().tolist())
    else:
        expect_equal((got.dtype, got.tobytes()), (values.dtype, values.tobytes()), of="the same bits")


@_rest("is_server_live says yes")
async def _live(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_server_live(target.url, headers=target.headers), True)


@_rest("is_server_ready says yes")
async def _ready(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_server_ready(target.url, headers=target.headers), True)


@_rest("is_model_ready says yes of a model and no of none")
async def _model_ready(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_model_ready(target.url, SIMPLE, headers=target.headers), True)
    expect_equal(await client.is_model_ready(target.url, "nothing", headers=target.headers), False)


@_rest("infer in JSON")
async def _infer_json(kserve: Any, client: Any, target: Target) -> None:
    request = _simple(kserve, binary=False)
    _is_simple(await client.infer(target.url, request, model_name=SIMPLE, headers=dict(target.headers)))


@_rest("infer with raw tensors")
async def _infer_raw(kserve: Any, client: Any, target: Target) -> None:
    request = _simple(kserve, binary=True)
    _is_simple(await client.infer(target.url, request, model_name=SIMPLE, headers=dict(target.headers)))


@_rest("infer of a plain mapping")
async def _infer_mapping(kserve: Any, client: Any, target: Target) -> None:
    inputs = [
        {"name": f"INPUT{at}", "shape": [1, WIDTH], "datatype": "INT32", "data": values}
        for at, values in enumerate((_FIRST.ravel().tolist(), [1] * WIDTH))
    ]
    _is_simple(await client.infer(target.url, {"inputs": inputs}, model_name=SIMPLE, headers=dict(target.headers)))


@_rest("an error is raised with the server's words")
async def _rest_error(kserve: Any, client: Any, target: Target) -> None:
    import httpx

    try:
        await client.infer(target.url, _simple(kserve, binary=True), model_name="nothing", headers=dict(target.headers))
    except httpx.HTTPStatusError as error:
        expect_equal(error.response.status_code, 404, of="the status")
        said = not str(error).startswith(",")
        expect(said, expected="what is wrong, in words", got=str(error))
    else:
        raise Mismatch("an HTTPStatusError", "a result")


for _datatype in DATATYPES:
    # the client has no BF16
    if _datatype == "BF16":
        continue

    def _rest_echo(datatype: str) -> Callable[..., Awaitable[None]]:
        async def body(kserve: Any, client: Any, target: Target) -> None:
            values = samples.array(datatype)
            request = _echo_request(kserve, datatype, values, binary=True)
            reply = await client.infer(
                target.url, request, model_name=echo_name(datatype), headers=dict(target.headers)
            )
            _same(reply, values)

        return body

    _rest(f"{_datatype} comes back bit for bit")(_rest_echo(_datatype))


@_rest_v1("is_server_live says yes")
async def _live_v1(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_server_live(target.url, headers=target.headers), True)


@_rest_v1("is_model_ready says yes")
async def _ready_v1(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_model_ready(target.url, SIMPLE, headers=target.headers), True)


@_rest_v1("infer of instances gives predictions")
async def _infer_v1(kserve: Any, client: Any, target: Target) -> None:
    model = echo_name("FP64")
    found = await client.infer(
        target.url, {"instances": [[1.5, 2.5], [3.5, 4.5]]}, model_name=model, headers=dict(target.headers)
    )
    predictions = found.get("predictions")
    expect(isinstance(predictions, list) and len(predictions) == 2, expected="two predictions", got=found)
    rows = [row["OUTPUT"] if isinstance(row, dict) else row for row in predictions]
    expect_equal(rows, [[1.5, 2.5], [3.5, 4.5]], of="the echo")


@_grpc("is_server_live says yes")
async def _grpc_live(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_server_live(headers=tuple(target.headers.items())), True)


@_grpc("is_server_ready says yes")
async def _grpc_ready(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_server_ready(headers=tuple(target.headers.items())), True)


@_grpc("is_model_ready says yes")
async def _grpc_model_ready(kserve: Any, client: Any, target: Target) -> None:
    expect_equal(await client.is_model_ready(SIMPLE, headers=tuple(target.headers.items())), True)


@_grpc("infer with typed contents")
async def _grpc_typed(kserve: Any, client: Any, target: Target) -> None:
    _is_simple(await client.infer(_simple(kserve, binary=False), headers=tuple(target.headers.items())))


@_grpc("infer with raw contents")
async def _grpc_raw(kserve: Any, client: Any, target: Target) -> None:
    _is_simple(await client.infer(_simple(kserve, binary=True), headers=tuple(target.headers.items())))


@_grpc("an error is raised with its status")
async def _grpc_error(kserve: Any, client: Any, target: Target) -> None:
    import grpc

    request = _simple(kserve, binary=True)
    request.model_name = "nothing"
    try:
        await client.infer(request, headers=tuple(target.headers.items()))
    except grpc.RpcError as error:
        expect_equal(error.code().name, "NOT_FOUND", of="the status")
    else:
        raise Mismatch("an RpcError", "a result")


for _datatype in DATATYPES:
    if _datatype == "BF16":
        continue

    def _grpc_echo(datatype: str) -> Callable[..., Awaitable[None]]:
        async def body(kserve: Any, client: Any, target: Target) -> None:
            values = samples.array(datatype)
            request = _echo_request(kserve, datatype, values, binary=True)
            _same(await client.infer(request, headers=tuple(target.headers.items())), values)

        return body

    _grpc(f"{_datatype} comes back bit for bit")(_grpc_echo(_datatype))

GROUPS = (REST, REST_V1, GRPC)
