"""Recorded runs: what is reused, what is recorded, what fails."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from interlock.adapters.local.executors import InlineExecutor, ProcessExecutor
from interlock.core.active_run import active_run
from interlock.core.errors import Corrupt, InvalidInput, NotFound, StepFailed, StorageFull, Unavailable
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.lineage import artifact_ref
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.ports.artifact_store import Blob
from interlock.ports.journal import Edge
from interlock.ports.run_store import Provenance, RunFilter
from interlock.ports.stores import Stores
from tests.unit.pipelines.conftest import SECRET, ModuleMaker, open_pipelines

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _forget_calls() -> None:
    CALLS.clear()


def called(name: str) -> None:
    """Note a call; kept out of the steps, whose code must not depend on a list that changes."""
    globals()["CALLS"].append(name)


@step
def load(rows: int) -> pa.Table:
    called("load")
    return pa.table({"x": list(range(rows))})


@step
def prepare(table: pa.Table, *, factor: int = 2) -> dict[str, Any]:
    called("prepare")
    return {"size": min(table.num_rows, 5) * factor}


@step
def train(prepared: dict[str, Any], *, alpha: float) -> dict[str, float]:
    called("train")
    return {"alpha": alpha, "score": prepared["size"] * alpha}


@step
def select(models: list[dict[str, float]]) -> dict[str, float]:
    called("select")
    return max(models, key=lambda model: model["score"])


@pipeline
def nightly(rows: int, alphas: list[float]) -> Any:
    prepared = prepare(load(rows))
    return select([train(prepared, alpha=alpha) for alpha in alphas])


def test_the_value_is_that_of_the_plain_call(pipelines: Pipelines) -> None:
    run = pipelines.run(nightly, 3, alphas=[0.5, 2.0])
    assert run.value == nightly(3, [0.5, 2.0]) == {"alpha": 2.0, "score": 12.0}
    assert [outcome.step for outcome in run.steps] == ["load", "prepare", "train", "train", "select"]
    assert {outcome.reason for outcome in run.steps} == {"first run"}
    assert (run.executed, run.reused) == (5, 0)


def test_a_second_run_reuses_everything_and_says_from_where(pipelines: Pipelines) -> None:
    first = pipelines.run(nightly, 3, [0.5, 2.0])
    CALLS.clear()
    second = pipelines.run(nightly, 3, [0.5, 2.0])
    assert CALLS == []
    assert second.value == first.value
    assert second.reused == 5
    for before, now in zip(first.steps, second.steps, strict=True):
        assert now.reason == f"reused: same code, inputs and libraries as run {before.run_id}"
        assert (now.run_id, now.key) == (before.run_id, before.key)


def test_only_what_depends_on_a_change_runs(pipelines: Pipelines) -> None:
    pipelines.run(nightly, 3, [0.5, 2.0])
    CALLS.clear()
    run = pipelines.run(nightly, 3, [0.5, 1.0])
    assert CALLS == ["train", "select"]
    assert [outcome.reason for outcome in run.steps if not outcome.reused] == [
        "re-ran: input `alpha` 2.0 → 1.0",
        "re-ran: input `models` changed",
    ]


def test_an_equal_output_cuts_off_what_follows(pipelines: Pipelines) -> None:
    pipelines.run(nightly, 5, [1.0])
    CALLS.clear()
    run = pipelines.run(nightly, 6, [1.0])
    assert CALLS == ["load", "prepare"]
    assert run.reused == 2


def test_everything_is_recorded(pipelines: Pipelines, stores: Stores) -> None:
    run = pipelines.run(nightly, 3, [0.5])
    record = stores.runs.get(run.run.id)
    assert (record.kind, record.status, record.experiment, record.name) == (
        "pipeline",
        "finished",
        "nightly",
        "nightly",
    )
    assert record.params == {"rows": 3, "alphas": [0.5]}
    children = stores.runs.runs(where=RunFilter(kind="step", parent=record.id))
    assert [(child.name, child.status) for child in reversed(children)] == [
        ("load", "finished"),
        ("prepare", "finished"),
        ("train", "finished"),
        ("select", "finished"),
    ]
    trained = children[1]
    assert trained.params == {"alpha": 0.5}
    assert trained.code["key"] == run.steps[2].key
    assert "python" in trained.libraries
    assert [entry.path for entry in stores.runs.artifacts(trained.id)] == ["output.msgpack"]
    [last] = stores.journal.events(kinds=["pipeline."])
    assert (last.kind, last.subject) == ("pipeline.finished", f"run:{record.id}")
    assert last.payload == {"pipeline": "nightly", "executed": 4, "reused": 0, "failed": 0}


def test_a_run_notes_its_code_and_the_uncommitted_diff(stores: Stores) -> None:
    known = Provenance(code={"commit": "abc"}, libraries={"numpy": "2"}, diff=b"+x = 1\n")
    noting = Pipelines(
        stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), SECRET, provenance=lambda: known
    )
    run = noting.run(lambda: 1).run
    assert (run.code, run.libraries) == ({"commit": "abc"}, {"numpy": "2"})
    kept = {entry.path: entry.digest for entry in stores.runs.artifacts(run.id)}
    assert stores.artifacts.get(kept["code/uncommitted.diff"]) == b"+x = 1\n"


def test_lineage_joins_refs_steps_and_outputs(pipelines: Pipelines, stores: Stores) -> None:
    @step
    def read(ref: str) -> list[int]:
        return [len(ref)]

    @step
    def count(rows: list[int], note: str) -> int:
        return len(rows)

    @pipeline
    def lineage(ref: str) -> Any:
        return count(read(ref), "note: not a ref")

    run = pipelines.run(lineage, "dataset:flights@3")
    reader, counter = (f"run:{outcome.run_id}" for outcome in run.steps)
    rows, number = (artifact_ref(stores.runs.artifacts(outcome.run_id)[0].digest) for outcome in run.steps)
    forward = stores.journal.walk("dataset:flights@3", direction="forward")
    assert {
        Edge("dataset:flights@3", reader, "used"),
        Edge("dataset:flights@3", f"run:{run.run.id}", "used"),
        Edge(reader, rows, "produced"),
        Edge(rows, counter, "used"),
        Edge(counter, number, "produced"),
    } <= set(forward)
    again = pipelines.run(lineage, "dataset:flights@3")
    back = stores.journal.walk(f"run:{again.run.id}", direction="back", depth=1)
    assert Edge(counter, f"run:{again.run.id}", "reused_by") in back


def test_branches_and_loops_are_plain_python(pipelines: Pipelines) -> None:
    @pipeline
    def branching(rows: int) -> Any:
        prepared = prepare(load(rows))
        if prepared["size"] > 4:
            scores = [train(prepared, alpha=alpha)["score"] for alpha in (1.0, 2.0)]
            return f"best {max(scores)}", len(scores)
        return None

    assert pipelines.run(branching, 3).value == ("best 12.0", 2)
    assert pipelines.run(branching, 1).value is None


def test_pipelines_nest_in_one_run(pipelines: Pipelines) -> None:
    @pipeline
    def outer() -> Any:
        return [nightly(2, [1.0]), nightly(3, [1.0])]

    run = pipelines.run(outer)
    assert [model["score"] for model in run.value] == [4.0, 6.0]
    assert len(run.steps) == 8


def test_the_same_call_twice_runs_once(pipelines: Pipelines) -> None:
    @pipeline
    def twice() -> Any:
        return [load(2), load(2)]

    run = pipelines.run(twice)
    assert CALLS == ["load"]
    assert [outcome.reused for outcome in run.steps] == [False, True]


def test_a_plain_function_can_be_run(pipelines: Pipelines) -> None:
    def body() -> Any:
        return load(1)

    assert pipelines.run(body).value.num_rows == 1


def test_steps_do_not_see_what_others_do_to_a_value(pipelines: Pipelines) -> None:
    @step
    def make() -> list[int]:
        return [1]

    @step
    def spoil(items: list[int], by: int) -> int:
        items.append(by)
        return len(items)

    @pipeline
    def spoiling() -> Any:
        items = make()
        return [spoil(items, 1), spoil(items, 2), items]

    assert pipelines.run(spoiling).value == [2, 2, [1]]


def test_a_failing_step_is_named_with_its_input_and_the_rest_goes_on(pipelines: Pipelines, stores: Stores) -> None:
    @step
    def divide(number: int, by: int) -> float:
        return number / by

    @step
    def after(number: float) -> float:
        return number

    @pipeline
    def dividing() -> Any:
        bad = after(divide(1, 0))
        good = after(divide(4, 2))
        return [bad, good]

    with pytest.raises(StepFailed, match=r"step 'divide' failed on number=1, by=0") as failure:
        pipelines.run(dividing)
    assert "ZeroDivisionError" in failure.value.why
    assert isinstance(failure.value.__cause__, ZeroDivisionError)
    [run] = stores.runs.runs(where=RunFilter(kind="pipeline"))
    assert run.status == "failed"
    outcomes = pipelines.outcomes(run.id)
    assert [(outcome.step, outcome.error is None) for outcome in outcomes] == [
        ("divide", False),
        ("after", False),
        ("divide", True),
        ("after", True),
    ]
    assert outcomes[1].reason == "not run: step 'divide' failed"
    steps = stores.runs.runs(where=RunFilter(kind="step"))
    assert sorted(one.status for one in steps) == ["failed", "finished", "finished"]
    assert "ZeroDivisionError" in next(one.error or "" for one in steps if one.status == "failed")
    payload = stores.journal.events(kinds=["pipeline.failed"])[0].payload
    assert payload == {"pipeline": "dividing", "executed": 3, "reused": 0, "failed": 2}


def test_a_failed_step_is_not_reused(pipelines: Pipelines) -> None:
    with pytest.raises(StepFailed):
        pipelines.run(_flaky_once)
    assert pipelines.run(_flaky_once).value == "done"


_broken = {"now": True}


@step
def _unsteady() -> str:
    if globals()["_broken"].pop("now", False):
        raise OSError("down")
    return "done"


@pipeline
def _flaky_once() -> Any:
    return _unsteady()


def test_reading_a_failed_value_in_the_body_raises_there(pipelines: Pipelines) -> None:
    @step
    def fail() -> int:
        raise KeyError("mine")

    @pipeline
    def catching() -> Any:
        try:
            return fail().value  # type: ignore[attr-defined]
        except StepFailed:
            return load(1)

    with pytest.raises(StepFailed, match="step 'fail' failed on no arguments"):
        pipelines.run(catching)
    assert CALLS == ["load"]


def test_an_error_in_the_body_fails_the_run_and_passes_through(pipelines: Pipelines, stores: Stores) -> None:
    @pipeline
    def broken() -> Any:
        load(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        pipelines.run(broken)
    [run] = stores.runs.runs(where=RunFilter(kind="pipeline"))
    assert (run.status, run.error) == ("failed", "KeyError: 'mine'")
    assert active_run.get() is None


def test_wrong_arguments_record_nothing(pipelines: Pipelines, stores: Stores) -> None:
    with pytest.raises(TypeError):
        pipelines.run(nightly, 1)  # type: ignore[call-arg]
    assert stores.runs.runs() == []


def test_an_interruption_is_recorded_as_killed(pipelines: Pipelines, stores: Stores) -> None:
    @step
    def interrupt() -> None:
        raise KeyboardInterrupt

    @pipeline
    def interrupted() -> Any:
        return interrupt()

    with pytest.raises(KeyboardInterrupt):
        pipelines.run(interrupted)
    assert {run.status for run in stores.runs.runs()} == {"killed"}


def test_retries(pipelines: Pipelines, stores: Stores) -> None:
    @step(retries=2)
    def third_time() -> str:
        called("try")
        if len(globals()["CALLS"]) < 3:
            raise OSError("not yet")
        return "done"

    @pipeline
    def retrying() -> Any:
        return third_time()

    run = pipelines.run(retrying)
    assert run.value == "done"
    assert stores.runs.get(run.steps[0].run_id).tags["attempts"] == "3"


def test_steps_run_for_their_effect_run_every_time_on_anything(pipelines: Pipelines) -> None:
    @step(cache=False)
    def publish(value: Any, where: Any) -> str:
        called("publish")
        return "published"

    @pipeline
    def publishing(where: Any) -> Any:
        return publish(load(1), where)

    for _ in range(2):
        run = pipelines.run(publishing, threading.Lock())
    assert CALLS == ["load", "publish", "publish"]
    assert run.steps[1].reason == "ran: marked cache=False"


def test_an_argument_without_content_is_refused_by_name(pipelines: Pipelines) -> None:
    @step
    def use(connection: Any) -> int:
        return 1

    @pipeline
    def using() -> Any:
        return use(threading.Lock())

    with pytest.raises(InvalidInput, match="argument 'connection' of step 'use'"):
        pipelines.run(using)


def test_an_output_that_cannot_be_stored_fails_the_step(pipelines: Pipelines, stores: Stores) -> None:
    @step
    def opens() -> Any:
        return threading.Lock()

    @pipeline
    def opening() -> Any:
        return opens()

    with pytest.raises(StepFailed, match="step 'opens'") as failure:
        pipelines.run(opening)
    assert "cannot be stored" in failure.value.why
    assert [run.status for run in stores.runs.runs(where=RunFilter(kind="step"))] == ["failed"]


def test_a_full_disk_fails_the_step_and_leaves_no_record(stores: Stores) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(stores.artifacts, name)

        def put(self, data: bytes) -> Blob:
            if data.startswith(b"\xff\xff\xff\xff"):  # a table, and all else still fits
                raise StorageFull("the disk is full")
            return stores.artifacts.put(data)

        def put_many(self, contents: list[bytes]) -> list[Blob]:
            return [self.put(data) for data in contents]

    full: Any = Full()
    small = Pipelines(stores.runs, stores.steps, full, stores.journal, InlineExecutor(), SECRET)
    with pytest.raises(StepFailed, match="step 'load'"):
        small.run(nightly, 1, [1.0])
    assert stores.steps.history(load.full_name) == []
    statuses = {run.name: run.status for run in stores.runs.runs()}
    assert (statuses["load"], statuses["nightly"]) == ("failed", "failed")
    [node, *_] = small.graph(stores.runs.runs(where=RunFilter(kind="pipeline"))[0].id)
    assert (node.status, node.error) == ("failed", "step 'load' failed on rows=1")


def test_an_output_that_is_gone_is_made_again(pipelines: Pipelines, stores: Stores) -> None:
    first = pipelines.run(nightly, 3, [1.0])
    stores.artifacts.delete(stores.runs.artifacts(first.steps[0].run_id)[0].digest)
    second = pipelines.run(nightly, 3, [1.0])
    assert [outcome.reused for outcome in second.steps] == [False, True, True, True]
    assert second.steps[0].reason == "re-ran: its output was not kept"


def test_a_pickle_from_another_workspace_is_not_loaded(stores: Stores) -> None:
    @pipeline
    def pickling() -> Any:
        return _tuple()

    open_pipelines(stores).run(pickling)
    other = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), b"other")
    with pytest.raises(Corrupt, match="cannot be trusted"):
        other.run(pickling)


@step
def _tuple() -> tuple[int, ...]:
    return (1, 2)


def test_nested_runs_find_their_parent(pipelines: Pipelines) -> None:
    seen = []

    @step(cache=False)
    def look() -> str | None:
        return active_run.get()

    @pipeline
    def looking() -> Any:
        seen.append(active_run.get())
        return look()

    run = pipelines.run(looking)
    assert seen == [run.run.id]
    assert run.value == run.steps[0].run_id


def test_a_pipeline_within_a_run_is_its_child(pipelines: Pipelines) -> None:
    first = pipelines.run(nightly, 1, [1.0]).run
    token = active_run.set(first.id)
    try:
        assert pipelines.run(nightly, 1, [1.0]).run.parent == first.id
    finally:
        active_run.reset(token)


def test_dates_are_params(pipelines: Pipelines) -> None:
    @pipeline
    def daily(day: date) -> Any:
        return load(day.day)

    assert pipelines.run(daily, date(2026, 1, 2)).run.params == {"day": "2026-01-02"}


def test_why_tells_of_the_newest_run(pipelines: Pipelines) -> None:
    pipelines.run(nightly, 3, [0.5, 2.0])
    assert pipelines.why("train") == "first run (× 2)"
    pipelines.run(nightly, 3, [0.5, 1.0])
    assert pipelines.why("train").splitlines()[1] == "re-ran: input `alpha` 2.0 → 1.0"
    with pytest.raises(NotFound, match="no pipeline has run a step 'trian'") as missing:
        pipelines.why("trian")
    assert "did you mean 'train'" in missing.value.why


def test_why_names_an_edited_helper(pipelines: Pipelines, module: ModuleMaker) -> None:
    flow = """
    import helpers
    from interlock.pipelines.steps import step
    from interlock.pipelines.graphs import pipeline
    @step
    def clean(x):
        return helpers.tidy(x) * helpers.FACTOR
    @pipeline
    def flow(x):
        return clean(x)
    """
    helpers = "FACTOR = 2\ndef tidy(x):\n    return x + 1\n"
    module("helpers", helpers)
    assert pipelines.run(module("flow", flow).flow, 1).value == 4
    module("helpers", helpers.replace("FACTOR = 2", "FACTOR = 3"))
    assert pipelines.run(module("flow", flow).flow, 1).value == 6
    assert pipelines.why("clean") == "re-ran: constant `helpers.FACTOR` 2 → 3"
    module("helpers", helpers.replace("x + 1", "x + 2"))
    assert pipelines.run(module("flow", flow).flow, 1).value == 6
    assert pipelines.why("clean").startswith("re-ran: function `helpers.tidy` changed")
    module("helpers", helpers.replace("return", '"""Tidy."""  # so\n    return'))
    assert pipelines.run(module("flow", flow).flow, 1).value == 4
    assert pipelines.why("clean").startswith("reused")


def test_why_names_a_library(pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    from interlock.pipelines import code_keys

    @step
    def uses() -> float:
        return float(np.sum([1]))

    @pipeline
    def using() -> Any:
        return uses()

    monkeypatch.setattr(code_keys, "distribution_of", lambda module: ("numpy", "1.0"))
    pipelines.run(using)
    monkeypatch.setattr(code_keys, "distribution_of", lambda module: ("numpy", "2.0"))
    pipelines.run(using)
    assert pipelines.why("uses") == "re-ran: library numpy 1.0 → 2.0"


def test_a_long_chain_of_failures_ends(pipelines: Pipelines) -> None:
    @step
    def pass_on(value: int) -> int:
        return value // 0

    @pipeline
    def chain() -> Any:
        value: Any = 1
        for _ in range(2000):
            value = pass_on(value)
        return value

    with pytest.raises(StepFailed):
        pipelines.run(chain)


def test_steps_run_side_by_side_in_processes(stores: Stores) -> None:
    executor = ProcessExecutor(2)
    try:
        pooled = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, executor, SECRET)
        run = pooled.run(nightly, 3, [0.5, 2.0])
        assert run.value == {"alpha": 2.0, "score": 12.0}
        assert CALLS == []
        assert pooled.run(nightly, 3, [0.5, 2.0]).reused == 5

        @pipeline
        def twins() -> Any:
            return [load(4), load(4)]

        assert [outcome.reused for outcome in pooled.run(twins).steps] == [False, True]

        @step
        def local() -> int:
            return 1

        @pipeline
        def mixed() -> Any:
            return [local(), load(9)]

        with pytest.raises(StepFailed, match="step 'local'") as failure:
            pooled.run(mixed)
        assert "top of a module" in str(failure.value.__cause__)
        assert pooled.outcomes(stores.runs.runs(where=RunFilter(kind="pipeline"))[0].id)[1].error is None
    finally:
        executor.close()


def test_a_store_that_is_down_is_not_hidden(
    pipelines: Pipelines, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise Unavailable("the server does not answer")

    monkeypatch.setattr(stores.runs, "create", down)
    with pytest.raises(Unavailable):
        pipelines.run(nightly, 1, [1.0])


def test_outcomes_are_kept_as_json(pipelines: Pipelines, stores: Stores) -> None:
    run = pipelines.run(nightly, 1, [1.0])
    [entry] = [entry for entry in stores.runs.artifacts(run.run.id) if entry.path == "steps.json"]
    assert msgspec.json.decode(stores.artifacts.get(entry.digest))[0]["step"] == "load"
    assert pipelines.outcomes(run.run.id) == run.steps
