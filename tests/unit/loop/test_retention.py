from __future__ import annotations

from datetime import timedelta

import pytest

from interlock.core.errors import InvalidInput, NotFound
from interlock.loop.references import references
from interlock.loop.retention import PIN, Policy, collect
from interlock.ports.experiment_store import ExperimentChange
from interlock.ports.file_index import FileEntry
from interlock.ports.logged_model_store import LoggedModel
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunChange
from interlock.ports.trace_store import RecordedTrace
from tests.unit.loop.test_gates import held_back
from tests.unit.loop.world import START, World

AT_ONCE = Policy(deleted_days=0, uploads_days=0, grace_h=0)


def add_run(world: World, run_id: str, content: bytes = b"", *, status: str = "finished", **tags: str) -> str:
    blob = world.stores.artifacts.put(content or run_id.encode())
    world.stores.runs.create(Run(run_id, "delay", "training", run_id, "running", START, tags=tags))
    entry = ArtifactEntry("log.txt", blob.digest, blob.size_bytes)
    world.stores.runs.log(run_id, RunBatch(artifacts=(entry,)))
    world.stores.runs.end(run_id, status=status, ended_at=START)  # type: ignore[arg-type]
    return blob.digest


def test_a_living_workspace_loses_nothing(world: World) -> None:
    world.data.commit("flights", held_back(30))
    world.add_model(0.5)
    add_run(world, "r1")
    before = {blob.digest for blob in world.stores.artifacts.blobs()}
    assert {digest for _, digest in references(world.stores)} == before
    found = collect(world, AT_ONCE, dry_run=False)
    assert (found.causes, found.freed_bytes) == ((), 0)
    assert {blob.digest for blob in world.stores.artifacts.blobs()} == before


def test_deleted_runs_go_with_what_only_they_had(world: World) -> None:
    shared = add_run(world, "r1", b"shared")
    add_run(world, "r2", b"shared")
    own = add_run(world, "r3", b"own")
    world.stores.runs.update("r2", RunChange(deleted=True))
    world.stores.runs.update("r3", RunChange(deleted=True))
    told = collect(world, AT_ONCE)
    assert {(one.cause, one.things, one.size_bytes) for one in told.causes} == {
        ("runs deleted long ago: forgotten", 2, 0),
        ("files of forgotten runs and models", 1, 3),
    }
    assert world.stores.artifacts.find(own) is not None
    assert collect(world, AT_ONCE, dry_run=False).freed_bytes == told.freed_bytes == 3
    assert world.stores.artifacts.find(own) is None
    assert world.stores.artifacts.get(shared) == b"shared"
    with pytest.raises(NotFound):
        world.stores.runs.get("r3")
    assert collect(world, AT_ONCE).causes == ()


def test_what_may_be_restored_keeps_its_files(world: World) -> None:
    digest = add_run(world, "r1")
    world.stores.runs.update("r1", RunChange(deleted=True))
    assert collect(world, Policy(grace_h=0), dry_run=False).causes == ()
    assert world.stores.artifacts.find(digest) is not None


def test_pins_and_runs_of_versions_stay(world: World) -> None:
    add_run(world, "pinned", status="failed", **{PIN: "yes"})
    add_run(world, "failed", status="failed")
    policy = Policy(failed_days=0, keep_newest=0, deleted_days=0, grace_h=0)
    (cause, *_) = collect(world, policy, dry_run=False).causes
    assert cause.sample == ("run:failed",)
    assert [run.id for run in world.stores.runs.runs()] == ["pinned"]


def test_only_the_newest_of_an_experiment_are_kept(world: World) -> None:
    for run_id in ("r1", "r2", "r3"):
        add_run(world, run_id)
    collect(world, Policy(keep_newest=2), dry_run=False)
    assert len(world.stores.runs.runs()) == 2


def test_a_loose_content_waits_for_its_grace(world: World) -> None:
    blob = world.stores.artifacts.put(b"loose")
    first = collect(world, Policy(), dry_run=False)
    assert (first.freed_bytes, first.waiting) == (0, 1)
    world.clock.advance(1800)
    assert collect(world, Policy(), dry_run=False).freed_bytes == 0
    world.clock.advance(1801)
    assert collect(world, Policy(), dry_run=True).freed_bytes == blob.size_bytes
    assert world.stores.artifacts.find(blob.digest) is not None
    collect(world, Policy(), dry_run=False)
    assert world.stores.artifacts.find(blob.digest) is None


def test_a_content_that_finds_its_owner_in_time_stays(world: World) -> None:
    blob = world.stores.artifacts.put(b"late")
    collect(world, Policy(), dry_run=False)
    add_run(world, "r1", b"late")
    world.clock.advance(4000)
    assert collect(world, Policy(), dry_run=False).freed_bytes == 0
    assert world.stores.artifacts.get(blob.digest) == b"late"


def test_parts_of_an_unfinished_upload_go(world: World) -> None:
    blob = world.stores.artifacts.put(b"part")
    old = world.clock.now() - timedelta(days=2)
    world.stores.files.put([FileEntry("uploads/u/00001", blob.digest, blob.size_bytes, old)])
    (cause,) = collect(world, Policy(grace_h=0), dry_run=False).causes
    assert (cause.cause, cause.size_bytes) == ("unfinished uploads", 4)
    assert world.stores.files.files() == []


@pytest.mark.parametrize("field", ["deleted_days", "failed_days", "keep_newest", "uploads_days", "grace_h"])
def test_a_negative_policy_is_refused(world: World, field: str) -> None:
    with pytest.raises(InvalidInput):
        collect(world, Policy(**{field: -1}))


def test_an_experiment_deleted_long_ago_goes_with_its_traces_and_models(world: World) -> None:
    stores = world.stores
    digest = add_run(world, "r1")
    weights = stores.artifacts.put(b"weights")
    stores.files.put([FileEntry("models/m-1/w.bin", weights.digest, weights.size_bytes, START)])
    stores.logged_models.create(LoggedModel("m-1", "delay", "m", START, START))
    made = stores.experiments.ensure("delay")
    kept = stores.experiments.ensure("kept")
    stores.traces.record(RecordedTrace("tr-1", made.id, 1, "OK"))
    stores.traces.record(RecordedTrace("tr-2", kept.id, 1, "OK"))
    stores.experiments.update(made.id, ExperimentChange(deleted=True))
    assert collect(world, Policy(grace_h=0), dry_run=False).causes == ()
    told = {one.cause: (one.things, one.size_bytes, one.sample) for one in collect(world, AT_ONCE).causes}
    assert told["experiments deleted long ago: forgotten, with their traces"] == (1, 0, ("experiment:delay",))
    assert told["files of forgotten runs and models"][:2] == (2, len(b"r1") + len(b"weights"))
    assert stores.experiments.find("delay") is not None
    collect(world, AT_ONCE, dry_run=False)
    assert stores.experiments.find("delay") is None
    assert [one.id for one in stores.traces.traces(["tr-1", "tr-2"])] == ["tr-2"]
    assert stores.logged_models.search(lifecycle="all").models == ()
    assert stores.files.files("models") == []
    assert [stores.artifacts.find(one) for one in (digest, weights.digest)] == [None, None]
    assert collect(world, AT_ONCE).causes == ()


def test_an_experiment_stays_as_long_as_one_of_its_runs_does(world: World) -> None:
    add_run(world, "pinned", **{PIN: "yes"})
    add_run(world, "other")
    made = world.stores.experiments.ensure("delay")
    world.stores.traces.record(RecordedTrace("tr-1", made.id, 1, "OK"))
    world.stores.experiments.update(made.id, ExperimentChange(deleted=True))
    (cause, _) = collect(world, AT_ONCE, dry_run=False).causes
    assert cause.sample == ("run:other",)
    assert world.stores.runs.get("pinned").experiment == "delay"
    assert world.stores.traces.get("tr-1").experiment == made.id


def test_what_is_never_to_be_forgotten_is_not(world: World) -> None:
    made = world.stores.experiments.ensure("delay")
    world.stores.experiments.update(made.id, ExperimentChange(deleted=True))
    collect(world, Policy(deleted_days=None, grace_h=0), dry_run=False)
    assert world.stores.experiments.find("delay") is not None
