from __future__ import annotations

from interlock.core.ids import new_id
from interlock.loop.integrity import missing_artifacts
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch
from tests.unit.loop.test_gates import held_back
from tests.unit.loop.world import START, World


def test_whole_workspaces_have_nothing_missing(world: World) -> None:
    world.data.commit("flights", held_back(30))
    world.add_model(0.5)
    assert missing_artifacts(world.stores) == []


def test_every_owner_of_a_missing_content_is_named(world: World) -> None:
    snapshot = world.data.commit("flights", held_back(30))
    version = world.add_model(0.5)
    blob = world.stores.artifacts.put(b"log")
    run = Run(id=new_id(), experiment="e", kind="training", name="r", status="running", started_at=START)
    world.stores.runs.create(run)
    world.stores.runs.log(run.id, RunBatch(artifacts=(ArtifactEntry("log.txt", blob.digest, blob.size_bytes),)))
    for digest in (snapshot.parts[0].digest, version.files[0].digest, blob.digest):
        world.stores.artifacts.delete(digest)
    found = missing_artifacts(world.stores)
    assert {damage.where for damage in found} == {snapshot.ref, version.ref, f"run:{run.id}"}
    assert [damage.digest for damage in found] == sorted(damage.digest for damage in found)
