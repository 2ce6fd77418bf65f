"""What every run store must do."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.core.hashing import digest_of
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, MetricPoint, RunBatch, RunFilter, Series
from interlock.ports.stores import Stores
from interlock.testing.machine import Plays, plain
from interlock.testing.run_metrics import BEGIN, END, RunMetricsContract, a_run, packed

FILE = ArtifactEntry("model/MLmodel", digest_of(b"flavors:"), 8)


class RunStoreContract(RunMetricsContract):
    """Experiments, runs and what they log."""

    def test_a_run_comes_back_as_it_began(self, stores: Stores) -> None:
        run = a_run(
            "r1",
            params={"alpha": 0.5, "layers": [1, 2], "nested": {"a": None, "b": True}},
            tags={"team": "ops"},
            code={"commit": "abc", "dirty": True},
            libraries={"numpy": "2.2"},
            environment={"python": "3.11"},
        )
        assert stores.runs.create(run) == run
        assert stores.runs.get("r1") == run

    def test_beginning_writes_events_and_edges(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"), edges=[Edge("dataset:flights@1", "", "read_by")])
        stores.runs.create(a_run("r2", parent="r1"))
        told = [(event.kind, event.subject) for event in stores.journal.events()]
        assert told == [
            ("experiment.created", "experiment:delay"),
            ("run.started", "run:r1"),
            ("run.started", "run:r2"),
        ]
        assert stores.journal.walk("run:r2", direction="back") == [
            Edge("run:r1", "run:r2", "contains"),
            Edge("dataset:flights@1", "run:r1", "read_by"),
        ]

    def test_an_id_is_used_once(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", name="first"))
        with pytest.raises(Conflict):
            stores.runs.create(a_run("r1", name="second"))
        assert stores.runs.get("r1").name == "first"
        assert stores.journal.last_seq() == len(stores.journal.events())

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "no spaces"},
            {"experiment": ""},
            {"kind": "a b"},
            {"status": "asleep"},
            {"status": "finished"},
            {"ended_at": END},
            {"error": "boom"},
            {"started_at": datetime(2026, 1, 1)},
            {"params": {"": 1}},
            {"params": {"f": object()}},
            {"params": {"big": 2**70}},
            {"tags": {"k": 3}},
            {"tags": {"k": "a\0b"}},
            {"tags": {"\ud800": "v"}},
        ],
    )
    def test_a_run_that_cannot_begin_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            stores.runs.create(msgspec.structs.replace(a_run("r1"), **changes))
        assert stores.runs.runs() == []
        assert stores.experiments.experiments() == []
        assert stores.journal.events() == []

    def test_a_parent_must_exist(self, stores: Stores) -> None:
        with pytest.raises(NotFound):
            stores.runs.create(a_run("r1", parent="nobody"))
        assert stores.experiments.experiments() == []

    def test_unknown_ids_are_not_found(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        for call in (
            lambda: stores.runs.get("r2"),
            lambda: stores.runs.log("r2", RunBatch()),
            lambda: stores.runs.history("r2", "auc"),
            lambda: stores.runs.artifacts("r2"),
            lambda: stores.runs.end("r2", status="finished", ended_at=END),
        ):
            with pytest.raises(NotFound):
                call()

    def test_ending_and_reopening(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        failed = stores.runs.end("r1", status="failed", ended_at=END, error="boom")
        assert (failed.status, failed.ended_at, failed.error) == ("failed", END, "boom")
        assert stores.runs.get("r1") == failed
        assert stores.runs.end("r1", status="failed", ended_at=END, error="boom") == failed
        reopened = stores.runs.end("r1", status="running", ended_at=END)
        assert (reopened.status, reopened.ended_at, reopened.error) == ("running", None, None)
        stores.runs.end("r1", status="killed", ended_at=END)
        kinds = [event.kind for event in stores.journal.events(kinds=["run."])]
        assert kinds == ["run.started", "run.failed", "run.started", "run.killed"]

    def test_a_bad_end_changes_nothing(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        with pytest.raises(InvalidInput):
            stores.runs.end("r1", status="done", ended_at=END)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            stores.runs.end("r1", status="finished", ended_at=datetime(2026, 1, 1))
        assert stores.runs.get("r1").status == "running"

    def test_runs_are_listed_newest_first_by_page(self, stores: Stores) -> None:
        for number in range(5):
            stores.runs.create(a_run(f"r{number}", params={"n": number}))
        first = stores.runs.runs(limit=2)
        assert [(run.id, run.params) for run in first] == [("r4", {"n": 4}), ("r3", {"n": 3})]
        assert [run.id for run in stores.runs.runs(before="r3")] == ["r2", "r1", "r0"]
        assert stores.runs.runs(limit=0) == []

    def test_a_limit_is_a_number_from_zero_up(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.runs.runs(limit=-1)

    def test_filters_must_all_match(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", kind="pipeline", tags={"a": "1", "b": "2"}))
        stores.runs.create(a_run("r2", kind="step", parent="r1", tags={"a": "1"}))
        stores.runs.create(a_run("r3", experiment="fare"))
        stores.runs.end("r3", status="finished", ended_at=END)
        for where, wanted in (
            (RunFilter(), ["r3", "r2", "r1"]),
            (RunFilter(experiment="delay"), ["r2", "r1"]),
            (RunFilter(kind="step"), ["r2"]),
            (RunFilter(status="running"), ["r2", "r1"]),
            (RunFilter(parent="r1"), ["r2"]),
            (RunFilter(tags={"a": "1"}), ["r2", "r1"]),
            (RunFilter(tags={"a": "1", "b": "2"}), ["r1"]),
            (RunFilter(tags={"a": "2"}), []),
            (RunFilter(experiment="nothing"), []),
        ):
            assert [run.id for run in stores.runs.runs(where=where)] == wanted
            assert stores.runs.count(where=where) == len(wanted)

    def test_params_keep_their_type_and_their_value(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", params={"n": 1}))
        stores.runs.log("r1", RunBatch(params={"n": 1, "x": math.nan, "deep": {"b": 1, "a": [1.0]}}))
        stores.runs.log("r1", RunBatch(params={"x": math.nan, "deep": {"a": [1.0], "b": 1}}))
        for other in ({"n": 1.0}, {"n": True}, {"n": "1"}, {"deep": {"a": [1], "b": 1}}):
            with pytest.raises(Conflict):
                stores.runs.log("r1", RunBatch(params=other))
        found = stores.runs.get("r1").params
        assert plain(found) == {"n": 1, "x": "NaN", "deep": {"b": 1, "a": [1.0]}}
        assert type(found["n"]) is int

    def test_a_conflict_leaves_nothing_of_its_batch(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", params={"n": 1}, tags={"t": "old"}))
        batch = RunBatch(
            metrics=(MetricPoint("auc", 0.5, 1, 1),),
            params={"fresh": 1, "n": 2},
            tags={"t": "new"},
            artifacts=(FILE,),
            edges=(Edge("dataset:a@1", "run:r1", "read_by"),),
        )
        with pytest.raises(Conflict):
            stores.runs.log("r1", batch)
        assert stores.runs.get("r1") == a_run("r1", params={"n": 1}, tags={"t": "old"})
        assert stores.runs.artifacts("r1") == []
        assert stores.runs.history("r1", "auc") == []
        assert stores.journal.walk("run:r1", direction="back") == []

    @pytest.mark.parametrize(
        "bad",
        [
            RunBatch(metrics=(MetricPoint("", 1.0, 1, 1),)),
            RunBatch(metrics=(MetricPoint("k", "high", 1, 1),)),  # type: ignore[arg-type]
            RunBatch(metrics=(MetricPoint("k", 1.0, math.nan, 1),)),
            RunBatch(metrics=(MetricPoint("k", 1.0, 1, 2**70),)),
            RunBatch(metrics=(MetricPoint("k", 1.0, 1, 0.5),)),  # type: ignore[arg-type]
            RunBatch(params={"p": {1, object()}}),
            RunBatch(tags={"": "v"}),
            RunBatch(artifacts=(ArtifactEntry("../up", FILE.digest, 1),)),
            RunBatch(artifacts=(ArtifactEntry("/top", FILE.digest, 1),)),
            RunBatch(artifacts=(ArtifactEntry("a", "md5:1", 1),)),
            RunBatch(artifacts=(ArtifactEntry("a", FILE.digest, -1),)),
        ],
    )
    def test_bad_input_leaves_nothing_of_its_batch(self, stores: Stores, bad: RunBatch) -> None:
        stores.runs.create(a_run("r1"))
        batch = RunBatch(
            metrics=(MetricPoint("good", 1.0, 1, 1), *bad.metrics),
            params={"good": 1, **bad.params},
            tags={"good": "1", **bad.tags},
            artifacts=(FILE, *bad.artifacts),
        )
        with pytest.raises(InvalidInput):
            stores.runs.log("r1", batch)
        assert stores.runs.get("r1") == a_run("r1")
        assert stores.runs.artifacts("r1") == []

    def test_tags_are_overwritten_and_artifacts_listed_by_path(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", tags={"a": "1"}))
        other = ArtifactEntry("a.txt", digest_of(b"a"), 1)
        newer = ArtifactEntry("a.txt", digest_of(b"bb"), 2)
        stores.runs.log("r1", RunBatch(tags={"a": "2", "b": ""}, artifacts=(FILE, other)))
        stores.runs.log("r1", RunBatch(artifacts=(newer,)))
        assert stores.runs.get("r1").tags == {"a": "2", "b": ""}
        assert stores.runs.artifacts("r1") == [newer, FILE]

    def test_edges_of_a_batch_are_linked(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        stores.runs.log("r1", RunBatch(edges=(Edge("dataset:a@1", "", "read_by"), Edge("run:r1", "model:m@1", "made"))))
        assert stores.journal.walk("model:m@1", direction="back") == [
            Edge("run:r1", "model:m@1", "made"),
            Edge("dataset:a@1", "run:r1", "read_by"),
        ]

    def test_changing_what_was_handed_in_or_out_changes_nothing(self, stores: Stores) -> None:
        params: dict[str, Any] = {"layers": [1]}
        stores.runs.create(a_run("r1", params=params))
        params["layers"].append(2)
        stores.runs.get("r1").params["layers"].append(3)
        stores.runs.get("r1").tags["new"] = "tag"
        assert stores.runs.get("r1") == a_run("r1", params={"layers": [1]})


def _in_columns(points: list[MetricPoint]) -> tuple[Series, ...]:
    rows = {point.key: [(one.value, one.step, one.time) for one in points if one.key == point.key] for point in points}
    return tuple(packed(key, *some) for key, some in rows.items())


_ids = st.sampled_from(["r1", "r2", "r3"])
_words = st.sampled_from(["a", "b", ""])
_values = st.sampled_from([0.1, 0.2, -3.5, 1e16, 1e-9, 1.7e308, -1.7e308, 0.0, math.inf, -math.inf, math.nan, 2])
_metrics = st.builds(
    MetricPoint,
    key=st.sampled_from(["auc", "loss"]),
    value=_values,
    step=st.sampled_from([0, 1, 1.5, -2]),
    time=st.integers(0, 2),
)
_params = st.dictionaries(
    st.sampled_from(["p", "q"]), st.sampled_from([1, 1.0, True, "1", None, [1], math.nan]), max_size=2
)
_tags = st.dictionaries(st.sampled_from(["t", "u"]), _words, max_size=2)
_filters = st.builds(
    RunFilter,
    experiment=st.sampled_from([None, "e1", "e2"]),
    kind=st.sampled_from([None, "training", "step"]),
    status=st.sampled_from([None, "running", "finished"]),
    parent=st.sampled_from([None, "r1"]),
    tags=_tags,
)
_edges = st.lists(
    st.builds(Edge, st.just("dataset:a@1"), st.sampled_from(["", "run:r1"]), st.just("read_by")), max_size=1
)

RUN_STORE_PLAYS: Plays = {
    "create": st.fixed_dictionaries(
        {
            "run": st.builds(
                a_run,
                _ids,
                experiment=st.sampled_from(["e1", "e2"]),
                kind=st.sampled_from(["training", "step"]),
                status=st.sampled_from(["running", "running", "finished"]),
                parent=st.sampled_from([None, "r1", "r2"]),
                params=_params,
                tags=_tags,
            )
        },
        optional={"edges": _edges},
    ),
    "get": st.fixed_dictionaries({"run_id": _ids}),
    "end": st.fixed_dictionaries(
        {
            "run_id": _ids,
            "status": st.sampled_from(["finished", "failed", "running", "asleep"]),
            "ended_at": st.sampled_from([BEGIN, END]),
        },
        optional={"error": st.just("boom")},
    ),
    "runs": st.fixed_dictionaries({}, optional={"where": _filters, "before": _ids, "limit": st.integers(-1, 3)}),
    "count": st.fixed_dictionaries({}, optional={"where": _filters}),
    "log": st.fixed_dictionaries(
        {
            "run_id": _ids,
            "batch": st.builds(
                RunBatch,
                metrics=st.lists(_metrics, max_size=6).map(tuple),
                series=st.lists(_metrics, max_size=12).map(_in_columns),
                params=_params,
                tags=_tags,
                artifacts=st.lists(st.just(FILE), max_size=1).map(tuple),
                edges=_edges.map(tuple),
            ),
        }
    ),
    "history": st.fixed_dictionaries({"run_id": _ids, "key": st.sampled_from(["auc", "loss"])}),
    "sampled": st.fixed_dictionaries(
        {"run_id": _ids, "key": st.sampled_from(["auc", "loss"]), "by": st.sampled_from(["minmax", "lttb", "max"])},
        optional={"points": st.sampled_from([7, 8, 9])},
    ),
    "artifacts": st.fixed_dictionaries({"run_id": _ids}),
}
