from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput
from interlock.server.access_log import read_entries
from interlock.server.api_keys import KeyGate
from interlock.server.calls import encode_json
from interlock.server.dataplane import DataPlane
from interlock.server.guard import Guard
from interlock.server.router import Mount, Router
from interlock.server.serving_folder import ACCESS_FILE, serving_folder
from interlock.server.surroundings import surroundings
from interlock.serving.api_keys import ApiKeys
from interlock.serving.statistics import read_statistics
from interlock.workspace import open_workspace
from tests.serving_examples import FIRST, ROW, Shelf, fresh_stores, hosted, loaded, oip_inputs
from tests.unit.server.asgi import call


def test_what_a_process_did_is_there_for_the_next(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "ws") as workspace:
        folder = serving_folder(workspace)
        assert folder is not None
        for done in (1, 2):
            with (
                surroundings(workspace, {"INTERLOCK_ACCESS_LOG": "on"}) as around,
                hosted(fresh_stores(), Shelf(loaded(FIRST)), statistics=around.statistics) as host,
            ):
                app = DataPlane(host, observer=around.observer, explaining=around.explaining)
                body = encode_json({"inputs": oip_inputs(ROW)})
                length = [("content-length", str(len(body)))]
                assert call(app, "POST", "/v2/models/delay/infer", body=body, headers=length).status == 200
                text = call(app, "GET", "/metrics").body.decode()
                app.close()
            labels = 'endpoint="delay",model="delay",version="1",role="live"'
            assert f"interlock_predictions_total{{{labels}}} {done}\n" in text
        assert read_statistics(folder)["delay", FIRST, "live"].requests == 2
        assert len(read_entries(folder / ACCESS_FILE)) == 4
        assert not around.keys.is_active


def test_a_workspace_in_memory_keeps_everything_to_its_process() -> None:
    with open_workspace("memory:") as workspace:
        assert serving_folder(workspace) is None
        with surroundings(workspace, {}, access_log="on") as around:
            assert around.observer.access_log is None
            assert around.observer.tracing is None


def test_traces_are_switched_on_by_one_word(tmp_path: Path) -> None:
    with open_workspace("memory:") as workspace:
        with surroundings(workspace, {"INTERLOCK_TRACES": "otel", "OTEL_TRACES_SAMPLER": "always_off"}) as around:
            assert around.observer.tracing is not None
        with (
            pytest.raises(InvalidInput, match="INTERLOCK_TRACES"),
            surroundings(workspace, {"INTERLOCK_TRACES": "yes"}),
        ):
            pass


def test_the_parts_of_a_traced_request_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"INTERLOCK_TRACES": "otel", "OTEL_TRACES_SAMPLER": "always_on"}
    with open_workspace("memory:") as workspace, surroundings(workspace, environ) as around:
        tracing = around.observer.tracing
        assert tracing is not None
        told = []
        monkeypatch.setattr(tracing, "add", told.append)
        with hosted(fresh_stores(), Shelf(loaded(FIRST))) as host:
            app = DataPlane(host, observer=around.observer)
            body = encode_json({"inputs": oip_inputs(ROW)})
            length = [("content-length", str(len(body)))]
            assert call(app, "POST", "/v2/models/delay/infer", body=body, headers=length).status == 200
            app.close()
    [request] = told
    seen = request.seen
    assert 0 < seen.began_ns <= seen.read_ns <= seen.asked_ns <= seen.predicted_ns <= seen.logged_ns <= request.ended_ns
    assert (request.version, request.endpoint, request.route) == ("1", "delay", "/v2/models/{name}/infer")


def test_how_far_the_log_is_behind_is_told(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "ws") as workspace, surroundings(workspace, {}) as around:
        told = {name: read for name, _, read in around.observer.gauges}
        workspace.stores.predictions.flush()
        assert [read() for read in told.values()] == [0, 0.0]
        left = workspace.folder / "predictions" / "x.spool"
        left.write_bytes(b"")
        os.utime(left, (1_000, 1_000))
        assert told["interlock_prediction_log_waiting_files"]() == 1
        assert told["interlock_prediction_log_lag_seconds"]() > 1_000_000
        left.unlink()


def test_beside_a_control_plane_a_key_lets_through_to_the_data_plane_only() -> None:
    stores = fresh_stores()
    keys = ApiKeys(stores.records, stores.journal)
    _, secret = keys.create("dash", endpoints=["delay"], rate_per_s=1, burst=1)
    guard = Guard(keys=KeyGate(keys, stores.journal), token="t")
    with hosted(stores, Shelf(loaded(FIRST))) as host:
        plane = DataPlane(host, admit=guard.admit)
        router = Router((), mounts=[Mount(path="/v2", access="data", app=plane)], guard=guard)
        body = encode_json({"inputs": oip_inputs(ROW)})

        def ask(*shown: tuple[str, str]) -> int:
            headers = [("content-length", str(len(body))), *shown]
            return call(router, "POST", "/v2/models/delay/infer", body=body, headers=headers).status

        # it is counted once against the rate, though two have looked at it
        assert [ask(("x-api-key", secret)) for _ in range(2)] == [200, 429]
        assert ask() == 401
        assert ask(("authorization", "Bearer t")) == 200
        plane.close()
