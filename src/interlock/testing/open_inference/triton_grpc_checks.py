"""Check a server with NVIDIA's own client over gRPC, as it comes: single calls, streams, and its asyncio form."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import numpy as np

from interlock.testing.open_inference import triton_samples as triton
from interlock.testing.open_inference.checks import Group, Target, expect, expect_equal, short
from interlock.testing.open_inference.models import DATATYPES, SIMPLE, SPARE, VERSION, WIDTH, echo_name

_NEEDS = ("grpc", "tritonclient")
SYNC = Group("tritonclient.grpc", needs=_NEEDS)  # type: ignore[arg-type]
TYPES = Group("tritonclient.grpc: datatypes", needs=_NEEDS)  # type: ignore[arg-type]
ERRORS = Group("tritonclient.grpc: errors", needs=_NEEDS)  # type: ignore[arg-type]
STREAM = Group("tritonclient.grpc: streams", needs=_NEEDS)  # type: ignore[arg-type]
AIO = Group("tritonclient.grpc.aio", needs=_NEEDS)  # type: ignore[arg-type]

WRONG = "StatusCode.INVALID_ARGUMENT"
MISSING = "StatusCode.NOT_FOUND"
ANSWER_S = 5.0


@contextlib.contextmanager
def client_of(target: Target) -> Iterator[tuple[Any, Any]]:
    """Give the module of the client and a client."""
    import tritonclient.grpc as module

    client = module.InferenceServerClient(target.grpc)
    if target.token:
        client.register_plugin(_Bearer(target.token))
    try:
        yield module, client
    finally:
        client.close()


class _Bearer:
    """Shows the token with every call."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> None:
        request.headers["authorization"] = f"Bearer {self._token}"


def _holds(title: str, ask: Callable[[Any, Any], Any], expected: str) -> None:
    def run(target: Target) -> None:
        with client_of(target) as (module, client):
            got = ask(module, client)
            expect(bool(got), expected=expected, got=got)

    SYNC.add(title, run)


_holds("is_server_live says yes", lambda module, client: client.is_server_live(), "True")
_holds("is_server_ready says yes", lambda module, client: client.is_server_ready(), "True")
_holds("is_model_ready says yes", lambda module, client: client.is_model_ready(SIMPLE), "True")
_holds("is_model_ready of a version says yes", lambda module, client: client.is_model_ready(SIMPLE, VERSION), "True")
_holds("is_model_ready of no model says no", lambda module, client: _not_ready(client), "False")
_holds("get_server_metadata names extensions", lambda module, client: client.get_server_metadata().extensions, "some")
_holds(
    "get_model_repository_index lists the model",
    lambda module, client: any(row.name == SIMPLE for row in client.get_model_repository_index().models),
    "the model",
)
_holds("get_model_config has inputs", lambda module, client: client.get_model_config(SIMPLE).config.input, "inputs")
_holds("get_log_settings answers", lambda module, client: "log_info" in client.get_log_settings().settings, "log_info")
_holds("get_trace_settings answers", lambda module, client: client.get_trace_settings().settings, "settings")
_holds(
    "update_log_settings answers with the settings",
    lambda module, client: client.update_log_settings({"log_info": True}).settings["log_info"].bool_param,
    "log_info",
)
_holds(
    "the status of system shared memory is empty",
    lambda module, client: not client.get_system_shared_memory_status().regions,
    "no regions",
)
_holds(
    "the status of CUDA shared memory is empty",
    lambda module, client: not client.get_cuda_shared_memory_status().regions,
    "no regions",
)


def _not_ready(client: Any) -> bool:
    """Say whether a model that is not there is not ready: a plain no, or an error that says so."""
    from tritonclient.utils import InferenceServerException

    try:
        return not client.is_model_ready("nothing")
    except InferenceServerException as error:
        return str(error.status()) in (MISSING, "StatusCode.UNAVAILABLE")


@SYNC.check("get_model_metadata has names, datatypes and shapes")
def _metadata(target: Target) -> None:
    with client_of(target) as (_, client):
        found = client.get_model_metadata(SIMPLE, VERSION)
        inputs = [(one.name, one.datatype, list(one.shape)) for one in found.inputs]
        expect_equal(inputs, [(f"INPUT{at}", "INT32", [-1, WIDTH]) for at in range(2)], of="the inputs")


@SYNC.check("get_inference_statistics counts")
def _statistics(target: Target) -> None:
    with client_of(target) as (module, client):
        before = client.get_inference_statistics(SIMPLE).model_stats[0].inference_count
        client.infer(SIMPLE, triton.simple_inputs(module, rows=3))
        after = client.get_inference_statistics(SIMPLE).model_stats[0].inference_count
        expect_equal(after - before, 3, of="more inferences:")


@SYNC.check("unload_model and load_model take a model away and bring it back")
def _unload_and_load(target: Target) -> None:
    with client_of(target) as (_, client):
        client.unload_model(SPARE)
        expect(not client.is_model_ready(SPARE), expected="not ready after unload", got="ready")
        client.load_model(SPARE)
        expect(client.is_model_ready(SPARE), expected="ready after load", got="not ready")


@SYNC.check("infer")
def _infer(target: Target) -> None:
    with client_of(target) as (module, client):
        triton.is_simple(client.infer(SIMPLE, triton.simple_inputs(module, rows=2)), rows=2)


@SYNC.check("infer with a version, an id, priority, timeout, a sequence and parameters")
def _everything(target: Target) -> None:
    with client_of(target) as (module, client):
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
            parameters={"tenant": "a", "depth": 2, "fast": True},
            client_timeout=10,
        )
        triton.is_simple(result)
        expect_equal(result.get_response().id, "id-1", of="the id")
        expect_equal(result.get_response().model_version, VERSION, of="the version")


@SYNC.check("infer with one output of two")
def _chosen(target: Target) -> None:
    with client_of(target) as (module, client):
        outputs = [module.InferRequestedOutput("OUTPUT1")]
        result = client.infer(SIMPLE, triton.simple_inputs(module), outputs=outputs)
        expect(result.as_numpy("OUTPUT0") is None, expected="no OUTPUT0", got="one")
        triton.same(result.as_numpy("OUTPUT1"), np.arange(WIDTH, dtype=np.int32).reshape(1, WIDTH) - 1)


def _compressed(algorithm: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        with client_of(target) as (module, client):
            inputs = triton.simple_inputs(module, rows=300)
            triton.is_simple(client.infer(SIMPLE, inputs, compression_algorithm=algorithm), rows=300)

    return run


for _algorithm in ("gzip", "deflate"):
    SYNC.add(f"infer compressed by {_algorithm}", _compressed(_algorithm))


@SYNC.check("async_infer answers many requests at once")
def _pending(target: Target) -> None:
    with client_of(target) as (module, client):
        done: queue.Queue[Any] = queue.Queue()
        for _ in range(16):
            client.async_infer(SIMPLE, triton.simple_inputs(module), lambda result, error: done.put((result, error)))
        for _ in range(16):
            result, error = done.get(timeout=ANSWER_S)
            expect(error is None, expected="a result", got=str(error))
            triton.is_simple(result)


@SYNC.check("an output as classes")
def _classes(target: Target) -> None:
    with client_of(target) as (module, client):
        values = np.array([[0.25, 0.5, 0.125]], np.float32)
        wanted = module.InferRequestedOutput("OUTPUT", class_count=2)
        found = client.infer(echo_name("FP32"), [triton.echo_input(module, "FP32", values)], outputs=[wanted]).as_numpy(
            "OUTPUT"
        )
        got = [one.decode() if isinstance(one, bytes) else one for one in found.ravel().tolist()]
        expect_equal(got, ["0.500000:1", "0.250000:0"], of="score:index")


def _echo(datatype: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        with client_of(target) as (module, client):
            values = triton.sample(datatype)
            result = client.infer(echo_name(datatype), [triton.echo_input(module, datatype, values)])
            triton.same(result.as_numpy("OUTPUT"), values)

    return run


for _datatype in DATATYPES:
    TYPES.add(f"{_datatype} comes back bit for bit", _echo(_datatype))


def _fails(title: str, ask: Callable[[Any, Any], Any], *statuses: str) -> None:
    def run(target: Target) -> None:
        with client_of(target) as (module, client):
            triton.fails(lambda: ask(module, client), *(statuses or (WRONG, MISSING)))

    ERRORS.add(title, run)


_fails(
    "a model that is not there", lambda module, client: client.infer("nothing", triton.simple_inputs(module)), MISSING
)
_fails(
    "a version that is not there",
    lambda module, client: client.infer(SIMPLE, triton.simple_inputs(module), model_version="99"),
)
_fails("a missing input", lambda module, client: client.infer(SIMPLE, triton.simple_inputs(module)[:1]), WRONG)
_fails(
    "an input given twice",
    lambda module, client: client.infer(SIMPLE, [*triton.simple_inputs(module), triton.simple_inputs(module)[0]]),
    WRONG,
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
    WRONG,
)
_fails(
    "another shape",
    lambda module, client: client.infer(
        echo_name("FP32"), [triton.echo_input(module, "FP32", np.zeros(3, np.float32))]
    ),
    WRONG,
)
_fails("metadata of no model", lambda module, client: client.get_model_metadata("nothing"), MISSING)
_fails("configuration of no model", lambda module, client: client.get_model_config("nothing"))
_fails("statistics of no model", lambda module, client: client.get_inference_statistics("nothing"))
_fails("loading no model", lambda module, client: client.load_model("nothing"))
_fails(
    "registering memory that does not exist",
    lambda module, client: client.register_system_shared_memory("none", "/no-such-region", 64),
)


@contextlib.contextmanager
def _stream(target: Target, **options: Any) -> Iterator[tuple[Any, Any, queue.Queue[Any]]]:
    with client_of(target) as (module, client):
        answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)), **options)
        try:
            yield module, client, answers
        finally:
            client.stop_stream()


def _next(answers: queue.Queue[Any]) -> tuple[Any, Any]:
    try:
        result, error = answers.get(timeout=ANSWER_S)
    except queue.Empty:
        expect(False, expected=f"an answer within {ANSWER_S:g} s", got="none")
        raise
    return result, error


@STREAM.check("requests are answered in their order")
def _in_order(target: Target) -> None:
    with _stream(target) as (module, client, answers):
        for at in range(5):
            client.async_stream_infer(SIMPLE, triton.simple_inputs(module), request_id=f"id-{at}")
        found = [_next(answers) for _ in range(5)]
        expect(all(error is None for _, error in found), expected="five results", got=short(str(found)))
        expect_equal([result.get_response().id for result, _ in found], [f"id-{at}" for at in range(5)], of="ids")
        triton.is_simple(found[-1][0])


@STREAM.check("an error is told in its place, and the stream goes on")
def _error_in_stream(target: Target) -> None:
    with _stream(target) as (module, client, answers):
        client.async_stream_infer("nothing", triton.simple_inputs(module))
        client.async_stream_infer(SIMPLE, triton.simple_inputs(module))
        result, error = _next(answers)
        expect(error is not None and result is None, expected="an error for the first", got=short(str(result)))
        result, error = _next(answers)
        expect(error is None, expected="a result for the second", got=short(str(error)))
        triton.is_simple(result)


@STREAM.check("the only answer says that it is the last where the client asks for that")
def _final_response(target: Target) -> None:
    with _stream(target) as (module, client, answers):
        client.async_stream_infer(SIMPLE, triton.simple_inputs(module), enable_empty_final_response=True)
        result, error = _next(answers)
        expect(error is None, expected="a result", got=short(str(error)))
        final = result.get_response().parameters.get("triton_final_response")
        expect(final is not None and final.bool_param, expected="triton_final_response", got=final)


def _aio(title: str) -> Callable[[Callable[[Any, Any], Awaitable[None]]], None]:
    """Add a check that awaits NVIDIA's asyncio client."""

    def add(body: Callable[[Any, Any], Awaitable[None]]) -> None:
        def run(target: Target) -> None:
            async def with_client() -> None:
                import tritonclient.grpc.aio as module

                async with module.InferenceServerClient(target.grpc) as client:
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
    expect_equal((await client.get_model_metadata(SIMPLE)).name, SIMPLE, of="the name")


@_aio("infer many at once")
async def _aio_infer(module: Any, client: Any) -> None:
    asked = [client.infer(SIMPLE, triton.simple_inputs(module)) for _ in range(16)]
    for result in await asyncio.gather(*asked):
        triton.is_simple(result)


@_aio("a stream of requests")
async def _aio_stream(module: Any, client: Any) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for at in range(3):
            yield {"model_name": SIMPLE, "inputs": triton.simple_inputs(module), "request_id": f"id-{at}"}

    found = []
    async for result, error in client.stream_infer(requests()):
        expect(error is None, expected="a result", got=str(error))
        found.append(result.get_response().id)
    expect_equal(found, ["id-0", "id-1", "id-2"], of="ids")


@_aio("errors are raised as errors of the server")
async def _aio_errors(module: Any, client: Any) -> None:
    from tritonclient.utils import InferenceServerException

    try:
        await client.infer("nothing", triton.simple_inputs(module))
    except InferenceServerException as error:
        expect_equal(str(error.status()), MISSING, of="the status")
    else:
        expect(False, expected="an InferenceServerException", got="a result")


GROUPS = (SYNC, TYPES, ERRORS, STREAM, AIO)
