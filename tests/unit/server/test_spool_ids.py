"""Given ids become the server's in whatever is sent, and given ones again in what comes back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.server.spool.ids import Ids, proxied_path
from interlock.server.spool.records import invent_id
from interlock.server.spool.state import Made

RUN, MODEL, EXPERIMENT = "0123456789abcdef" * 2, "m-" + "fedcba9876543210" * 2, "12345678" * 4
UP_RUN, UP_MODEL, ULID = "a" * 32, "m-" + "b" * 32, "01JAB0CDEFGHJKMNPQRSTVWXYZ"


def made(given: str, kind: str, upstream: str, root: str = "") -> Made:
    return Made(given, kind, upstream, root)


@pytest.fixture
def ids() -> Ids:
    return Ids(
        [
            made(RUN, "run", UP_RUN, f"mlflow-artifacts:/7/{UP_RUN}/artifacts"),
            made(MODEL, "model", UP_MODEL, f"mlflow-artifacts:/7/models/{UP_MODEL}/artifacts"),
            made(EXPERIMENT, "experiment", "7", "mlflow-artifacts:/7"),
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        '{{"run_id": "{run}"}}',
        '{{"tags": [{{"key": "mlflow.parentRunId", "value": "{run}"}}]}}',
        '{{"source": "runs:/{run}/model", "model_id": "{model}"}}',
        '{{"filter": "tags.parent = \'{run}\'"}}',
        '{{"json": "[{{\\"run_id\\": \\"{run}\\"}}]"}}',
        "stream-{run}",
    ],
)
def test_ids_are_replaced_wherever_they_stand_and_back(ids: Ids, text: str) -> None:
    given = text.format(run=RUN, model=MODEL).encode()
    upstream = text.format(run=UP_RUN, model=UP_MODEL).encode()
    assert ids.forward(given) == upstream
    assert ids.backward(upstream) == given


def test_experiments_come_back_by_the_name_of_their_field_only(ids: Ids) -> None:
    assert ids.forward(f'{{"experiment_ids": ["{EXPERIMENT}"]}}'.encode()) == b'{"experiment_ids": ["7"]}'
    shown = b'{"experiment_id": "7", "step": "7", "experimentId":"7", "other_id": "7"}'
    assert ids.backward(shown) == shown.replace(b'id": "7", "step', f'id": "{EXPERIMENT}", "step'.encode()).replace(
        b'Id":"7"', f'Id":"{EXPERIMENT}"'.encode()
    )


def test_what_was_not_given_here_stays(ids: Ids) -> None:
    text = f'{{"run_id": "{"c" * 32}", "digest": "{"d" * 64}", "key": "m-{"e" * 32}"}}'.encode()
    assert ids.forward(text) == ids.backward(text) == text


def test_servers_may_have_ids_of_another_form() -> None:
    ids = Ids([made(RUN, "run", ULID), made(MODEL, "model", f"m-{ULID}")])
    assert ids.forward(f"{RUN} {MODEL}".encode()) == f"{ULID} m-{ULID}".encode()
    assert ids.backward(f"{ULID} m-{ULID}".encode()) == f"{RUN} {MODEL}".encode()


def test_ids_that_survive_need_no_way_back() -> None:
    ids = Ids([made(RUN, "run", RUN)])
    assert ids.forward(RUN.encode()) == ids.backward(RUN.encode()) == RUN.encode()


def test_it_knows_what_became_of_an_id() -> None:
    ids = Ids([made(RUN, "run", "")])
    ids.give(MODEL)
    assert (RUN in ids, MODEL in ids, UP_RUN in ids, bool(ids), bool(Ids())) == (True, True, False, True, False)
    assert ids.refused([MODEL, "other", RUN]) == RUN and ids.refused([MODEL]) is None
    assert ids.waiting(b"no", f"x{MODEL}".encode()) and not ids.waiting(RUN.encode(), b"f" * 32)
    ids.settle(made(MODEL, "model", UP_MODEL))
    assert not ids.waiting(MODEL.encode())
    ids.give(MODEL)
    assert ids.fate(MODEL) == made(MODEL, "model", UP_MODEL), "it is not given twice"
    ids.forget(RUN)
    assert ids.refused([RUN]) is None and ids.waiting(RUN.encode())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{EXPERIMENT}/{RUN}/artifacts/a/b%20c.txt", f"7/{UP_RUN}/artifacts/a/b%20c.txt"),
        (f"7/{RUN}/artifacts", f"7/{UP_RUN}/artifacts"),
        (f"{EXPERIMENT}/models/{MODEL}/artifacts/MLmodel", f"7/models/{UP_MODEL}/artifacts/MLmodel"),
        (f"{EXPERIMENT}/traces/tr-1/artifacts/t.json", "7/traces/tr-1/artifacts/t.json"),
        ("0/other/artifacts/x", "0/other/artifacts/x"),
    ],
)
def test_artifacts_lie_where_the_server_put_them(ids: Ids, path: str, expected: str) -> None:
    assert ids.artifact_path(path) == expected


def test_an_experiment_may_keep_its_artifacts_at_a_place_of_its_own() -> None:
    ids = Ids([made(RUN, "run", UP_RUN, f"mlflow-artifacts:/a team/x/{UP_RUN}/artifacts")])
    assert ids.artifact_path(f"0/{RUN}/artifacts/f") == f"a%20team/x/{UP_RUN}/artifacts/f"
    elsewhere = Ids([made(RUN, "run", UP_RUN, f"s3://bucket/{UP_RUN}/artifacts")])
    assert elsewhere.artifact_path(f"0/{RUN}/artifacts/f") is None


@pytest.mark.parametrize("root", ["/api", "/ajax-api"])
def test_addresses(ids: Ids, root: str) -> None:
    artifacts = f"{root}/2.0/mlflow-artifacts/artifacts"
    assert ids.address(f"{artifacts}/7/{RUN}/artifacts/f?x=1") == f"{artifacts}/7/{UP_RUN}/artifacts/f?x=1"
    listing = f"{artifacts}?path=7%2F{RUN}%2Fartifacts&n=%26"
    assert ids.address(listing) == f"{artifacts}?path=7/{UP_RUN}/artifacts&n=%26"
    assert ids.address(f"{root}/2.0/mlflow/runs/get?run_id={RUN}") == f"{root}/2.0/mlflow/runs/get?run_id={UP_RUN}"
    assert Ids().address(listing) == listing


def test_an_artifact_that_is_not_served_has_no_address() -> None:
    ids = Ids([made(RUN, "run", UP_RUN, "s3://bucket/x")])
    assert ids.address(f"/api/2.0/mlflow-artifacts/artifacts/7/{RUN}/artifacts/f") is None
    assert ids.address(f"/api/2.0/mlflow-artifacts/artifacts?path=7/{RUN}/artifacts") is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mlflow-artifacts:/1/a/artifacts", "1/a/artifacts"),
        ("mlflow-artifacts://host:1/1/a", "1/a"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts/1/a", "1/a"),
        ("http://h/elsewhere", None),
        ("/plain/path", None),
    ],
)
def test_which_artifacts_are_served(uri: str, expected: str | None) -> None:
    assert proxied_path(uri) == expected


@pytest.mark.parametrize("kind", ["run", "model", "experiment"])
def test_invented_ids_are_found_in_any_text(kind: str) -> None:
    given = invent_id(kind)
    ids = Ids()
    ids.give(given)
    assert ids.waiting(msgspec.json.encode({"in": ["a", {"text": f"({given})"}]}))
    assert given.isdigit() == (kind == "experiment") and given.startswith("m-") == (kind == "model")
    assert given != invent_id(kind)


def test_random_bytes_pass_unharmed(ids: Ids) -> None:
    data: Any = bytes(range(256)) * 50
    assert ids.forward(data) == ids.backward(data) == data
