"""NVIDIA's own Open Inference client against the data plane: every check of the protocol that a server can pass."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.ports.stores import Stores
from interlock.registry.models import Models
from interlock.server.hosting import EndpointHost
from interlock.server.serve import listen, serving
from interlock.server.serve_app import ServeApp
from interlock.serving.loading import ModelLoader
from interlock.serving.rollout import begin
from tests.fitted import NUMBERS, flight_delay, flights

# the client's event loop warns about the standard library, which is not ours to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gevent", "ignore::DeprecationWarning:tritonclient")
httpclient = pytest.importorskip("tritonclient.http")

ROWS = 5


@pytest.fixture(scope="module")
def stores() -> Stores:
    return memory_stores()


@pytest.fixture(scope="module")
def url(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the model of the demo, packaged, compiled and logged, by a real server."""
    runtimes = [OnnxRuntime(), SklearnRuntime()]
    cache: Path = tmp_path_factory.mktemp("cache")
    models = Models(stores.models, stores.artifacts, cache, runtimes=runtimes)
    version = models.register("delay", flight_delay(), example=flights())
    stores.deployments.route("delay", begin(version.ref))
    load = ModelLoader(models.resolve, models.package_folder, runtimes)
    with EndpointHost(stores.deployments, stores.journal, load=load, log=stores.predictions) as host:
        app = ServeApp(host, version="1.2.3")
        with serving(app, listen("127.0.0.1", 0)) as address:
            yield address
        app.close()


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    client = httpclient.InferenceServerClient(url.removeprefix("http://"))
    yield client
    client.close()


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    table = flights().slice(10, ROWS)
    found = {}
    for name in table.column_names:
        values = table.column(name).to_pylist()
        found[name] = (
            np.array([np.nan if value is None else value for value in values])
            if name in NUMBERS
            else (np.array(values, dtype=object))
        )
    return found


@pytest.fixture
def expected() -> np.ndarray:
    shares: np.ndarray = flight_delay().predict_proba(flights().slice(10, ROWS))[:, 1]
    return shares


def inputs_of(columns: dict[str, np.ndarray], *, binary: bool = True, nested: bool = False) -> list[Any]:
    inputs = []
    for name, values in columns.items():
        shaped = values.reshape(-1, 1) if nested else values
        made = httpclient.InferInput(name, list(shaped.shape), "FP64" if name in NUMBERS else "BYTES")
        made.set_data_from_numpy(shaped, binary_data=binary)
        inputs.append(made)
    return inputs


def check(result: Any, expected: np.ndarray) -> None:
    assert result.as_numpy("probability") == pytest.approx(expected, abs=1e-9)
    assert result.as_numpy("label").tolist() == (expected > 0.5).astype(int).tolist()


class TestHealthAndMetadata:
    def test_live_ready_and_model_ready(self, client: Any) -> None:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("delay")
        assert client.is_model_ready("delay", "1")

    def test_not_ready_is_told(self, client: Any) -> None:
        assert not client.is_model_ready("dely")
        assert not client.is_model_ready("delay", "9")

    def test_server_metadata(self, client: Any) -> None:
        found = client.get_server_metadata()
        assert (found["name"], found["version"]) == ("interlock", "1.2.3")
        assert "binary_tensor_data" in found["extensions"]

    @pytest.mark.parametrize("version", ["", "1"])
    def test_model_metadata(self, client: Any, version: str) -> None:
        found = client.get_model_metadata("delay", version)
        assert found["versions"] == ["1"]
        assert [tensor["datatype"] for tensor in found["inputs"]] == ["FP64"] * 3 + ["BYTES"] * 2
        assert [tensor["name"] for tensor in found["outputs"]] == ["probability", "label"]

    def test_repository_index_by_an_empty_body(self, client: Any) -> None:
        (row,) = client.get_model_repository_index()
        assert (row["name"], row["version"], row["state"]) == ("delay", "1", "READY")

    def test_load_follows_the_routing(self, client: Any) -> None:
        client.load_model("delay")
        assert client.is_model_ready("delay")

    @pytest.mark.parametrize("names", [(), ("delay",), ("delay", "1")])
    def test_statistics(self, client: Any, columns: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
        before = client.get_inference_statistics(*names)["model_stats"][0]
        client.infer("delay", inputs_of(columns))
        after = client.get_inference_statistics(*names)["model_stats"][0]
        assert after["inference_count"] - before["inference_count"] == ROWS
        assert after["execution_count"] - before["execution_count"] == 1


class TestInfer:
    def test_raw_in_raw_out_which_is_the_default(
        self, client: Any, columns: dict[str, np.ndarray], expected: np.ndarray
    ) -> None:
        check(client.infer("delay", inputs_of(columns)), expected)

    def test_json_in_json_out(self, client: Any, columns: dict[str, np.ndarray], expected: np.ndarray) -> None:
        full = {name: np.nan_to_num(values) if name in NUMBERS else values for name, values in columns.items()}
        outputs = [httpclient.InferRequestedOutput(name, binary_data=False) for name in ("probability", "label")]
        result = client.infer("delay", inputs_of(full, binary=False), outputs=outputs)
        whole = ~np.isnan(columns["delay"])
        assert result.as_numpy("probability")[whole] == pytest.approx(expected[whole], abs=1e-9)

    @pytest.mark.parametrize("binary", [True, False])
    def test_one_output_of_two(self, client: Any, columns: dict[str, np.ndarray], binary: bool) -> None:
        outputs = [httpclient.InferRequestedOutput("label", binary_data=binary)]
        result = client.infer("delay", inputs_of(columns), outputs=outputs)
        assert result.as_numpy("probability") is None
        assert result.as_numpy("label").shape == (ROWS,)

    def test_a_column_as_a_matrix_of_one(
        self, client: Any, columns: dict[str, np.ndarray], expected: np.ndarray
    ) -> None:
        check(client.infer("delay", inputs_of(columns, nested=True)), expected)

    def test_by_version(self, client: Any, columns: dict[str, np.ndarray], expected: np.ndarray) -> None:
        check(client.infer("delay", inputs_of(columns), model_version="1"), expected)

    def test_the_request_id_is_echoed(self, client: Any, columns: dict[str, np.ndarray]) -> None:
        assert client.infer("delay", inputs_of(columns), request_id="abc").get_response()["id"] == "abc"

    @pytest.mark.parametrize("request_compression", [None, "gzip", "deflate"])
    @pytest.mark.parametrize("response_compression", [None, "gzip", "deflate"])
    def test_compressed(
        self,
        client: Any,
        columns: dict[str, np.ndarray],
        expected: np.ndarray,
        request_compression: str | None,
        response_compression: str | None,
    ) -> None:
        many = {name: np.tile(values, 100) for name, values in columns.items()}
        result = client.infer(
            "delay",
            inputs_of(many),
            request_compression_algorithm=request_compression,
            response_compression_algorithm=response_compression,
        )
        check(result, np.tile(expected, 100))

    def test_asynchronously(self, url: str, columns: dict[str, np.ndarray], expected: np.ndarray) -> None:
        client = httpclient.InferenceServerClient(url.removeprefix("http://"), concurrency=4)
        pending = [client.async_infer("delay", inputs_of(columns)) for _ in range(8)]
        for one in pending:
            check(one.get_result(), expected)
        client.close()

    def test_float32_and_whole_numbers_are_taken_for_doubles(self, client: Any, columns: dict[str, np.ndarray]) -> None:
        inputs = inputs_of(columns)[1:]
        wind = httpclient.InferInput("wind", [ROWS], "INT32")
        wind.set_data_from_numpy(np.arange(ROWS, dtype=np.int32))
        assert client.infer("delay", [wind, *inputs]).as_numpy("probability").shape == (ROWS,)

    def test_prediction_ids_and_event_time_are_logged(
        self, client: Any, columns: dict[str, np.ndarray], stores: Stores
    ) -> None:
        ids = [f"flight-{at}" for at in range(ROWS)]
        parameters = {"prediction_ids": ",".join(ids), "event_time": "2013-01-01T05:15:00Z", "context": '{"a": "b"}'}
        reply = client.infer("delay", inputs_of(columns), parameters=parameters).get_response()
        assert reply["parameters"]["prediction_ids"] == ids
        (found,) = stores.predictions.find("flight-3")
        assert found.prediction.context == {"a": "b"}
        assert found.prediction.event_time == 1_357_017_300_000_000

    def test_ids_are_made_where_none_are_given(
        self, client: Any, columns: dict[str, np.ndarray], stores: Stores
    ) -> None:
        made = client.infer("delay", inputs_of(columns)).get_response()["parameters"]["prediction_ids"]
        assert len(set(made)) == ROWS
        assert all(stores.predictions.find(one) for one in made)


class TestErrors:
    """What is wrong is told as the protocol tells it: a status of 4xx and `{"error": …}`."""

    @pytest.mark.parametrize(
        "ask",
        [
            lambda client, inputs: client.infer("dely", inputs),
            lambda client, inputs: client.infer("delay", inputs, model_version="9"),
            lambda client, inputs: client.infer("delay", inputs[1:]),
            lambda client, inputs: client.infer("delay", [*inputs, inputs[0]]),
            lambda client, inputs: client.infer("delay", inputs, outputs=[httpclient.InferRequestedOutput("nothing")]),
            lambda client, inputs: client.get_model_metadata("dely"),
            lambda client, inputs: client.get_inference_statistics("dely"),
            lambda client, inputs: client.load_model("dely"),
            lambda client, inputs: client.unload_model("dely"),
        ],
    )
    def test_the_client_understands_what_is_wrong(self, client: Any, columns: dict[str, np.ndarray], ask: Any) -> None:
        from tritonclient.utils import InferenceServerException

        with pytest.raises(InferenceServerException) as error:
            ask(client, inputs_of(columns))
        assert error.value.message()
        assert error.value.status() is None or not error.value.status().startswith("5") or error.value.status() == "501"

    @pytest.mark.parametrize(
        ("name", "datatype", "values"),
        [
            ("wind", "BYTES", np.array(["a"] * ROWS, dtype=object)),
            ("carrier", "FP64", np.zeros(ROWS)),
            ("wind", "FP64", np.full(ROWS, np.inf)),
            ("wind", "BOOL", np.ones(ROWS, dtype=bool)),
            ("wind", "FP64", np.zeros(ROWS + 1)),
        ],
    )
    def test_a_column_that_does_not_fit_is_named(
        self, client: Any, columns: dict[str, np.ndarray], name: str, datatype: str, values: np.ndarray
    ) -> None:
        from tritonclient.utils import InferenceServerException

        wrong = httpclient.InferInput(name, list(values.shape), datatype)
        wrong.set_data_from_numpy(values)
        inputs = [wrong if one.name() == name else one for one in inputs_of(columns)]
        with pytest.raises(InferenceServerException) as error:
            client.infer("delay", inputs)
        assert "'" in error.value.message()

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ({}, b""),
            ({}, b"not json"),
            ({}, b"{}"),
            ({}, b'{"inputs": {}}'),
            ({}, b'{"inputs": []}'),
            ({"Inference-Header-Content-Length": "99999"}, b'{"inputs": []}'),
            ({"Inference-Header-Content-Length": "-1"}, b'{"inputs": []}'),
            ({"Content-Encoding": "gzip"}, b"not gzip"),
            (
                {"Inference-Header-Content-Length": "103"},
                b'{"inputs":[{"name":"wind","shape":[9999999999],"datatype":"FP64","parameters":{"binary_data_size":8}}]}'
                + b"\0" * 8,
            ),
        ],
    )
    def test_raw_requests_that_are_broken(self, url: str, headers: dict[str, str], body: bytes) -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("POST", "/v2/models/delay/infer", body=body, headers=headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        assert 400 <= answer.status < 500
        assert set(found) == {"error"}
