"""Answer streams of inference requests, and requests whose answers come part by part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from interlock.ports.model_runtime import StreamingPredictor
from interlock.server.answering import Answering
from interlock.server.grpc_oip.calls import Ground, GrpcCall
from interlock.server.grpc_oip.inference import read_request, write_part, write_reply
from interlock.server.grpc_oip.messages import message_types, read_message
from interlock.server.oip import InferRequest, check_outputs
from interlock.serving.requests import question
from interlock.serving.streaming import AnswerStream
from interlock.serving.validation import RowCheck, Table

_WANTS_FINAL = "triton_enable_empty_final_response"
_FINAL = "triton_final_response"
_ENDS_ON_ERROR = ("triton_grpc_error", "true")


async def infer(answering: Answering, message: Any) -> Any:
    """Answer one request for inference."""
    engine = answering.host.engine(message.model_name)
    request: InferRequest

    def read(check: RowCheck) -> tuple[Table, dict[str, Any]]:
        nonlocal request
        request = read_request(message)
        table = check.tensors(request.inputs)
        check_outputs(request, check.signature)
        return table, request.said

    answer, routing = await answering.predict(
        engine, read, size_bytes=message.ByteSize(), version=message.model_version or None
    )
    return write_reply(message, engine, request, answer, routing)


class InferStream:
    """Answers `ModelStreamInfer`.

    Requests are answered one after the other, in their order. What is wrong with one is told in its place, and the
    stream goes on; it ends where the client asks for that (`triton_grpc_error`), or may not call at all.

    Args:
        ground: What calls stand on.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._types = message_types()

    async def answer(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        """Yield the answers of a stream."""
        import grpc

        reply_type = self._types["ModelStreamInferResponse"]
        ends_on_error = _ENDS_ON_ERROR in tuple(context.invocation_metadata() or ())
        async for data in requests:
            message, problem = read_message("ModelInferRequest", data)
            call = GrpcCall(self._ground, "ModelStreamInfer", context, message.model_name)
            size = 0
            try:
                call.let_in("data")
                if problem is not None:
                    raise problem
                async for reply in self._replies(message):
                    size += reply.ByteSize()
                    yield reply_type(infer_response=reply)
            except Exception as error:  # noqa: BLE001 (the edge of the process)
                refusal = call.failed(error)
                if ends_on_error or refusal.status in (401, 403):
                    await context.abort(getattr(grpc.StatusCode, refusal.code), refusal.text)
                yield reply_type(error_message=refusal.text, infer_response=self._empty(message))
            else:
                call.done(200, size)

    async def _replies(self, message: Any) -> AsyncIterator[Any]:
        """Yield the answers to one request: one, unless its model answers part by part."""
        engine = self._ground.host.engine(message.model_name)
        wants_final = _WANTS_FINAL in message.parameters
        if not isinstance(engine.routing.live.model.predictor, StreamingPredictor):
            reply = await infer(self._ground.answering, message)
            if wants_final:
                reply.parameters[_FINAL].bool_param = True
            yield reply
            return
        async for reply in self._parts(message):
            if wants_final:
                reply.parameters[_FINAL].bool_param = False
            yield reply
        if wants_final:
            last = self._empty(message)
            last.parameters[_FINAL].bool_param = True
            yield last

    async def _parts(self, message: Any) -> AsyncIterator[Any]:
        engine = self._ground.host.engine(message.model_name)
        routing = engine.routing
        answering = self._ground.answering

        def begin() -> tuple[InferRequest, AnswerStream]:
            request = read_request(message)
            table = routing.check.tensors(request.inputs)
            check_outputs(request, routing.check.signature)
            asked = question(table, request.said, now_micros=engine.now_micros())
            return request, engine.stream(asked, routing=routing, version=message.model_version or None)

        request, stream = await answering.in_thread(begin)
        asking: asyncio.Future[Any] | None = None
        try:
            while True:
                asking = asyncio.ensure_future(answering.in_thread(stream.next))
                part = await asyncio.shield(asking)
                if part is None:
                    return
                reply = write_part(message, engine.name, request, stream, part, routing)
                if reply.outputs:
                    yield reply
        finally:
            if asking is not None and not asking.done():
                # the model is at work in its thread; it can be stopped when that part is there
                asking.add_done_callback(lambda done: answering.aside(stream.close))
            else:
                await asyncio.shield(answering.in_thread(stream.close))

    def _empty(self, message: Any) -> Any:
        return self._types["ModelInferResponse"](
            model_name=message.model_name, model_version=message.model_version, id=message.id
        )
