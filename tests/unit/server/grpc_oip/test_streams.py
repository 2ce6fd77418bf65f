from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import StreamingPredictor
from interlock.server.grpc_oip.messages import SERVICE, message_types
from tests.open_inference_server import hosted_models
from tests.serving_examples import Shelf, fresh_stores, hosted, loaded
from tests.unit.server.grpc_oip.test_service import Gate, channel, echo

grpc = pytest.importorskip("grpc")

TEXT = Signature((Column("prompt", "string"),), (Column("text", "string"), Column("score", "double")))


class Speaking(StreamingPredictor):
    """Says a prompt word by word, with a score at the end."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        raise AssertionError("it is asked part by part")

    def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
        for word in columns[0][0].split():
            if word == "fail":
                raise InvalidInput("the model refused the word")
            yield {"text": word}
        yield {"score": 0.5}


def prompt(text: str, **fields: Any) -> Any:
    request = message_types()["ModelInferRequest"](model_name="delay", **fields)
    request.inputs.add(name="prompt", datatype="BYTES", shape=[1], contents={"bytes_contents": [text.encode()]})
    return request


def stream(channel: Any, requests: list[Any], metadata: Any = ()) -> Any:
    types = message_types()
    method = channel.stream_stream(
        f"/{SERVICE}/ModelStreamInfer",
        request_serializer=types["ModelInferRequest"].SerializeToString,
        response_deserializer=types["ModelStreamInferResponse"].FromString,
    )
    return method(iter(requests), timeout=20, metadata=metadata)


def test_a_stream_goes_on_after_an_error_or_ends_where_the_client_wants_it() -> None:
    bad = echo(b"\1", id="bad")
    bad.inputs[0].datatype = "FP32"
    with hosted_models() as host, channel(host) as open_channel:
        first, wrong, last = stream(open_channel, [echo(b"\1\2"), bad, echo(b"\3")])
        assert list(first.infer_response.raw_output_contents) == [b"\1\2"]
        assert "expected INT8, got FP32" in wrong.error_message
        assert wrong.infer_response.id == "bad"
        assert list(last.infer_response.raw_output_contents) == [b"\3"]
        ending = stream(open_channel, [bad, echo(b"\3")], metadata=(("triton_grpc_error", "true"),))
        with pytest.raises(grpc.RpcError) as error:
            list(ending)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_of_somebody_who_may_not_ends() -> None:
    with hosted_models() as host, channel(host, admit=Gate()) as guarded:
        with pytest.raises(grpc.RpcError) as error:
            list(stream(guarded, [echo(b"\1")]))
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_model_that_speaks_is_answered_part_by_part_and_logged_as_a_whole() -> None:
    stores = fresh_stores()
    speaking = loaded(signature=TEXT, predictor=Speaking())
    parameters = {"triton_enable_empty_final_response": {"bool_param": True}}
    with hosted(stores, Shelf(speaking)) as host, channel(host) as open_channel:
        first, second, score, last = [
            one.infer_response for one in stream(open_channel, [prompt("hello world", id="7", parameters=parameters)])
        ]
        assert list(first.outputs[0].contents.bytes_contents) == [b"hello"]
        assert list(second.outputs[0].contents.bytes_contents) == [b"world"]
        assert (score.outputs[0].name, list(score.outputs[0].contents.fp64_contents)) == ("score", [0.5])
        finals = [one.parameters["triton_final_response"].bool_param for one in (first, second, score, last)]
        assert finals == [False, False, False, True]
        assert (first.id, last.id, list(last.outputs)) == ("7", "7", [])
        (logged,) = stores.predictions.find(first.parameters["prediction_ids"].string_param)
        assert logged.prediction.outputs["score"] == 0.5


def test_only_the_outputs_asked_for_come_and_errors_end_the_answer() -> None:
    speaking = loaded(signature=TEXT, predictor=Speaking())
    with hosted(fresh_stores(), Shelf(speaking)) as host, channel(host) as open_channel:
        wanted = prompt("a b", outputs=[{"name": "score"}])
        (only,) = stream(open_channel, [wanted])
        assert [one.name for one in only.infer_response.outputs] == ["score"]
        said, refused, after = stream(open_channel, [prompt("one fail two"), prompt("")])
        assert list(said.infer_response.outputs[0].contents.bytes_contents) == [b"one"]
        assert "refused the word" in refused.error_message
        assert after.infer_response.outputs[0].name == "score"


def test_a_stream_that_the_client_leaves_stops_the_model() -> None:
    stores = fresh_stores()
    with hosted(stores, Shelf(loaded(signature=TEXT, predictor=Speaking()))) as host, channel(host) as open_channel:
        call = stream(open_channel, [prompt("one " * 10_000)])
        first = next(call).infer_response
        call.cancel()
        # the next call is answered all the same
        (answer,) = stream(open_channel, [prompt("", id="2")])
        assert answer.infer_response.id == "2"
    assert first.outputs[0].name == "text"


def test_bytes_that_are_no_request_are_told_in_their_place() -> None:
    reply = message_types()["ModelStreamInferResponse"]
    with hosted_models() as host, channel(host) as open_channel:
        method = open_channel.stream_stream(f"/{SERVICE}/ModelStreamInfer", response_deserializer=reply.FromString)
        wrong, right = method(iter([b"\xff", echo(b"\1").SerializeToString()]), timeout=20)
    assert "this is no ModelInferRequest" in wrong.error_message
    assert list(right.infer_response.raw_output_contents) == [b"\1"]
