"""What every model catalog must do with the notes on versions, and when versions are deleted."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.deployment_store import Deployment
from interlock.ports.model_catalog import VersionChange
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.model_catalog import ODD, ODD_REF, told
from interlock.testing.model_store import NOW, a_model


class VersionNotesContract(Contract):
    """What is said of versions, their stages, and their end."""

    def test_notes_begin_with_what_was_registered(self, stores: Stores) -> None:
        said = VersionChange(
            description="first", tags={"b": "2"}, source="models:/m-1", run_link="http://x", logged_model="m-1"
        )
        stores.models.add_version(a_model(run="r1", tags={"a": "1", "b": "1"}), notes=said)
        notes = stores.catalog.notes("delay", 1)
        assert (notes.model, notes.version, notes.stage, notes.aliases) == ("delay", 1, "None", ())
        assert (notes.description, notes.tags, notes.run) == ("first", {"a": "1", "b": "2"}, "r1")
        assert (notes.source, notes.run_link, notes.logged_model) == ("models:/m-1", "http://x", "m-1")
        assert notes.created_at == notes.updated_at == NOW
        assert stores.models.get("delay").tags == {"a": "1", "b": "1"}

    def test_bad_notes_leave_no_version(self, stores: Stores) -> None:
        for bad in (VersionChange(stage="staging"), VersionChange(tags={"": "x"}), VersionChange(source="\0")):
            with pytest.raises(InvalidInput):
                stores.models.add_version(a_model(), notes=bad)
        assert told(stores) == []

    def test_notes_change_and_the_version_does_not(self, stores: Stores) -> None:
        version = stores.models.add_version(a_model(created_at=NOW - timedelta(days=1), tags={"a": "1", "b": "1"}))
        change = VersionChange(description="better", stage="Staging", tags={"b": "2", "c": "3"}, remove_tags=("a",))
        after = stores.catalog.annotate("delay", 1, change)
        assert (after.description, after.stage, after.tags) == ("better", "Staging", {"b": "2", "c": "3"})
        assert after == stores.catalog.notes("delay", 1)
        assert after.updated_at > after.created_at
        assert stores.models.get("delay") == version
        assert stores.catalog.annotate("delay", 1, msgspec.structs.replace(change, remove_tags=())) == after
        payload = {
            "description": "better",
            "stage": "Staging",
            "previous_stage": "None",
            "tags": ["b", "c"],
            "removed_tags": ["a"],
        }
        assert told(stores)[2:] == [("model.version_updated", "model:delay@1", payload)]

    @pytest.mark.parametrize(
        "change",
        [
            VersionChange(stage="Live"),
            VersionChange(stage=""),
            VersionChange(tags={"a": "\0"}),
            VersionChange(run_link="x" * 100_001),
            VersionChange(archive_others=True),
            VersionChange(stage="Archived", archive_others=True),
            VersionChange(stage="None", archive_others=True),
        ],
    )
    def test_a_bad_note_leaves_all_as_it_was(self, stores: Stores, change: VersionChange) -> None:
        stores.models.add_version(a_model())
        before = stores.catalog.notes("delay", 1)
        with pytest.raises(InvalidInput):
            stores.catalog.annotate("delay", 1, change)
        assert stores.catalog.notes("delay", 1) == before

    def test_a_version_may_archive_those_whose_place_it_takes(self, stores: Stores) -> None:
        for _ in range(4):
            stores.models.add_version(a_model())
        for version, stage in ((1, "Production"), (2, "Production"), (3, "Staging")):
            stores.catalog.annotate("delay", version, VersionChange(stage=stage))
        stores.catalog.annotate("delay", 4, VersionChange(stage="Production", archive_others=True))
        stages = {one.version: one.stage for one in stores.catalog.search_versions().versions}
        assert stages == {1: "Archived", 2: "Archived", 3: "Staging", 4: "Production"}
        subjects = [subject for kind, subject, _ in told(stores) if kind == "model.version_updated"]
        assert subjects[-3:] == ["model:delay@4", "model:delay@1", "model:delay@2"]

    def test_the_newest_of_each_stage(self, stores: Stores) -> None:
        for _ in range(5):
            stores.models.add_version(a_model())
        stores.models.add_version(a_model("fare"))
        for version, stage in ((1, "Staging"), (2, "Staging"), (4, "Archived")):
            stores.catalog.annotate("delay", version, VersionChange(stage=stage))
        found = stores.catalog.newest_by_stage(["fare", "delay", "tax"])
        assert [(one.model, one.version) for one in found] == [("delay", 5), ("delay", 4), ("delay", 2), ("fare", 1)]
        assert found[0] == stores.catalog.notes("delay", 5)
        assert stores.catalog.newest_by_stage([]) == []

    def test_aliases_are_shown_with_their_model_and_version(self, stores: Stores) -> None:
        for _ in range(2):
            stores.models.add_version(a_model())
        for alias, version in (("shadow", 2), ("champion", 2), ("old", 1)):
            stores.models.set_alias("delay", alias, version=version)
        assert stores.catalog.get("delay").aliases == {"champion": 2, "old": 1, "shadow": 2}
        assert stores.catalog.notes("delay", 2).aliases == ("champion", "shadow")
        assert stores.catalog.search_versions().versions[0].aliases == ("champion", "shadow")

    def test_a_deleted_version_is_gone_and_its_number_too(self, stores: Stores) -> None:
        for _ in range(3):
            stores.models.add_version(a_model())
        stores.models.set_alias("delay", "champion", version=3)
        stores.models.set_alias("delay", "old", version=1)
        stores.catalog.delete_version("delay", 3)
        stores.catalog.delete_version("delay", 2)
        assert stores.models.get("delay").version == 1
        assert stores.models.find("delay", version=3) is None
        assert stores.models.find("delay", alias="champion") is None
        assert [one.version for one in stores.models.versions("delay")] == [1]
        assert [one.version for one in stores.catalog.search_versions().versions] == [1]
        assert stores.models.aliases("delay") == stores.catalog.get("delay").aliases == {"old": 1}
        for call in (
            lambda: stores.models.get("delay", version=2),
            lambda: stores.catalog.notes("delay", 2),
            lambda: stores.catalog.delete_version("delay", 2),
            lambda: stores.models.set_alias("delay", "champion", version=3),
        ):
            with pytest.raises(NotFound):
                call()
        assert stores.models.add_version(a_model()).version == 4

    def test_deleting_a_version_is_told(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.set_alias("delay", "champion", version=1)
        stores.catalog.delete_version("delay", 1)
        moved, deleted = told(stores)[-2:]
        assert (moved[0], moved[1], moved[2]["version"], moved[2]["previous"]) == (
            "model.alias_set",
            "model:delay",
            None,
            1,
        )
        assert deleted == ("model.version_deleted", "model:delay@1", {})
        assert [one.version for one in stores.models.alias_history("delay")] == [None, 1]

    def test_what_answers_stays(self, stores: Stores) -> None:
        for _ in range(2):
            stores.models.add_version(a_model(ODD))
        stores.deployments.route("live", [Deployment(f"{ODD_REF}@1", "live", 1.0)])
        for call in (
            lambda: stores.catalog.delete_version(ODD, 1),
            lambda: stores.catalog.delete(ODD),
            lambda: stores.catalog.rename(ODD, "delay"),
        ):
            with pytest.raises(Conflict):
                call()
        assert stores.catalog.get(ODD).versions == 2
        stores.deployments.route("live", [Deployment(f"{ODD_REF}@2", "live", 1.0)])
        stores.catalog.delete_version(ODD, 1)
        assert [one.version for one in stores.models.versions(ODD)] == [2]
