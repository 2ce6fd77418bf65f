"""What every experiment store must do."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.experiment_store import ExperimentChange
from interlock.ports.run_store import RunChange
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays
from interlock.testing.run_metrics import a_run


class ExperimentStoreContract(Contract):
    """Experiments, and how their runs go with them."""

    def test_a_name_is_used_once(self, stores: Stores) -> None:
        made = stores.experiments.create("delay", tags={"owner": "ada"}, artifact_root="s3://bucket/x")
        assert (made.name, made.tags, made.artifact_root) == ("delay", {"owner": "ada"}, "s3://bucket/x")
        with pytest.raises(Conflict):
            stores.experiments.create("delay")
        assert stores.experiments.ensure("delay") == made
        assert stores.experiments.get(made.id) == made
        assert [event.kind for event in stores.journal.events()] == ["experiment.created"]

    def test_ids_are_counted_and_zero_is_the_default(self, stores: Stores) -> None:
        first = stores.experiments.create("a")
        default = stores.experiments.ensure("Default")
        second = stores.experiments.create("b")
        assert default.id == 0
        assert 0 < first.id < second.id
        with pytest.raises(NotFound):
            stores.experiments.get(second.id + 1)
        assert stores.experiments.find("c") is None

    def test_any_line_of_text_is_a_name(self, stores: Stores) -> None:
        for name in ("Flight delay", "/Users/ada@example.org/x", "größe: 100 %", "a" * 500):
            assert stores.experiments.find(name) is None
            stores.experiments.create(name)
            found = stores.experiments.find(name)
            assert found is not None and found.name == name

    @pytest.mark.parametrize("name", ["", "two\nlines", "a\0b", "a" * 501, "..", "a//b", "a/../b"])
    def test_what_cannot_be_a_name_leaves_nothing(self, stores: Stores, name: str) -> None:
        with pytest.raises(InvalidInput):
            stores.experiments.create(name)
        with pytest.raises(InvalidInput):
            stores.experiments.ensure(name)
        assert stores.experiments.experiments() == []
        assert stores.journal.events() == []

    def test_changes_are_told_once(self, stores: Stores) -> None:
        made = stores.experiments.create("a", tags={"x": "1", "y": "2"})
        change = ExperimentChange(name="b", tags={"x": "3"}, remove_tags=("y",))
        after = stores.experiments.update(made.id, change)
        assert (after.id, after.name, after.tags) == (made.id, "b", {"x": "3"})
        assert after.updated_at >= made.updated_at
        assert stores.experiments.update(made.id, ExperimentChange(name="b")) == after
        assert stores.experiments.get(made.id) == after
        kinds = [event.kind for event in stores.journal.events()]
        assert kinds == ["experiment.created", "experiment.updated"]

    def test_a_bad_change_changes_nothing(self, stores: Stores) -> None:
        stores.experiments.create("taken")
        made = stores.experiments.create("a", tags={"x": "1"})
        for change, error in (
            (ExperimentChange(name="taken"), Conflict),
            (ExperimentChange(name=""), InvalidInput),
            (ExperimentChange(remove_tags=("z",), name="c"), NotFound),
            (ExperimentChange(tags={"": "v"}, name="c"), InvalidInput),
        ):
            with pytest.raises(error):
                stores.experiments.update(made.id, change)
        assert stores.experiments.get(made.id) == made

    def test_runs_go_and_come_with_their_experiment(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", experiment="delay"))
        stores.runs.create(a_run("r2", experiment="delay"))
        stores.runs.create(a_run("r3", experiment="other"))
        stores.runs.update("r1", RunChange(deleted=True))
        made = stores.experiments.ensure("delay")
        gone = stores.experiments.update(made.id, ExperimentChange(deleted=True))
        assert gone.deleted_at is not None
        assert [run.id for run in stores.runs.runs()] == ["r3"]
        assert stores.experiments.find("delay") == gone
        assert [one.name for one in stores.experiments.experiments()] == ["other"]
        with pytest.raises(Conflict):
            stores.runs.create(a_run("r4", experiment="delay"))
        with pytest.raises(Conflict):
            stores.experiments.create("delay")
        with pytest.raises(Conflict):
            stores.experiments.update(made.id, ExperimentChange(name="x"))
        stores.experiments.update(made.id, ExperimentChange(deleted=False))
        assert [run.id for run in stores.runs.runs()] == ["r3", "r2"]

    def test_renaming_takes_the_runs_along(self, stores: Stores) -> None:
        run = stores.runs.create(a_run("r1", experiment="before"))
        made = stores.experiments.ensure("before")
        stores.experiments.update(made.id, ExperimentChange(name="after"))
        assert stores.runs.get(run.id).experiment == "after"

    def test_only_the_deleted_are_forgotten(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1", experiment="delay", params={"a": 1}, tags={"t": "1"}))
        made = stores.experiments.ensure("delay")
        with pytest.raises(Conflict):
            stores.experiments.delete(made.id)
        stores.experiments.update(made.id, ExperimentChange(deleted=True))
        assert stores.experiments.delete(made.id) == 1
        with pytest.raises(NotFound):
            stores.runs.get("r1")
        with pytest.raises(NotFound):
            stores.experiments.get(made.id)
        again = stores.runs.create(a_run("r1", experiment="delay"))
        assert (again.params, again.tags) == ({}, {})
        assert stores.experiments.ensure("delay").id != made.id


_names = st.sampled_from(["a", "b", "a/x", "no\nname"])
_ids = st.integers(0, 3)
_tags = st.dictionaries(st.sampled_from(["t", "u"]), st.sampled_from(["1", "2"]), max_size=2)

EXPERIMENT_STORE_PLAYS: Plays = {
    "create": st.fixed_dictionaries({"name": _names}, optional={"tags": _tags, "artifact_root": st.just("s3://b")}),
    "ensure": st.fixed_dictionaries({"name": _names | st.just("Default")}),
    "get": st.fixed_dictionaries({"experiment_id": _ids}),
    "find": st.fixed_dictionaries({"name": _names}),
    "update": st.fixed_dictionaries(
        {
            "experiment_id": _ids,
            "change": st.builds(
                ExperimentChange,
                name=st.none() | _names,
                tags=_tags,
                remove_tags=st.lists(st.sampled_from(["t", "u"]), max_size=1).map(tuple),
                deleted=st.sampled_from([None, True, False]),
            ),
        }
    ),
    "experiments": st.fixed_dictionaries({}, optional={"after": _names, "limit": st.integers(-1, 2)}),
    "delete": st.fixed_dictionaries({"experiment_id": _ids}),
}
