"""Amazon's own client against the API `sagemaker-runtime` as this server speaks it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from interlock.ports.stores import Stores
from interlock.server.serve import listen, serving
from interlock.server.serve_app import ServeApp
from interlock.serving.rollout import begin_canary
from tests.serving_examples import FIRST, ROW, SECOND, Shelf, fresh_stores, hosted, loaded

BODY = json.dumps({"dataframe_records": [ROW]})


@pytest.fixture(scope="module")
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture(scope="module")
def client(stores: Stores) -> Iterator[Any]:
    import boto3
    from botocore.config import Config

    with hosted(stores, Shelf(loaded(FIRST), loaded(SECOND, shift=0.5))) as host:
        stores.deployments.route("delay", begin_canary(stores.deployments.get("delay").deployments, SECOND, share=0.5))
        host.refresh()
        app = ServeApp(host)
        with serving(app, listen("127.0.0.1", 0)) as address:
            client = boto3.client(
                "sagemaker-runtime",
                endpoint_url=address,
                region_name="eu-west-1",
                aws_access_key_id="any",
                aws_secret_access_key="any",
                config=Config(retries={"max_attempts": 0}, proxies={}),
            )
            yield client
            client.close()
        app.close()


def failed(client: Any, **asked: Any) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(**{"EndpointName": "delay", "Body": BODY, "ContentType": "application/json"} | asked)
    found: dict[str, Any] = caught.value.response
    return found


def test_an_endpoint_is_invoked(client: Any, stores: Stores) -> None:
    reply = client.invoke_endpoint(
        EndpointName="delay",
        Body=BODY,
        ContentType="application/json",
        InferenceId="from-boto3",
        CustomAttributes="trace=1",
        TargetVariant="1",
    )
    assert json.loads(reply["Body"].read())["predictions"] == [0]
    assert (reply["InvokedProductionVariant"], reply["CustomAttributes"]) == ("1", "trace=1")
    assert reply["ContentType"] == "application/json"
    assert stores.predictions.find("from-boto3")


def test_variants_are_versions(client: Any) -> None:
    reply = client.invoke_endpoint(EndpointName="delay", Body=BODY, TargetVariant="2")
    assert json.loads(reply["Body"].read())["predictions"] == [1]
    assert reply["InvokedProductionVariant"] == "2"


def test_formats_of_both_ways(client: Any) -> None:
    reply = client.invoke_endpoint(
        EndpointName="delay",
        Body=b"0.75,1,JFK\n0.25,1,JFK\n",
        ContentType="text/csv",
        Accept="text/csv",
        TargetVariant="1",
    )
    assert (reply["Body"].read(), reply["ContentType"]) == (b"1\n0\n", "text/csv")
    lines = f"{json.dumps(ROW)}\n".encode()
    reply = client.invoke_endpoint(
        EndpointName="delay",
        Body=lines,
        ContentType="application/jsonlines",
        Accept="application/x-npy",
        TargetVariant="1",
    )
    assert np.load(io.BytesIO(reply["Body"].read())).tolist() == [0]


def test_an_answer_is_streamed(client: Any) -> None:
    reply = client.invoke_endpoint_with_response_stream(EndpointName="delay", Body=BODY, TargetVariant="1")
    parts = [event["PayloadPart"]["Bytes"] for event in reply["Body"]]
    assert [json.loads(part) for part in parts] == [{"probability": 0.25, "label": 0}]
    assert reply["ContentType"] == "application/jsonlines"


def test_what_the_model_refuses_is_a_model_error(client: Any) -> None:
    found = failed(client, Body=json.dumps({"dataframe_records": [{**ROW, "x": "1"}]}))
    assert found["Error"]["Code"] == "ModelError"
    assert found["OriginalStatusCode"] == 400
    assert json.loads(found["OriginalMessage"])["error_code"] == "BAD_REQUEST"
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 424


@pytest.mark.parametrize("asked", [{"EndpointName": "fare"}, {"TargetVariant": "9"}])
def test_what_does_not_exist_is_a_validation_error(client: Any, asked: Any) -> None:
    found = failed(client, **asked)
    assert (found["Error"]["Code"], found["ResponseMetadata"]["HTTPStatusCode"]) == ("ValidationError", 400)
    assert "not found" in found["Error"]["Message"]


def test_nothing_is_answered_later(client: Any) -> None:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match="ValidationError"):
        client.invoke_endpoint_async(EndpointName="delay", InputLocation="s3://bucket/key")
