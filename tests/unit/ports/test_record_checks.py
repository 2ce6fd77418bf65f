"""Records that break what their port promises. The contract suites play the rest on every backend."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.core.errors import InvalidInput
from interlock.ports.deployment_store import Deployment
from interlock.ports.record_checks import (
    check_alias,
    check_annotations,
    check_batch,
    check_model_draft,
    check_new_run,
    check_routing,
    check_snapshot,
    check_status,
    check_verdict,
)
from interlock.ports.run_store import ArtifactEntry, RunBatch
from interlock.testing.dataset_store import a_draft
from interlock.testing.deployment_store import LIVE, SHADOW, canary
from interlock.testing.label_store import an_annotation
from interlock.testing.model_store import a_model, a_verdict
from interlock.testing.run_metrics import END, a_run
from interlock.testing.run_store import FILE


def test_good_records_pass() -> None:
    check_new_run(a_run("r1", params={"a": 1}, tags={"t": "x"}))
    check_batch(RunBatch(params={"a": object}, artifacts=(FILE,)))
    check_snapshot(a_draft())
    check_snapshot(a_draft(parts=(), rows=0))
    check_annotations("late", [an_annotation("a")])
    check_model_draft(a_model())
    check_alias("champion")
    assert check_verdict(a_verdict("v1", "model:delay@12")) == 12
    for routing in ([LIVE], [LIVE, SHADOW], canary(0.3)):
        check_routing("delay", routing)
    for status in ("running", "finished", "failed", "killed"):
        check_status(status)


@pytest.mark.parametrize(
    "changes", [{"status": "killed"}, {"ended_at": END}, {"error": "boom"}, {"metrics": {"auc": 1}}]
)
def test_a_run_begins_at_the_beginning(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="cannot begin") as raised:
        check_new_run(a_run("r1", **changes))
    assert "end(run.id" in raised.value.fix


def test_a_snapshot_says_what_its_parts_hold() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_snapshot(a_draft(rows=11))
    assert raised.value.why == "it says 11 rows, and its parts hold 10"


def test_sizes_of_artifacts_are_counts() -> None:
    with pytest.raises(InvalidInput, match="size of 'a'"):
        check_batch(RunBatch(artifacts=(ArtifactEntry("a", FILE.digest, 2**63),)))


def test_a_verdict_judges_a_version_of_its_model() -> None:
    for candidate in ("model:delay", "model:delay@champion", "model:fare@1"):
        with pytest.raises(InvalidInput):
            check_verdict(msgspec.structs.replace(a_verdict("v1"), candidate=candidate))


@pytest.mark.parametrize(
    ("routing", "why"),
    [
        ([Deployment("model:delay@1", "live", 0.7)], "sum to 0.7"),
        ([LIVE, LIVE], "model:delay@1"),
        ([SHADOW], "given 0"),
        ([Deployment("model:delay@1", "live", 2.0)], "0 to 1"),
        ([Deployment("model:delay", "live", 1.0)], "model:delay@7"),
    ],
)
def test_a_bad_routing_is_explained(routing: list[Deployment], why: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_routing("delay", routing)
    assert why in raised.value.why
