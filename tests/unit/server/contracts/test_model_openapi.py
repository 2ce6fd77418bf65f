from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interlock.core.schema import Column, Signature
from interlock.server.contracts.model_openapi import document
from interlock.server.contracts.model_schemas import example_rows
from interlock.server.contracts.swagger import VERSIONS, swagger
from interlock.serving.loading import LoadedModel
from tests.serving_examples import ROW, loaded
from tests.unit.server.contracts.conftest import Ask

EXAMPLE = {"columns": list(ROW), "data": [list(ROW.values()), [None, 2, None], [1.0, 3, "EWR"]]}
EVERY = Signature(
    (
        Column("a", "double", unit="min"),
        Column("b", "long", nullable=False),
        Column("c", "boolean"),
        Column("d", "datetime"),
        Column("e", "binary"),
        Column("f", "string"),
    ),
    (Column("low", "double"), Column("high", "double")),
)
TENSOR = Signature(
    (Column("image", "double", shape=(-1, 2, -1), datatype="FP32"),),
    (Column("prediction_0", "double"), Column("prediction_1", "double")),
)


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    (tmp_path / "input_example.json").write_text(json.dumps(EXAMPLE))
    return replace(loaded(), folder=tmp_path)


def request_schema(found: dict[str, Any], path: str) -> dict[str, Any]:
    content: dict[str, Any] = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return content


def operations(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in found["paths"].values() for operation in methods.values()]


@pytest.mark.parametrize("signature", [None, EVERY, TENSOR])
def test_documents_are_whole(model: LoadedModel, signature: Signature | None) -> None:
    found = document({"delay": model if signature is None else replace(model, signature=signature)})
    assert (found["openapi"], found["info"]["version"]) == ("3.1.0", "1")
    ids = [operation["operationId"] for operation in operations(found)]
    assert len(set(ids)) == len(ids) == 11
    for reference in set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found))):
        assert reference in found["components"]["schemas"]
    for operation in operations(found):
        if operation["operationId"] == "score_options":
            continue
        contents = [one["content"]["application/json"] for one in operation["responses"].values()]
        if "requestBody" in operation:
            contents.append(operation["requestBody"]["content"]["application/json"])
        for content in contents:
            jsonschema.Draft202012Validator.check_schema(content["schema"])
        assert {"200", "400", "404", "422", "429"} <= set(operation["responses"])


def test_paths_without_a_name_are_told_only_where_the_server_has_one_endpoint(model: LoadedModel) -> None:
    assert {"/invocations", "/score"} <= document({"delay": model})["paths"].keys()
    assert not {"/invocations", "/score"} & document({"delay": model}, alone=False)["paths"].keys()


def test_examples_fit_their_schemas_and_are_answered(model: LoadedModel, ask: Ask) -> None:
    found = document({"delay": model})
    asked = 0
    for path, methods in found["paths"].items():
        if "post" not in methods:
            assert ask("GET", path).status == 200
            continue
        if "get" in methods:
            names = [parameter["name"] for parameter in methods["get"]["parameters"]]
            assert ask("GET", f"{path}?" + "&".join(f"{name}={ROW[name]}" for name in names)).status == 200
            assert ask("OPTIONS", path).status == 200
        content = request_schema(found, path)
        jsonschema.validate(content["example"], content["schema"])
        reply = ask("POST", path, content["example"])
        assert reply.status == 200, (path, reply.body)
        said = methods["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(reply.json(), said)
        asked += 1
    assert asked == 6


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/invocations", {"dataframe_records": [{**ROW, "n": "1"}]}),
        ("/invocations", {"dataframe_records": []}),
        ("/invocations", {"instances": [ROW], "inputs": {}}),
        ("/v1/models/delay:predict", {"instances": [[1.0, 1]]}),
        ("/v2/models/delay/infer", {"inputs": []}),
        ("/score", {"input_data": {"columns": ["x"], "data": [[1.0]]}}),
    ],
)
def test_what_does_not_fit_a_schema_is_refused(model: LoadedModel, ask: Ask, path: str, body: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, request_schema(document({"delay": model}), path)["schema"])
    assert 400 <= ask("POST", path, body).status < 500


def test_values_of_each_kind() -> None:
    content = request_schema(document({"m": replace(loaded(), signature=EVERY)}), "/v1/models/m:predict")
    row = {"a": 1, "b": 2, "c": None, "d": "2026-01-01T00:00:00Z", "e": "AQ==", "f": None}
    jsonschema.validate({"instances": [row]}, content["schema"])
    assert "example" not in content
    for wrong in ({**row, "b": None}, {**row, "c": "yes"}, {**row, "a": 1e309}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"instances": [wrong]}, content["schema"])


def test_tensors_are_nested_lists_of_their_shape() -> None:
    content = request_schema(document({"m": replace(loaded(), signature=TENSOR)}), "/v1/models/m:predict")
    jsonschema.validate({"instances": [[[1.0], [2.0]]]}, content["schema"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"instances": [[[1.0]]]}, content["schema"])


def test_the_server_describes_what_it_serves(ask: Ask) -> None:
    one = ask("GET", "/v2/models/delay/openapi.json").json()
    assert "/v2/models/delay/infer" in one["paths"]
    assert ask("GET", "/openapi.json").json() == one
    assert ask("GET", "/v2/models/dely/openapi.json").status == 404


def test_paths_that_name_no_model_are_the_only_ones(model: LoadedModel) -> None:
    found = document({"delay": model, "fare: EWR": model})
    assert "/invocations" not in found["paths"]
    assert "/v1/models/fare%3A%20EWR:predict" in found["paths"]
    assert document({})["paths"] == {}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"columns": ["x"], "data": []}', '{"columns": ["x", "n", "city"], "data": [[1.0]]}', None]
)
def test_examples_that_do_not_fit_are_left_out(model: LoadedModel, text: str | None) -> None:
    assert model.folder is not None
    path = model.folder / "input_example.json"
    path.unlink() if text is None else path.write_text(text)
    assert example_rows(model) == []


def test_the_largest_examples_are_not_read(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(example_rows(model)) == 2
    monkeypatch.setattr("interlock.server.contracts.model_schemas._LARGEST_EXAMPLE_BYTES", 10)
    assert example_rows(model) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_older_versions_say_what_they_can(model: LoadedModel, version: str) -> None:
    found = swagger(model, "delay", version=version)
    assert found.get("swagger", found.get("openapi")) == {"2": "2.0", "3": "3.0.3", "3.1": "3.1.0"}[version]
    schemas = found["definitions"] if version == "2" else found["components"]["schemas"]
    taken = schemas["ServiceInput"]
    assert taken["example"]["input_data"]["columns"] == list(ROW)
    text = json.dumps(schemas)
    assert ("prefixItems" in text) == (version == "3.1")
    assert ('"null"' in text) == (version == "3.1")
    assert "example" not in swagger(loaded(), "delay", version=version)
