from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.clock import EPOCH
from interlock.ports.experiment_store import Experiment
from interlock.server.mlflow.places import (
    LoggedModelPlace,
    Place,
    RunPlace,
    VersionPlace,
    escape,
    logged_model_uri,
    place_at,
    place_of,
    run_uri,
    unescape,
    uri_of,
)

PLACES = [
    (RunPlace(0, "01JAB"), "mlflow-artifacts:/0/01JAB/artifacts"),
    (RunPlace(3, "ab12", "a/b c.txt"), "mlflow-artifacts:/3/ab12/artifacts/a/b c.txt"),
    (LoggedModelPlace(3, "m-1f"), "mlflow-artifacts:/3/models/m-1f/artifacts"),
    (LoggedModelPlace(3, "m-1f", "MLmodel"), "mlflow-artifacts:/3/models/m-1f/artifacts/MLmodel"),
    (VersionPlace("delay", 7), "mlflow-artifacts:/models/delay/versions/7"),
    (
        VersionPlace("Flight délai/~x", 12, "data/m"),
        "mlflow-artifacts:/models/Flight~20d~C3~A9lai~2F~7Ex/versions/12/data/m",
    ),
]


@pytest.mark.parametrize(("place", "uri"), PLACES)
def test_a_place_has_one_address_and_an_address_one_place(place: Place, uri: str) -> None:
    assert uri_of(place) == uri
    assert place_of(uri) == place
    assert place_at(uri.removeprefix("mlflow-artifacts:/")) == place


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/0/r1/artifacts",
        "mlflow-artifacts://host:9000/0/r1/artifacts",
        "mlflow-artifacts:/0/r1/artifacts?x=1",
        "mlflow-artifacts:/0/r1/artifacts#x",
        "mlflow-artifacts:/0/r1",
        "mlflow-artifacts:/0/r1/artifactsx",
        "mlflow-artifacts:/x/r1/artifacts",
        "mlflow-artifacts:/0/../artifacts",
        "mlflow-artifacts:/0/traces/tr-1/artifacts",
        "mlflow-artifacts:/models/delay/versions/0",
        "mlflow-artifacts:/models/delay/versions/x",
        "mlflow-artifacts:/models/~4/versions/1",
        "mlflow-artifacts:/models/~64elay/versions/1",
        "mlflow-artifacts:/models/~ff/versions/1",
        "mlflow-artifacts:/models/~FF/versions/1",
        "mlflow-artifacts:/",
        "",
    ],
)
def test_other_addresses_are_no_places(uri: str) -> None:
    assert place_of(uri) is None


def test_doubled_and_trailing_slashes_lead_to_the_same_place() -> None:
    assert place_of("mlflow-artifacts:///0//r1/artifacts//model/") == RunPlace(0, "r1", "model")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_every_name_comes_back_from_characters_that_nobody_quotes(name: str) -> None:
    text = escape(name)
    assert unescape(text) == name
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~")


@pytest.mark.parametrize(
    ("root", "run", "model"),
    [
        ("", "mlflow-artifacts:/3/r1/artifacts", "mlflow-artifacts:/3/models/m-1/artifacts"),
        ("s3://bucket/x/", "s3://bucket/x/r1/artifacts", "s3://bucket/x/models/m-1/artifacts"),
        ("gs://bucket?a=b", "gs://bucket/r1/artifacts?a=b", "gs://bucket/models/m-1/artifacts?a=b"),
        ("file:///tmp/x", "file:///tmp/x/r1/artifacts", "file:///tmp/x/models/m-1/artifacts"),
        ("./mlruns/3", "./mlruns/3/r1/artifacts", "./mlruns/3/models/m-1/artifacts"),
    ],
)
def test_files_are_where_the_experiment_says(root: str, run: str, model: str) -> None:
    experiment = Experiment(3, "delay", EPOCH, EPOCH, artifact_root=root)
    assert run_uri(experiment, "r1") == run
    assert logged_model_uri(experiment, "m-1") == model
    assert logged_model_uri(experiment, "m-1", "MLmodel") == (
        f"{model}/MLmodel" if "?" not in model else model.replace("?", "/MLmodel?")
    )
