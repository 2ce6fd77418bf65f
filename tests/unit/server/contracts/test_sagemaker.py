from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest

from interlock.core.errors import InterlockError, InvalidInput, Overloaded, TimedOut, Unavailable
from interlock.ports.model_runtime import Predictor
from interlock.ports.model_store import ModelVersion
from interlock.ports.stores import Stores
from interlock.server.contracts import sagemaker_runtime
from interlock.server.contracts.amazon import event_frame, failure_frame, part_frame
from interlock.server.contracts.environments import Batch, Environment
from interlock.server.contracts.model_folders import RECORD, ModelFolders
from interlock.server.contracts.speaking import Spoken
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from interlock.serving.rollout import begin
from tests.serving_examples import FIRST, NOW, ROW, SECOND, SIGNATURE, Shelf, fresh_stores, hosted, loaded
from tests.unit.server.contracts.conftest import Ask, asking

RECORDS = {"dataframe_records": [ROW]}
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=x", "content-type": "application/json"}
NAMED = {"x-amzn-sagemaker-inference-id": "mine", "x-amzn-sagemaker-custom-attributes": "trace=1"}


def test_what_a_batch_transform_asks_first(ask: Ask) -> None:
    assert ask("GET", "/execution-parameters").json() == {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


class TestBatch:
    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(platform="sagemaker", batch=Batch("SINGLE_RECORD", 9, 3))

    def test_the_environment_says_how_batches_come(self, ask: Ask) -> None:
        found = ask("GET", "/execution-parameters").json()
        assert found == {"MaxConcurrentTransforms": 9, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 3}


def test_the_callers_id_is_the_predictions(ask: Ask, stores: Stores) -> None:
    reply = ask("POST", "/invocations", RECORDS, headers=NAMED)
    assert reply.json()["prediction_ids"] == ["mine"]
    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert stores.predictions.find("mine")
    several = ask("POST", "/invocations", {"dataframe_records": [ROW, ROW]}, headers=NAMED)
    assert several.json()["prediction_ids"] == ["mine/0", "mine/1"]


@pytest.mark.parametrize(
    "headers",
    [{"x-amzn-sagemaker-inference-id": "i" * 201}, {"x-amzn-sagemaker-custom-attributes": "a" * 1_025}],
)
def test_ids_and_attributes_that_cannot_be_carried_are_refused(ask: Ask, headers: dict[str, str]) -> None:
    assert ask("POST", "/invocations", RECORDS, headers=headers).status == 400


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"content-type": "text/csv", "accept": "text/csv"}, b"0.75,1,JFK\n", b"1\n"),
        (
            {"content-type": "application/jsonlines", "accept": "application/jsonlines"},
            json.dumps(ROW).encode(),
            b"0\n",
        ),
    ],
)
def test_formats_of_both_ways(ask: Ask, headers: dict[str, str], body: bytes, expected: bytes) -> None:
    reply = ask("POST", "/invocations", body, headers=headers)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, expected, headers["accept"])


def test_a_model_is_named_by_a_header(ask: Ask, stores: Stores, host: EndpointHost) -> None:
    stores.deployments.route("fare", begin(SECOND))
    host.refresh()
    assert ask("POST", "/invocations", RECORDS).status == 404
    reply = ask("POST", "/invocations", RECORDS, headers={"x-amzn-sagemaker-target-model": "fare"})
    assert reply.json()["predictions"] == [1]


def test_the_runtime_api_answers_amazons_clients(ask: Ask) -> None:
    path = "/endpoints/delay/invocations"
    reply = ask("POST", path, RECORDS, headers={**SIGNED, **NAMED, "x-amzn-sagemaker-target-variant": "v1"})
    assert (reply.json()["predictions"], reply.headers["x-amzn-invoked-production-variant"]) == ([0], "1")
    plain = ask("POST", path, RECORDS)
    assert "x-amzn-invoked-production-variant" not in plain.headers


@pytest.mark.parametrize(
    ("name", "body", "headers", "status", "code"),
    [
        ("dely", RECORDS, {}, 400, "ValidationError"),
        ("delay", RECORDS, {"x-amzn-sagemaker-target-variant": "9"}, 400, "ValidationError"),
        ("delay", b"{", {}, 424, "ModelError"),
        ("delay", RECORDS, {"content-type": "text/xml"}, 424, "ModelError"),
    ],
)
def test_errors_are_in_amazons_words(
    ask: Ask, name: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    for verb in ("invocations", "invocations-response-stream"):
        reply = ask("POST", f"/endpoints/{name}/{verb}", body, headers={**SIGNED, **headers})
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code), reply.body
        assert reply.json()["Message"]
    if code == "ModelError":
        assert reply.json()["OriginalStatusCode"] in (400, 415)


def test_nothing_is_answered_later(ask: Ask) -> None:
    reply = ask("POST", "/endpoints/delay/async-invocations", headers=SIGNED)
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert ask("POST", "/endpoints/delay/async-invocations").json()["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("x"), 429, "ModelNotReadyException"),
        (Overloaded("x"), 429, "ThrottlingException"),
        (InterlockError("x"), 500, "InternalFailure"),
        (TimedOut("x"), 500, "InternalFailure"),
    ],
)
def test_what_is_no_fault_of_the_caller(error: InterlockError, status: int, code: str) -> None:
    reply = sagemaker_runtime.runtime_error(error)
    assert (reply.status, dict(reply.headers)[b"x-amzn-errortype"].decode()) == (status, code)


def test_a_stream_comes_in_frames(ask: Ask) -> None:
    reply = ask("POST", "/endpoints/delay/invocations-response-stream", RECORDS, headers={**SIGNED, **NAMED})
    assert reply.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert reply.body == part_frame(b'{"probability":0.25,"label":0}\n')


def test_frames_carry_their_checksums() -> None:
    frame = event_frame(b"payload", {":event-type": "PayloadPart"})
    assert int.from_bytes(frame[:4]) == len(frame)
    assert int.from_bytes(frame[8:12]) == crc32(frame[:8])
    assert int.from_bytes(frame[-4:]) == crc32(frame[:-4])
    assert b"ModelStreamError" in failure_frame(b"{}")


class TestSeveralModels:
    """A container whose models are loaded and unloaded by calls."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "MLmodel").write_text("")
        version = ModelVersion("fare", 2, NOW, (), SIGNATURE, "sklearn", "test")
        (tmp_path / "m" / RECORD).write_bytes(msgspec.json.encode(version))
        return tmp_path

    @pytest.fixture
    def failing(self) -> list[BaseException]:
        return []

    @pytest.fixture
    def several(self, folder: Path, failing: list[BaseException]) -> Iterator[Ask]:
        stores = fresh_stores()
        folders = ModelFolders(stores.deployments, within=folder)

        def load(ref: str) -> Any:
            if failing:
                raise failing.pop()
            assert folders.resolve(ref).engine == "test"
            return loaded(ref)

        host = EndpointHost(stores.deployments, stores.journal, load=load, log=stores.predictions)
        host.refresh()
        environment = Environment(platform="sagemaker", is_multi_model=True, model=folder)
        plane = DataPlane(host, spoken=Spoken(environment, folders))
        yield asking(plane)
        plane.close()
        host.close()

    def test_a_model_is_loaded_asked_and_unloaded(self, several: Ask, folder: Path) -> None:
        assert (several("GET", "/ping").status, several("GET", "/ping").body) == (200, b"")
        wanted = {"model_name": "abc", "url": str(folder / "m")}
        assert several("POST", "/models", wanted).status == 200
        assert several("POST", "/models", wanted).status == 409
        described = {"modelName": "abc", "modelUrl": str(folder / "m")}
        assert several("GET", "/models").json() == {"models": [described]}
        assert several("GET", "/models/abc").json() == described
        headers = {"x-amzn-sagemaker-target-model": "fare.tar.gz"}
        assert several("POST", "/models/abc/invoke", RECORDS, headers=headers).json()["predictions"] == [0]
        assert several("POST", "/models/other/invoke", RECORDS, headers=headers).status == 404
        assert several("DELETE", "/models/abc").status == 200
        assert several("DELETE", "/models/abc").status == 404
        assert several("GET", "/models/abc").status == 404
        assert several("POST", "/models/abc/invoke", RECORDS).status == 404
        assert several("POST", "/models", wanted).status == 200
        assert several("POST", "/models/abc/invoke", RECORDS).json()["predictions"] == [0]

    def test_what_does_not_fit_into_the_memory_is_507(
        self, several: Ask, folder: Path, failing: list[BaseException]
    ) -> None:
        wanted = {"model_name": "abc", "url": str(folder / "m")}
        failing.append(MemoryError())
        assert several("POST", "/models", wanted).status == 507
        failing.append(InterlockError("damaged"))
        assert several("POST", "/models", wanted).status == 500
        assert several("GET", "/models").json() == {"models": []}
        assert several("POST", "/models", wanted).status == 200

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"{", 400),
            ({"model_name": "abc"}, 400),
            ({"model_name": "abc", "url": "/etc"}, 400),
            ({"model_name": "a b\n", "url": "m"}, 400),
        ],
    )
    def test_bad_requests(self, several: Ask, body: Any, status: int) -> None:
        reply = several("POST", "/models", body)
        assert (reply.status, bool(reply.json()["message"])) == (status, True)

    def test_pages_of_models(self, several: Ask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("interlock.server.contracts.sagemaker._PAGE", 1)
        for name in ("a", "b"):
            assert several("POST", "/models", {"model_name": name, "url": str(folder / "m")}).status == 200
        first = several("GET", "/models").json()
        assert ([one["modelName"] for one in first["models"]], first["nextPageToken"]) == (["a"], "1")
        second = several("GET", "/models?next_page_token=1").json()
        assert ([one["modelName"] for one in second["models"]], "nextPageToken" in second) == (["b"], False)
        assert several("GET", "/models?next_page_token=x").status == 400


def test_a_model_that_fails_midway_ends_its_stream_with_an_error(stores: Stores) -> None:
    class Breaking(Predictor):
        def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
            raise AssertionError

        def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
            yield {"probability": 0.5, "label": 1}
            raise InvalidInput("the model broke")

    with hosted(stores, Shelf(loaded(FIRST, predictor=Breaking()))) as host:
        plane = DataPlane(host)
        reply = asking(plane)("POST", "/endpoints/delay/invocations-response-stream", RECORDS, headers=SIGNED)
        plane.close()
    assert reply.body.startswith(part_frame(b'{"probability":0.5,"label":1}\n'))
    assert b"ModelStreamError" in reply.body and b"the model broke" in reply.body
