"""What a step needs of an executor."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.needs import environment_id, resources_of
from interlock.pipelines.options import StepOptions
from interlock.ports.executor import Resources


def test_numbers_are_handed_on() -> None:
    assert resources_of(StepOptions()) == Resources()
    needs = resources_of(StepOptions(cpus=2, gpus=1, memory_bytes=10))
    assert (needs.cpus, needs.gpus, needs.memory_bytes, needs.timeout_s) == (2, 1, 10, None)


def test_the_limit_is_above_all_attempts_and_waits_together() -> None:
    once = resources_of(StepOptions(timeout_s=10)).timeout_s
    thrice = resources_of(StepOptions(timeout_s=10, retries=2, backoff_s=4, backoff_limit_s=6)).timeout_s
    assert once is not None and thrice is not None
    assert 10 < once < 15
    assert thrice == pytest.approx(3 * once + 4 + 6)


def test_requirements_become_a_file_that_is_the_same_for_the_same(tmp_path: Path) -> None:
    first = resources_of(StepOptions(environment=("b", "a==1")), tmp_path).environment
    assert first is not None and Path(first).read_text() == "a==1\nb\n"
    assert resources_of(StepOptions(environment=("a==1", "b")), tmp_path).environment == first
    assert resources_of(StepOptions(environment=("a==2",)), tmp_path).environment != first
    Path(first).write_text("half of i")
    assert resources_of(StepOptions(environment=("a==1", "b")), tmp_path).environment == first
    assert Path(first).read_text() == "a==1\nb\n"
    assert resources_of(StepOptions(environment=("a==1", "b"))).environment is not None


def test_a_lock_file_counts_by_its_content(tmp_path: Path) -> None:
    lock = tmp_path / "train.lock"
    with pytest.raises(InvalidInput, match="is not there"):
        environment_id((str(lock),))
    lock.write_text("a==1\n")
    before = environment_id((str(lock),))
    assert resources_of(StepOptions(environment=(str(lock),))).environment == str(lock.resolve())
    lock.write_text("a==2\n")
    assert environment_id((str(lock),)) != before
    assert environment_id(()) == ""
    assert environment_id(("a", "b")) == environment_id(("b", "a")) != environment_id(("a",))
