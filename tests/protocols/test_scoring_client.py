"""MLflow's own scoring client, unmodified, against `/invocations`: frames, matrices, gaps, times and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.ports.stores import Stores
from interlock.server.serve import listen, serving
from interlock.server.serve_app import ServeApp
from interlock.serving.rollout import begin
from tests.serving_examples import FIRST, ROW, Shelf, fresh_stores, hosted, loaded

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow warns of itself
SECONDS = Signature((Column("at", "datetime"),), (Column("seconds", "double"),))
MATRIX = Signature((Column("x", "double", shape=(-1, 2), datatype="FP64"),), (Column("prediction", "double"),))
CHAT = Signature((Column("messages", "string"), Column("temperature", "double")), (Column("choices", "string"),))


class Seconds(Predictor):
    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        return {"seconds": np.array([-1.0 if one is None else one.timestamp() for one in columns[0]])}


class Summing(Predictor):
    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        return {"prediction": columns[0].sum(axis=1)}


class Echo(Predictor):
    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        return {"choices": np.array(columns[0], object)}


@pytest.fixture(scope="module")
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture(scope="module")
def clients(stores: Stores) -> Iterator[dict[str, Any]]:
    """A client of each model, each behind a server of its own, as `/invocations` wants it."""
    # the package looks home when it is imported
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    models = {
        "delay": loaded(FIRST),
        "seconds": loaded("model:seconds@1", signature=SECONDS, predictor=Seconds()),
        "matrix": loaded("model:matrix@1", signature=MATRIX, predictor=Summing()),
        "chat": loaded("model:chat@1", signature=CHAT, predictor=Echo()),
    }
    found: dict[str, Any] = {}
    with ExitStack() as exits:
        exits.callback(monkeypatch.undo)
        for name, model in models.items():
            stores.deployments.route(name, begin(model.ref))
            host = exits.enter_context(hosted(stores, Shelf(model), endpoint=name, endpoints=[name]))
            app = ServeApp(host)
            exits.callback(app.close)
            listener = listen("127.0.0.1", 0)
            port = listener.getsockname()[1]
            exits.enter_context(serving(app, listener))
            found[name] = ScoringServerClient("127.0.0.1", port)
        yield found


def test_what_the_client_asks_first(clients: dict[str, Any]) -> None:
    clients["delay"].wait_server_ready(timeout=5)
    assert clients["delay"].get_version()


def test_frames_with_gaps(clients: dict[str, Any]) -> None:
    import pandas as pd

    frame = pd.DataFrame([{**ROW, "x": 0.75, "extra": 1}, {**ROW, "x": float("nan"), "extra": 2}])
    assert clients["delay"].invoke(frame).get_predictions("ndarray").tolist() == [1, 0]
    whole = pd.DataFrame({"x": [0.25], "n": [1.0], "city": [None]})
    assert clients["delay"].invoke(whole).get_predictions().iloc[0, 0] == 0


def test_parameters_name_the_predictions(clients: dict[str, Any], stores: Stores) -> None:
    import pandas as pd

    reply = clients["delay"].invoke(pd.DataFrame([ROW]), params={"prediction_ids": ["from-mlflow"], "other": 1})
    assert reply["prediction_ids"] == ["from-mlflow"]
    assert stores.predictions.find("from-mlflow")


def test_times_without_a_zone_are_in_utc(clients: dict[str, Any]) -> None:
    import pandas as pd

    frame = pd.DataFrame({"at": pd.to_datetime(["2026-01-01 05:15:00", "2026-01-01 00:00:00"])})
    wanted = [datetime(2026, 1, 1, 5, 15, tzinfo=UTC).timestamp(), datetime(2026, 1, 1, tzinfo=UTC).timestamp()]
    assert clients["seconds"].invoke(frame)["predictions"] == wanted


def test_matrices(clients: dict[str, Any]) -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert clients["matrix"].invoke(matrix)["predictions"] == [3.0, 7.0]
    with pytest.raises(Exception, match="error code 400"):
        clients["matrix"].invoke(matrix[:, :1])


def test_a_refusal_is_told_to_the_client(clients: dict[str, Any]) -> None:
    import pandas as pd

    with pytest.raises(Exception, match=r"error code 400, .*column 'x'.*expected double, got a string"):
        clients["delay"].invoke(pd.DataFrame([{**ROW, "x": "wide"}]))


def test_the_bare_json_of_a_chat_is_answered_bare(clients: dict[str, Any]) -> None:
    import requests

    url = clients["chat"].url_prefix + "/invocations"
    messages = [{"role": "user", "content": "hi"}]
    reply = requests.post(url, json={"messages": messages, "unknown": 1}, timeout=10)
    assert (reply.status_code, reply.json()) == (200, '[{"role":"user","content":"hi"}]')
    refused = requests.post(url, json={"prompt": "hi"}, timeout=10)
    assert (refused.status_code, "takes no 'prompt'" in refused.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("application/json; format=pandas-split", 415),
        ("text/xml", 415),
    ],
)
def test_content_types_and_their_parameters(clients: dict[str, Any], content_type: str, status: int) -> None:
    import requests

    body = '{"dataframe_records": [{"x": 0.25, "n": 1, "city": "JFK"}]}'
    url = clients["delay"].url_prefix + "/invocations"
    assert requests.post(url, data=body, headers={"content-type": content_type}, timeout=10).status_code == status
