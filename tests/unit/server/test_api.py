"""The views of the JSON API return the shapes of `views.py` over stores that hold a small loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from interlock.core.clock import to_micros
from interlock.core.schema import Column, Signature
from interlock.loop.stations import Station
from interlock.ports.dataset_store import Part, Snapshot
from interlock.ports.deployment_store import Deployment, Endpoint
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.prediction_log import Feedback, Prediction
from interlock.ports.run_store import ArtifactEntry, MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores
from interlock.server.api import VIEWS
from interlock.server.app import App
from interlock.server.views import (
    DatasetDetail,
    EndpointDetail,
    LoopView,
    ModelDetail,
    ModelSummary,
    MonitorDetail,
    MonitorSummary,
    PredictionRow,
    RunDetail,
    Series,
)
from tests.unit.server.asgi import call
from tests.unit.server.conftest import START, Get

STATION = Station("data", "Data", "model", "idle", 1, "snapshots", "one snapshot", None, "/datasets")
SIGNATURE = Signature((Column("dep_hour", "long"), Column("origin", "string")), (Column("p", "double"),))


def run(run_id: str, **fields: Any) -> Run:
    return Run(
        **{"id": run_id, "experiment": "delay", "kind": "training", "name": "", "status": "running",
           "started_at": START, **fields}
    )  # fmt: skip


class TestLoop:
    def test_the_home_page_has_stations_and_events(self, stores: Stores, make_app: Callable[..., App]) -> None:
        event = stores.journal.append("run.started", "run:a")
        view = call(make_app(stations=lambda: [STATION]), "GET", "/api/v1/loop").json(LoopView)
        assert view == LoopView("memory:", (STATION,), (event,), event.seq)

    def test_the_newest_events_come_first(self, stores: Stores, get: Get) -> None:
        for _ in range(60):
            stores.journal.append("run.started", "run:a")
        assert [event.seq for event in get("/api/v1/loop").json(LoopView).recent] == list(range(60, 10, -1))


class TestRuns:
    @pytest.fixture(autouse=True)
    def _filled(self, stores: Stores) -> None:
        digest = stores.artifacts.put(b"hello world").digest
        stores.runs.create(run("01A", code={"commit": "abc"}))
        stores.runs.create(run("01B", kind="trial", parent="01A"))
        stores.runs.create(run("01C", experiment="fare"))
        points = tuple(MetricPoint("train/loss", value, step, 7) for step, value in ((2, 0.5), (1, 0.7)))
        stores.runs.log("01A", RunBatch(metrics=points, artifacts=(ArtifactEntry("m.txt", digest, 11),)))

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("", ["01C", "01B", "01A"]),
            ("?experiment=delay", ["01B", "01A"]),
            ("?kind=trial", ["01B"]),
            ("?parent=01A&status=running", ["01B"]),
            ("?status=failed", []),
            ("?limit=1", ["01C"]),
            ("?before=01C&limit=1", ["01B"]),
        ],
    )
    def test_they_are_filtered_and_paged(self, get: Get, query: str, ids: list[str]) -> None:
        assert [one.id for one in get(f"/api/v1/runs{query}").json(list[Run])] == ids

    def test_one_has_children_and_files(self, get: Get) -> None:
        detail = get("/api/v1/runs/01A").json(RunDetail)
        assert [child.id for child in detail.children] == ["01B"]
        assert [entry.path for entry in detail.artifacts] == ["m.txt"]

    def test_a_series_is_ordered_and_says_nan_as_null(self, stores: Stores, get: Get) -> None:
        stores.runs.log("01A", RunBatch(metrics=(MetricPoint("train/loss", float("nan"), 3, 7),)))
        reply = get("/api/v1/runs/01A/metrics/train%2Floss")
        assert reply.json() == {"key": "train/loss", "steps": [1, 2, 3], "values": [0.7, 0.5, None], "times": [7, 7, 7]}
        assert get("/api/v1/runs/01A/metrics/none").json(Series).steps == ()

    @pytest.mark.parametrize("target", ["/api/v1/runs/nope", "/api/v1/runs/nope/metrics/x", "/api/v1/runs/..%2f..%2fx"])
    def test_unknown_ones_are_404(self, get: Get, target: str) -> None:
        assert get(target).problem.code == "IL404"

    @pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limt=1", "kind=a&kind=b"])
    def test_wrong_queries_are_400(self, get: Get, query: str) -> None:
        assert get(f"/api/v1/runs?{query}").problem.code == "IL400"


def version(stores: Stores, model: str = "delay", **fields: Any) -> ModelVersion:
    return stores.models.add_version(
        ModelVersion(
            **{
                "model": model,
                "version": 0,
                "created_at": START,
                "files": (PackageFile("MLmodel", "b3:" + "0" * 64, 1),),
                "signature": SIGNATURE,
                "flavor": "sklearn",
                "engine": "onnx",
                **fields,
            }
        )  # fmt: skip
    )


class TestModels:
    def test_they_are_listed_with_aliases(self, stores: Stores, get: Get) -> None:
        version(stores)
        newest = version(stores)
        other = version(stores, "fare/nyc")
        stores.models.set_alias("delay", "champion", version=1)
        assert get("/api/v1/models").json(list[ModelSummary]) == [
            ModelSummary("delay", newest, {"champion": 1}),
            ModelSummary("fare/nyc", other, {}),
        ]
        assert [one.name for one in get("/api/v1/models?after=delay").json(list[ModelSummary])] == ["fare/nyc"]

    def test_one_has_versions_moves_and_its_card(self, stores: Stores, get: Get) -> None:
        version(stores, "fare/nyc")
        version(stores, "fare/nyc", card=stores.artifacts.put(b"# Card").digest)
        stores.models.set_alias("fare/nyc", "champion", version=2, reason="better")
        detail = get("/api/v1/models/fare%2Fnyc").json(ModelDetail)
        assert [one.version for one in detail.versions] == [2, 1]
        assert ([move.reason for move in detail.moves], detail.card) == (["better"], "# Card")
        assert detail.aliases == {"champion": 2}

    def test_a_name_in_the_address_is_not_split(self, stores: Stores, get: Get) -> None:
        version(stores, "fare/nyc")
        assert get("/api/v1/models/fare/nyc").status == 404
        assert get("/api/v1/models/fare").status == 404
        assert get("/api/v1/models/fare%252Fnyc").status in (400, 404)


class TestEndpoints:
    @pytest.fixture(autouse=True)
    def _filled(self, stores: Stores) -> None:
        first, second = version(stores), version(stores)
        stores.deployments.route("delay", [Deployment(first.ref, "live", 1.0)])
        stores.deployments.route(
            "delay", [Deployment(first.ref, "live", 1.0), Deployment(second.ref, "shadow", 0.0)], reason="try it"
        )
        stores.deployments.route("old", [Deployment("model:gone@1", "live", 1.0)])
        rows = [
            ("p1", "delay", first.ref, "live", (9, "EWR")),
            ("p1", "delay", second.ref, "shadow", (9, "EWR")),
            ("p2", "old", "model:gone@1", "live", (1, "x")),
            ("p3", "delay", first.ref, "live", (1, "x", "one too many")),
            ("p4", "old", "the model of another registry", "live", (1,)),
        ]
        stores.predictions.append(
            [
                Prediction(name, endpoint, model, role, to_micros(START), to_micros(START), inputs, {"p": 0.5})  # type: ignore[arg-type]
                for name, endpoint, model, role, inputs in rows
            ]
        )
        stores.predictions.feedback([Feedback("p1", 1, to_micros(START) + 1)])

    def test_they_are_listed(self, get: Get) -> None:
        assert [one.name for one in get("/api/v1/endpoints").json(list[Endpoint])] == ["delay", "old"]

    def test_one_has_its_history_answers_and_versions(self, get: Get) -> None:
        detail = get("/api/v1/endpoints/delay").json(EndpointDetail)
        assert [one.revision for one in detail.history] == [2, 1]
        assert [one.ref for one in detail.versions] == ["model:delay@1", "model:delay@2"]
        assert {row.id: row.inputs for row in detail.recent}["p1"] == {"dep_hour": 9, "origin": "EWR"}
        assert detail.counts["feedback"] == 1

    def test_a_version_that_the_registry_lacks_is_left_out(self, get: Get) -> None:
        assert get("/api/v1/endpoints/old").json(EndpointDetail).versions == ()

    def test_a_prediction_has_its_truth_and_its_shadows(self, get: Get) -> None:
        rows = get("/api/v1/predictions/p1").json(list[PredictionRow])
        assert [(row.role, row.truth) for row in rows] == [("live", 1), ("shadow", 1)]
        assert rows[0].event_time == START

    @pytest.mark.parametrize(
        ("name", "inputs"),
        [("p2", {"0": 1, "1": "x"}), ("p3", {"0": 1, "1": "x", "2": "one too many"}), ("p4", {"0": 1})],
    )
    def test_inputs_without_a_signature_go_by_position(self, get: Get, name: str, inputs: dict[str, Any]) -> None:
        assert get(f"/api/v1/predictions/{name}").json(list[PredictionRow])[0].inputs == inputs

    @pytest.mark.parametrize("target", ["/api/v1/endpoints/nope", "/api/v1/predictions/nope"])
    def test_unknown_ones_are_404(self, get: Get, target: str) -> None:
        assert get(target).problem.code == "IL404"


class TestMonitors:
    def report(self, day: int, *, breached: bool = False) -> Report:
        start = START + timedelta(days=day)
        return Report(
            f"r{day}", "drift", start, start + timedelta(days=1), 10, 0.1, None, None, breached, "model:delay@1"
        )  # fmt: skip

    def test_they_come_with_reports_and_alerts(self, stores: Stores, get: Get) -> None:
        monitor = stores.monitors.apply(Monitor("drift", "delay", "drift", "psi", 0.2))
        quiet = stores.monitors.apply(Monitor("auc", "fare", "performance", "auc", 0.7))
        for day in range(3):
            stores.monitors.add_report(self.report(day, breached=day == 2), reason="psi 0.3 > 0.2")
        listed = get("/api/v1/monitors").json(list[MonitorSummary])
        assert listed[0] == MonitorSummary(quiet, None, 0)
        assert (listed[1].monitor, listed[1].latest and listed[1].latest.id, listed[1].open_alerts) == (
            monitor,
            "r2",
            1,
        )
        assert [one.monitor.name for one in get("/api/v1/monitors?endpoint=fare").json(list[MonitorSummary])] == ["auc"]
        detail = get("/api/v1/monitors/drift").json(MonitorDetail)
        assert [report.id for report in detail.reports] == ["r0", "r1", "r2"]
        assert [alert.reason for alert in detail.alerts] == ["psi 0.3 > 0.2"]
        newest = get("/api/v1/monitors/drift?limit=1").json(MonitorDetail)
        assert [report.id for report in newest.reports] == ["r2"]

    def test_unknown_ones_are_404(self, get: Get) -> None:
        assert get("/api/v1/monitors/nope").problem.code == "IL404"


class TestDatasets:
    def commit(self, stores: Stores, name: str, rows: int, profile: bytes | None = None) -> Snapshot:
        digest = None if profile is None else stores.artifacts.put(profile).digest
        columns = (Column("x", "double"),)
        return stores.datasets.commit(
            Snapshot(
                name, 0, START, (Part("b3:" + "1" * 64, 9, rows),), rows, columns, f"b3:{rows:064x}", profile=digest
            )
        )

    def test_they_are_listed_and_one_has_its_profile(self, stores: Stores, get: Get) -> None:
        self.commit(stores, "flights", 1)
        newest = self.commit(stores, "flights", 2, msgspec.msgpack.encode({"rows": 2, "columns": [{"mean": 0.5}]}))
        bare = self.commit(stores, "planes", 3)
        assert get("/api/v1/datasets").json(list[Snapshot]) == [newest, bare]
        detail = get("/api/v1/datasets/flights").json(DatasetDetail)
        assert [one.version for one in detail.snapshots] == [2, 1]
        assert detail.profile == {"rows": 2, "columns": [{"mean": 0.5}]}
        assert get("/api/v1/datasets/planes").json(DatasetDetail).profile is None

    @pytest.mark.parametrize("profile", [b"\xc1", b"\x93\x01\x02\x03", b""])
    def test_a_damaged_profile_is_named(self, stores: Stores, get: Get, profile: bytes) -> None:
        self.commit(stores, "flights", 1, profile)
        problem = get("/api/v1/datasets/flights").problem
        assert (problem.code, problem.fix) == ("IL510", "interlock verify")

    def test_unknown_ones_are_404(self, get: Get) -> None:
        assert get("/api/v1/datasets/nope").problem.code == "IL404"


def test_every_view_refuses_parameters_it_does_not_know(get: Get) -> None:
    for view in VIEWS:
        target = "/api/v1" + view.path.replace("{", "").replace("}", "")
        assert get(target + "?no_such_parameter=1").problem.code == "IL400", view.path


def test_times_are_utc(stores: Stores, get: Get) -> None:
    stores.runs.create(run("01A", started_at=datetime(2026, 1, 1, 12, tzinfo=UTC)))
    assert get("/api/v1/runs").json()[0]["started_at"] == "2026-01-01T12:00:00Z"
