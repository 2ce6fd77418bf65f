"""Check a server with NVIDIA's own client over HTTP, as it comes: `tritonclient.http`, and its asyncio form."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np

from interlock.testing.open_inference import triton_samples as triton
from interlock.testing.open_inference.checks import Group, Target, expect, expect_equal
from interlock.testing.open_inference.models import DATATYPES, SIMPLE, SPARE, VERSION, WIDTH, echo_name

SYNC = Group("tritonclient.http", needs=("http", "tritonclient"))
TYPES = Group("tritonclient.http: datatypes", needs=("http", "tritonclient"))
ERRORS = Group("tritonclient.http: errors", needs=("http", "tritonclient"))
AIO = Group("tritonclient.http.aio", needs=("http", "tritonclient"))

WRONG = ("400", "404")


@contextlib.contextmanager
def _client(target: Target, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Give the module of the client and a client."""
    import tritonclient.http as module

    client = module.InferenceServerClient(target.netloc, **options)
    if target.token:
        client.register_plugin(_Bearer(target.token))
    try:
        yield module, client
    finally:
        client.close()


class _Bearer:
    """Shows the token with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> None:
        request.headers["authorization"] = f"Bearer {self._token}"


def _holds(title: str, ask: Callable[[Any, Any], Any], expected: str) -> None:
    def run(target: Target) -> None:
        with _client(target) as (module, client):
            got = ask(module, client)
            expect(bool(got), expected=expected, got=got)

    SYNC.add(title, run)


_holds("is_server_live says yes", lambda module, client: client.is_server_live(), "True")
_holds("is_server_ready says yes", lambda module, client: client.is_server_ready(), "True")
_holds("is_model_ready says yes", lambda module, client: client.is_model_ready(SIMPLE), "True")
_holds("is_model_ready of a version says yes", lambda module, client: client.is_model_ready(SIMPLE, VERSION), "True")
_holds("is_model_ready of no model says no", lambda module, client: not client.is_model_ready("nothing"), "False")
_holds("is_model_ready of no version says no", lambda module, client: not client.is_model_ready(SIMPLE, "99"), "False")
_holds(
    "get_server_metadata names extensions", lambda module, client: client.get_server_metadata()["extensions"], "some"
)
_holds(
    "get_model_repository_index lists the model",
    lambda module, client: any(row["name"] == SIMPLE for row in client.get_model_repository_index()),
    "the model",
)
_holds("get_model_config has its inputs", lambda module, client: client.get_model_config(SIMPLE)["input"], "inputs")
_holds("get_log_settings answers", lambda module, client: "log_info" in client.get_log_settings(), "log_info")
_holds("get_trace_settings answers", lambda module, client: "trace_level" in client.get_trace_settings(), "trace_level")
_holds(
    "update_log_settings answers with the settings",
    lambda module, client: client.update_log_settings({"log_info": True})["log_info"] is True,
    "log_info",
)
_holds(
    "the status of system shared memory is an empty list",
    lambda module, client: client.get_system_shared_memory_status() == [],
    "[]",
)
_holds(
    "the status of CUDA shared memory is an empty list",
    lambda module, client: client.get_cuda_shared_memory_status() == [],
    "[]",
)


@SYNC.check("get_model_metadata has names, datatypes and shapes")
def _metadata(target: Target) -> None:
    with _client(target) as (_, client):
        found = client.get_model_metadata(SIMPLE, VERSION)
        inputs = [(one["name"], one["datatype"], one["shape"]) for one in found["inputs"]]
        expect_equal(inputs, [(f"INPUT{at}", "INT32", [-1, WIDTH]) for at in range(2)], of="the inputs")


@SYNC.check("get_inference_statistics counts")
def _statistics(target: Target) -> None:
    with _client(target) as (module, client):
        before = client.get_inference_statistics(SIMPLE)["model_stats"][0]["inference_count"]
        client.infer(SIMPLE, triton.simple_inputs(module, rows=3))
        after = client.get_inference_statistics(SIMPLE)["model_stats"][0]["inference_count"]
        expect_equal(after - before, 3, of="more inferences:")


@SYNC.check("unload_model and load_model take a model away and bring it back")
def _unload_and_load(target: Target) -> None:
    with _client(target) as (_, client):
        client.unload_model(SPARE)
        expect(not client.is_model_ready(SPARE), expected="not ready after unload", got="ready")
        client.load_model(SPARE)
        expect(client.is_model_ready(SPARE), expected="ready after load", got="not ready")


@SYNC.check("infer sends raw tensors, which is its default")
def _raw(target: Target) -> None:
    with _client(target) as (module, client):
        triton.is_simple(client.infer(SIMPLE, triton.simple_inputs(module)))


@SYNC.check("infer with JSON both ways")
def _in_json(target: Target) -> None:
    with _client(target) as (module, client):
        outputs = [module.InferRequestedOutput(f"OUTPUT{at}", binary_data=False) for at in range(2)]
        inputs = triton.simple_inputs(module, rows=2, binary_data=False)
        triton.is_simple(client.infer(SIMPLE, inputs, outputs=outputs), rows=2)


@SYNC.check("infer with one input raw and one output of two")
def _mixed(target: Target) -> None:
    with _client(target) as (module, client):
        inputs = [triton.simple_inputs(module)[0], triton.simple_inputs(module, binary_data=False)[1]]
        result = client.infer(SIMPLE, inputs, outputs=[module.InferRequestedOutput("OUTPUT1", binary_data=True)])
        expect(result.as_numpy("OUTPUT0") is None, expected="no OUTPUT0", got="one")
        triton.same(result.as_numpy("OUTPUT1"), np.arange(WIDTH, dtype=np.int32).reshape(1, WIDTH) - 1)


@SYNC.check("infer with a version, an id, priority, timeout, a sequence and parameters")
def _everything(target: Target) -> None:
    with _client(target) as (module, client):
        result = client.infer(
            SIMPLE,
            triton.simple_inputs(module),
            model_version=VERSION,
            request_id="id-1",
            sequence_id=5,
            sequence_start=True,
            sequence_end=True,
            priority=2,
            timeout=5_000_000,
            parameters={"tenant": "a"},
        )
        triton.is_simple(result)
        expect_equal(result.get_response().get("id"), "id-1", of="the id")


def _compressed(sent: str | None, received: str | None) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        with _client(target) as (module, client):
            result = client.infer(
                SIMPLE,
                triton.simple_inputs(module, rows=300),
                request_compression_algorithm=sent,
                response_compression_algorithm=received,
            )
            triton.is_simple(result, rows=300)

    return run


for _sent in (None, "gzip", "deflate"):
    for _received in (None, "gzip", "deflate"):
        if _sent or _received:
            SYNC.add(f"infer, request in {_sent}, reply in {_received}", _compressed(_sent, _received))


@SYNC.check("async_infer answers many requests at once")
def _pending(target: Target) -> None:
    with _client(target, concurrency=4) as (module, client):
        waiting = [client.async_infer(SIMPLE, triton.simple_inputs(module)) for _ in range(16)]
        for one in waiting:
            triton.is_simple(one.get_result(timeout=10))


@SYNC.check("an output as classes")
def _classes(target: Target) -> None:
    with _client(target) as (module, client):
        values = np.array([[0.25, 0.5, 0.125]], np.float32)
        wanted = module.InferRequestedOutput("OUTPUT", class_count=2)
        found = client.infer(echo_name("FP32"), [triton.echo_input(module, "FP32", values)], outputs=[wanted]).as_numpy(
            "OUTPUT"
        )
        got = [one.decode() if isinstance(one, bytes) else one for one in found.ravel().tolist()]
        expect_equal(got, ["0.500000:1", "0.250000:0"], of="score:index")


@SYNC.check("four megabytes of one input")
def _large(target: Target) -> None:
    values = np.arange(1_000_000, dtype=np.float32).reshape(1_000, 1_000)
    with _client(target) as (module, client):
        triton.same(
            client.infer(echo_name("FP32"), [triton.echo_input(module, "FP32", values)]).as_numpy("OUTPUT"), values
        )


def _echo(datatype: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        with _client(target) as (module, client):
            values = triton.sample(datatype)
            result = client.infer(echo_name(datatype), [triton.echo_input(module, datatype, values)])
            triton.same(result.as_numpy("OUTPUT"), values)

    return run


for _datatype in DATATYPES:
    TYPES.add(f"{_datatype} comes back bit for bit", _echo(_datatype))


def _fails(title: str, ask: Callable[[Any, Any], Any]) -> None:
    def run(target: Target) -> None:
        with _client(target) as (module, client):
            triton.fails(lambda: ask(module, client), *WRONG)

    ERRORS.add(title, run)


def _reshaped(module: Any) -> list[Any]:
    first, second = triton.simple_inputs(module)
    values = np.zeros((1, 8), np.int32)
    other = module.InferInput("INPUT0", [1, 8], "INT32").set_data_from_numpy(values)
    return [other or first, second]


_fails("a model that is not there", lambda module, client: client.infer("nothing", triton.simple_inputs(module)))
_fails(
    "a version that is not there",
    lambda module, client: client.infer(SIMPLE, triton.simple_inputs(module), model_version="99"),
)
_fails("a missing input", lambda module, client: client.infer(SIMPLE, triton.simple_inputs(module)[:1]))
_fails(
    "an input given twice",
    lambda module, client: client.infer(SIMPLE, [*triton.simple_inputs(module), triton.simple_inputs(module)[0]]),
)
_fails(
    "an output that is not there",
    lambda module, client: client.infer(
        SIMPLE, triton.simple_inputs(module), outputs=[module.InferRequestedOutput("OUTPUT9")]
    ),
)
_fails(
    "another datatype",
    lambda module, client: client.infer(echo_name("FP32"), [triton.echo_input(module, "FP64", np.zeros((1, 2)))]),
)
_fails("another shape", lambda module, client: client.infer(SIMPLE, _reshaped(module)))
_fails("metadata of no model", lambda module, client: client.get_model_metadata("nothing"))
_fails("configuration of no model", lambda module, client: client.get_model_config("nothing"))
_fails("statistics of no model", lambda module, client: client.get_inference_statistics("nothing"))
_fails("loading no model", lambda module, client: client.load_model("nothing"))
_fails("unloading no model", lambda module, client: client.unload_model("nothing"))
_fails(
    "registering memory that does not exist",
    lambda module, client: client.register_system_shared_memory("none", "/no-such-region", 64),
)
_fails("a log setting that does not exist", lambda module, client: client.update_log_settings({"log_nothing": 1}))


def _aio(title: str) -> Callable[[Callable[[Any, Any], Awaitable[None]]], None]:
    """Add a check that awaits NVIDIA's asyncio client."""

    def add(body: Callable[[Any, Any], Awaitable[None]]) -> None:
        def run(target: Target) -> None:
            async def with_client() -> None:
                import tritonclient.http.aio as module

                async with module.InferenceServerClient(target.netloc) as client:
                    if target.token:
                        client.register_plugin(_Bearer(target.token))
                    await body(module, client)

            asyncio.run(with_client())

        AIO.add(title, run)

    return add


@_aio("health and metadata")
async def _aio_health(module: Any, client: Any) -> None:
    expect(await client.is_server_live(), expected="live", got=False)
    expect(await client.is_server_ready(), expected="ready", got=False)
    expect(await client.is_model_ready(SIMPLE), expected="the model ready", got=False)
    expect_equal((await client.get_model_metadata(SIMPLE))["name"], SIMPLE, of="the name")
    rows = await client.get_model_repository_index()
    expect(any(row["name"] == SIMPLE for row in rows), expected="the model in the index", got=rows)


@_aio("infer many at once")
async def _aio_infer(module: Any, client: Any) -> None:
    asked = [client.infer(SIMPLE, triton.simple_inputs(module)) for _ in range(16)]
    for result in await asyncio.gather(*asked):
        triton.is_simple(result)


@_aio("infer compressed both ways")
async def _aio_compressed(module: Any, client: Any) -> None:
    result = await client.infer(
        SIMPLE,
        triton.simple_inputs(module, rows=300),
        request_compression_algorithm="gzip",
        response_compression_algorithm="deflate",
    )
    triton.is_simple(result, rows=300)


@_aio("errors are raised as errors of the server")
async def _aio_errors(module: Any, client: Any) -> None:
    from tritonclient.utils import InferenceServerException

    try:
        await client.infer("nothing", triton.simple_inputs(module))
    except InferenceServerException as error:
        expect(str(error.status()) in WRONG, expected="a status of 400 or 404", got=str(error))
    else:
        expect(False, expected="an InferenceServerException", got="a result")


GROUPS = (SYNC, TYPES, ERRORS, AIO)
