from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.loop.gates import GatePolicy, judge, score_table
from interlock.ports.model_store import Verdict
from tests.unit.loop.world import World


def held_back(rows: int = 3000, *, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    truth = (x + 0.3 * rng.normal(size=rows) > 0).astype("int8")
    return pa.table({"x": x, "origin": [("EWR", "JFK", "LGA")[n % 3] for n in range(rows)], "truth": truth})


def run(
    world: World,
    *,
    candidate: float,
    champion: float | None,
    policy: GatePolicy | None = None,
    table: pa.Table | None = None,
) -> Verdict:
    old = world.add_model(champion) if champion is not None else None
    return judge(
        world,  # type: ignore[arg-type]
        candidate=world.add_model(candidate),
        champion=old,
        table=held_back() if table is None else table,
        label="truth",
        policy=policy or GatePolicy(),
        data="dataset:held@1",
    )


def test_a_better_candidate_passes_with_an_interval_that_holds_the_gain(world: World) -> None:
    verdict = run(world, candidate=0.9, champion=0.3, policy=GatePolicy(slices=("origin",)))
    assert verdict.passed
    assert [check.name for check in verdict.checks] == [
        "auc",
        "auc gain over champion",
        *(f"auc gain where origin={origin}" for origin in ("EWR", "JFK", "LGA")),
    ]
    gain = verdict.checks[1]
    assert gain.low is not None
    assert gain.high is not None
    assert 0 < gain.low < gain.value < gain.high


def test_an_equal_candidate_is_refused_with_the_figures(world: World) -> None:
    verdict = run(world, candidate=0.5, champion=0.5)
    assert not verdict.passed
    assert "is not surely above +0.0000" in verdict.reason


def test_a_worse_candidate_is_refused(world: World) -> None:
    assert not run(world, candidate=0.2, champion=0.9).passed


def test_a_first_candidate_has_only_the_floor_to_reach(world: World) -> None:
    verdict = run(world, candidate=0.9, champion=None)
    assert verdict.passed
    assert verdict.champion is None
    refused = run(world, candidate=0.0, champion=None)
    assert not refused.passed
    assert "does not reach the floor of 0.600" in refused.reason


def test_a_slice_that_does_not_gain_enough_refuses_a_gain_overall(world: World) -> None:
    verdict = run(
        world,
        candidate=0.9,
        champion=0.6,
        policy=GatePolicy(slices=("origin",), slice_loss=-0.5),
    )
    assert verdict.checks[1].passed
    assert not verdict.passed
    assert "loses more than" in verdict.reason


def test_small_slices_and_slices_of_one_class_are_not_judged(world: World) -> None:
    table = held_back(600)
    constant = pa.array(["one" if value else "zero" for value in table["truth"].to_pylist()])
    table = table.set_column(1, "origin", constant)
    verdict = run(world, candidate=0.9, champion=0.3, policy=GatePolicy(slices=("origin",), min_rows=10), table=table)
    assert len(verdict.checks) == 2
    small = run(world, candidate=0.9, champion=0.3, policy=GatePolicy(slices=("origin",)), table=held_back(600))
    assert len(small.checks) == 2


def test_the_verdict_is_recorded_with_its_lineage(world: World) -> None:
    verdict = run(world, candidate=0.9, champion=0.3)
    assert world.stores.models.get_verdict(verdict.id) == verdict
    sources = {edge.source for edge in world.stores.journal.walk(f"verdict:{verdict.id}", direction="back", depth=1)}
    assert sources == {verdict.candidate, "dataset:held@1"}


def test_a_missing_label_and_a_single_class_are_named(world: World) -> None:
    with pytest.raises(InvalidInput, match="no label column 'truth'"):
        run(world, candidate=0.9, champion=None, table=held_back().drop_columns(["truth"]))
    one_class = held_back(50).set_column(2, "truth", pa.array([1] * 50, pa.int8()))
    with pytest.raises(InvalidInput, match="one class only"):
        run(world, candidate=0.9, champion=None, table=one_class)


def test_a_missing_input_column_is_named(world: World) -> None:
    version = world.add_model(0.5)
    with pytest.raises(SchemaMismatch, match="no column 'x'"):
        score_table(world.load_model(version.ref), held_back().drop_columns(["x"]))
