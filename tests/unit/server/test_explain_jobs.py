from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from interlock.core.errors import InvalidInput, NotFound, Overloaded
from interlock.core.ids import new_id
from interlock.server import explain_jobs
from interlock.server.explain_jobs import ExplainJobs, Job
from interlock.serving.explaining import Explained

FOUND = Explained("model:m@1", "value", "by hand", 0.0, [])


def test_a_job_runs_and_every_worker_finds_it(tmp_path: Path) -> None:
    jobs, others = ExplainJobs(tmp_path / "jobs"), ExplainJobs(tmp_path / "jobs")
    go = threading.Event()

    def work() -> Explained:
        go.wait()
        return FOUND

    job = jobs.start("delay", work)
    assert others.find("delay", job.id).state == "running"
    go.set()
    jobs.close()
    done = others.find("delay", job.id)
    assert (done.state, done.result) == ("done", FOUND)
    others.close()


def test_failures_are_kept_in_words(tmp_path: Path) -> None:
    def work() -> Explained:
        raise InvalidInput("no", why="because")

    jobs = ExplainJobs(tmp_path)
    job = jobs.start("delay", work)
    jobs.close()
    failed = jobs.find("delay", job.id)
    assert failed.state == "failed"
    assert failed.problem is not None
    assert failed.problem["why"] == "because"


def test_only_so_many_wait(tmp_path: Path) -> None:
    jobs = ExplainJobs(tmp_path, most_waiting=1)
    go = threading.Event()

    def work() -> Explained:
        go.wait()
        return FOUND

    jobs.start("delay", work)
    with pytest.raises(Overloaded):
        jobs.start("delay", work)
    go.set()
    jobs.close()


def test_a_job_whose_process_ended_has_failed(tmp_path: Path) -> None:
    job = Job(new_id(), "delay", "running", pid=1, start="at another time")
    (tmp_path / f"{job.id}.json").write_bytes(msgspec.json.encode(job))
    found = ExplainJobs(tmp_path).find("delay", job.id)
    assert found.state == "failed"
    assert found.problem is not None
    assert "ended" in found.problem["why"]


@pytest.mark.parametrize("name", ["01M7YMDW015J055ZQP30T3K56N", "../../etc/passwd", ""])
def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        ExplainJobs(tmp_path).find("delay", name)


def test_who_asks_another_endpoint_finds_nothing(tmp_path: Path) -> None:
    jobs = ExplainJobs(tmp_path)
    job = jobs.start("delay", lambda: FOUND)
    jobs.close()
    with pytest.raises(NotFound):
        jobs.find("fare", job.id)


def test_old_jobs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain_jobs, "MOST_KEPT", 3)
    jobs = ExplainJobs(tmp_path)
    made = []
    for _ in range(6):
        made.append(jobs.start("delay", lambda: FOUND).id)
        while jobs.find("delay", made[-1]).state == "running":
            threading.Event().wait(0.001)
    jobs.close()
    assert sorted(path.stem for path in tmp_path.iterdir()) == made[-3:]


def test_a_place_that_cannot_be_written_keeps_no_slot(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    jobs = ExplainJobs(tmp_path / "file", most_waiting=1)
    for _ in range(2):
        with pytest.raises(OSError, match="exist"):
            jobs.start("delay", lambda: FOUND)
    jobs.close()
