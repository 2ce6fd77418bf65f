"""How large values and code reach the process where a step runs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from interlock.adapters.local.pool import ProcessExecutor
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import Corrupt
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.performing import Performed
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.pipelines.storing import Kept, Stored, encode
from interlock.pipelines.travelling import LARGE_BYTES, Carrier, Left, perform_carried
from interlock.ports.artifact_store import Blob
from interlock.ports.executor import Call, Outcome, StaleWorker
from interlock.ports.stores import Stores
from tests.unit.pipelines.conftest import SECRET

ROWS = LARGE_BYTES // 4


@step
def make(rows: int) -> pa.Table:
    return pa.table({"x": np.arange(rows)})


@step
def double(table: pa.Table) -> np.ndarray:
    return 2 * table["x"].to_numpy()


@step
def total(values: np.ndarray, tables: list[pa.Table], more: dict[str, Any]) -> int:
    return int(values.sum()) + tables[0].num_rows + more["rows"].num_rows


@pipeline
def chain(rows: int) -> int:
    table = make(rows)
    return total(double(table), [table], {"rows": table})


class Weighing(ProcessExecutor):
    """Notes how much of each call travels."""

    def __init__(self) -> None:
        super().__init__(1)
        self.sent: list[int] = []
        self.received: list[int] = []

    def start(self, call: Call) -> Outcome:
        self.sent.append(len(pickle.dumps((call.args, call.kwargs))))
        outcome = super().start(call)
        outcome.add_done_callback(lambda done: self.received.append(len(pickle.dumps(done.result()))))
        return outcome


@pytest.fixture
def artifacts(tmp_path: Path) -> Iterator[LocalArtifactStore]:
    store = LocalArtifactStore(tmp_path / "artifacts")
    yield store
    store.close()


def run(artifacts: Any, stores: Stores) -> Weighing:
    executor = Weighing()
    try:
        made = Pipelines(stores.runs, stores.steps, artifacts, stores.journal, executor, SECRET).run(chain, ROWS)
        assert made.value == ROWS * (ROWS - 1) + 2 * ROWS
        assert made.executed == 3
    finally:
        executor.close()
    return executor


def test_large_values_go_by_the_store_and_not_through_the_caller(artifacts: LocalArtifactStore) -> None:
    executor = run(artifacts, memory_stores())
    assert max(*executor.sent, *executor.received) < 20_000
    assert artifacts.check() == []


def test_a_store_that_only_this_process_has_sends_values_along() -> None:
    stores = memory_stores()
    executor = run(stores.artifacts, stores)
    assert max(executor.sent) > LARGE_BYTES
    assert max(executor.received) > LARGE_BYTES


def away(artifacts: LocalArtifactStore) -> Carrier:
    """Return a carrier as it arrives in another process."""
    arrive, (opener, secret, _) = Carrier(artifacts, SECRET).__reduce__()
    arrived = arrive(opener, secret, "another process")
    assert isinstance(arrived, Carrier)
    return arrived


@pytest.mark.parametrize("value", [pa.table({"x": np.arange(ROWS)}), np.arange(ROWS), "x" * LARGE_BYTES, {ROWS}])
def test_what_was_left_is_what_is_found(value: Any, artifacts: LocalArtifactStore) -> None:
    stored = encode(value)
    left = away(artifacts).leave(Performed(stored, 0.1, 1, {"part": stored}))
    if len(stored.payload) < LARGE_BYTES:
        assert left.stored == left.parts["part"] == stored
        return
    assert isinstance(left.stored, Kept)
    assert left.stored.payload == b""
    assert left.parts["part"] == left.stored
    found = away(artifacts).value(Left(stored.form, left.stored.blob.digest))
    assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value


def test_the_caller_itself_leaves_nothing(artifacts: LocalArtifactStore) -> None:
    performed = Performed(Stored("msgpack", bytes(LARGE_BYTES)), 0.1, 1)
    assert Carrier(artifacts, SECRET).leave(performed) is performed


def test_a_table_whose_file_was_changed_is_not_read(artifacts: LocalArtifactStore) -> None:
    carrier = away(artifacts)
    kept = carrier.leave(Performed(encode(pa.table({"x": np.arange(ROWS)})), 0.1, 1)).stored
    assert isinstance(kept, Kept)
    path = artifacts.local_path(kept.blob.digest)
    assert path is not None
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt, match="is damaged"):
        carrier.value(Left("arrow", kept.blob.digest))


def test_other_code_in_the_worker_is_noticed_and_named(artifacts: LocalArtifactStore) -> None:
    carrier = away(artifacts)
    with pytest.raises(StaleWorker, match=r"step 'make' has other code .*: gone\.helper"):
        perform_carried(carrier, {"gone.helper": "function:b3:1"}, make, (3,), {}, "run")


def test_what_came_from_this_process_need_not_be_compared(artifacts: LocalArtifactStore) -> None:
    carrier = pickle.loads(pickle.dumps(Carrier(artifacts, SECRET)))
    assert perform_carried(carrier, {"gone.helper": ""}, make, (3,), {}, "run").stored.form == "arrow"


def test_a_kept_output_knows_its_place() -> None:
    blob = Blob("b3:" + 64 * "0", 12)
    assert Kept("npy", b"", blob).blob == blob
