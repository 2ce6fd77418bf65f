from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.advisor.readiness import QUESTIONS, STAGES, Practice, Readiness, readiness
from interlock.core.clock import FrozenClock
from interlock.core.hashing import digest_of
from interlock.core.schema import Column, Signature
from interlock.ports.dataset_store import Snapshot
from interlock.ports.deployment_store import Deployment
from interlock.ports.journal import Edge
from interlock.ports.model_store import ModelVersion, PackageFile, Verdict
from interlock.ports.monitor_store import Monitor, Report
from interlock.ports.prediction_log import Feedback, Prediction
from interlock.ports.run_store import Run
from interlock.ports.stores import Stores
from interlock.ports.trigger_store import Trigger

NOW = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(NOW))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (".git/HEAD", "tests/test_a.py", ".github/workflows/ci.yml", "uv.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    return tmp_path


def practice(found: Readiness, name: str) -> Practice:
    return next(one for one in found.practices if one.id == name)


def states(found: Readiness, stage: int) -> list[str]:
    return [one.state for one in found.practices if one.stage == STAGES[stage]]


def add_run(stores: Stores, kind: str = "training", commit: str = "abc") -> Run:
    run = Run(
        id=f"{kind}-{commit}",
        experiment="e",
        kind=kind,
        name="r",
        status="running",
        started_at=NOW,
        code={"commit": commit},
    )
    return stores.runs.create(run)


def add_model(stores: Stores, *, run: str | None = None, card: bool = True, edges: Sequence[Edge] = ()) -> ModelVersion:
    draft = ModelVersion(
        model="delay",
        version=0,
        created_at=NOW,
        files=(PackageFile("MLmodel", digest_of(b"x"), 1),),
        signature=Signature((Column("x", "double"),), (Column("probability", "double"),)),
        flavor="sklearn",
        engine="onnx",
        run=run,
        card=digest_of(b"card") if card else None,
    )
    return stores.models.add_version(draft, edges=edges)


def judge(stores: Stores, ref: str, *, passed: bool) -> None:
    verdict = Verdict(
        id=f"v{passed}",
        model="delay",
        candidate=ref,
        champion=None,
        passed=passed,
        checks=(),
        reason="",
        data=None,
        created_at=NOW,
    )
    stores.models.add_verdict(verdict)


def fill(stores: Stores) -> None:
    """Turn the loop once."""
    part = digest_of(b"x")
    stores.datasets.commit(
        Snapshot(
            dataset="flights", version=0, created_at=NOW, parts=(), rows=0, columns=(Column("x", "long"),), content=part
        )
    )
    run = add_run(stores)
    add_run(stores, kind="pipeline")
    for _ in range(2):
        version = add_model(stores, run=run.id)
    judge(stores, version.ref, passed=True)
    stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)])
    stores.deployments.route("delay", [Deployment(version.ref, "live", 1.0)])
    stores.predictions.append([Prediction("p", "delay", version.ref, "live", 1, 1, (1.0,), {"probability": 0.5})])
    stores.predictions.feedback([Feedback("p", 1, 2)])
    for kind, metric in (("drift", "psi"), ("performance", "auc")):
        stores.monitors.apply(Monitor(kind, "delay", kind, metric, 0.2))
    stores.triggers.apply(Trigger("retrain-on-alert", "retrain", on="alert.opened"))


def test_an_empty_workspace_without_a_folder(stores: Stores) -> None:
    found = readiness(stores)
    assert found.level == 0
    assert set(states(found, 0)) == {"unknown"}
    assert found.next_practice is not None
    assert found.next_practice.id == "version-control"
    assert [one.id for one in found.practices] == [question.id for question in QUESTIONS]


def test_a_full_turn_is_level_five(stores: Stores, project: Path) -> None:
    fill(stores)
    found = readiness(stores, project)
    assert [one for one in found.practices if one.state != "met"] == []
    assert (found.level, found.next_practice) == (5, None)
    assert all(one.next_step == "" and one.evidence for one in found.practices)


def test_software_practice_comes_first(stores: Stores, tmp_path: Path) -> None:
    fill(stores)
    found = readiness(stores, tmp_path)
    assert found.level == 0
    assert states(found, 4) == ["met", "met"]
    assert practice(found, "ci").next_step


def test_the_level_stops_at_the_first_stage_that_is_not_whole(stores: Stores, project: Path) -> None:
    fill(stores)
    add_run(stores, commit="")
    found = readiness(stores, project)
    assert found.level == 1
    assert practice(found, "commits").evidence == "1 of the last 2 training runs name their commit"


@pytest.mark.parametrize(
    ("name", "content", "practice_id"),
    [
        ("Jenkinsfile", "", "ci"),
        (".ci/run", "", "ci"),
        ("test_a.py", "", "tests"),
        ("ruff.toml", "", "checks"),
        ("pyproject.toml", "[tool.mypy]", "checks"),
        ("pylock.toml", "", "lock"),
        ("requirements.txt", "# pinned\n-e .\nnumpy==2.2\n", "lock"),
    ],
)
def test_signs_in_files(stores: Stores, tmp_path: Path, name: str, content: str, practice_id: str) -> None:
    assert practice(readiness(stores, tmp_path), practice_id).state == "unmet"
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    found = practice(readiness(stores, tmp_path), practice_id)
    assert found.state == "met"
    assert name in found.evidence


@pytest.mark.parametrize(
    ("name", "content", "practice_id"),
    [
        ("pyproject.toml", "[tool.setuptools]", "checks"),
        ("pyproject.toml", "not toml [", "checks"),
        ("requirements.txt", "numpy>=2\npandas==3\n", "lock"),
        ("requirements.txt", "# nothing\n", "lock"),
    ],
)
def test_what_is_no_sign(stores: Stores, tmp_path: Path, name: str, content: str, practice_id: str) -> None:
    (tmp_path / name).write_text(content)
    assert practice(readiness(stores, tmp_path), practice_id).state == "unmet"


def test_version_control_may_lie_above_the_project(stores: Stores, project: Path) -> None:
    (project / "models").mkdir()
    assert practice(readiness(stores, project / "models"), "version-control").state == "met"


def test_models_without_origin_or_card(stores: Stores) -> None:
    add_model(stores, card=False)
    found = readiness(stores)
    assert practice(found, "lineage").state == practice(found, "cards").state == "unmet"
    add_model(stores, edges=[Edge("dataset:flights@1", "", "trained_on")])
    assert practice(readiness(stores), "lineage").state == "met"


def test_endpoints_that_nobody_watches(stores: Stores) -> None:
    version = add_model(stores)
    judge(stores, version.ref, passed=False)
    stores.deployments.route("delay", [Deployment(version.ref, "live", 1.0)])
    found = readiness(stores)
    assert practice(found, "served").state == "met"
    for name, evidence in (
        ("gated", "0 of 1 live versions passed a gate"),
        ("drift", "no drift monitor on delay"),
        ("performance", "no performance monitor on delay"),
        ("feedback", "no truth has come back for delay"),
        ("turned", "no endpoint has ever changed its model"),
    ):
        assert (practice(found, name).state, practice(found, name).evidence) == ("unmet", evidence)


def test_an_open_alert_and_a_disabled_trigger(stores: Stores, project: Path) -> None:
    fill(stores)
    stores.monitors.add_report(
        Report("r", "drift", NOW, NOW.replace(hour=1), 9, 1.0, None, None, True, "model:delay@2"), reason="far off"
    )
    stores.triggers.apply(Trigger("retrain-on-alert", "retrain", on="alert.opened", enabled=False))
    found = readiness(stores, project)
    assert (found.level, practice(found, "alerts").evidence) == (3, "open alerts: 1")
    assert practice(found, "trigger").state == "unmet"


def test_the_answer_is_plain_data(stores: Stores) -> None:
    found = readiness(stores)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Readiness) == found
