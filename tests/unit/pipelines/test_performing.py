"""A step call where it is executed: attempts, time, secrets, logs and checkpoints."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.local.executors import InlineExecutor, ProcessExecutor
from interlock.core.errors import InterlockError, InvalidInput, StepFailed, TimedOut, WrongType
from interlock.pipelines.context import ctx
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.performing import forget_live, live_file, log_of, perform, setting_for
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import Step, step
from interlock.pipelines.storing import decode
from interlock.ports.run_spool import CONSOLE_FILE
from interlock.ports.run_store import RunFilter
from interlock.ports.stores import Stores
from tests.unit.pipelines.conftest import SECRET

TOKEN = "correct horse battery"
FIRST, SECOND = "key:a", "key:b"


def attempts_so_far() -> int:
    """Count the attempts in the checkpoint folder, and this one with them."""
    file = ctx.checkpoint / "attempts"
    count = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(count))
    return count


@step(retries=2)
def third_time(x: int) -> str:
    print("trying", x)
    count = attempts_so_far()
    if count < 3:
        raise OSError(f"not yet {count}")
    return f"{count} {ctx.attempt}"


@step(timeout=0.05, retries=1)
def hangs() -> None:
    print("waiting")
    time.sleep(60)


@step(secrets={"TOKEN": "env:TEST_PERFORMING_TOKEN"})
def tells(how: str) -> str:
    token = os.environ["TOKEN"]
    print("the token is", token)
    if how == "raise":
        raise ValueError(f"refused {token}")
    if how == "raise ours":
        raise InvalidInput(f"refused {token}", why=token, fix=token)
    if how == "chain":
        try:
            raise KeyError(token)
        except KeyError as error:
            raise OSError("no secret here") from error
    return f"{len(token)} characters"


@pytest.fixture
def recorded(stores: Stores, tmp_path: Path) -> Pipelines:
    executor = InlineExecutor()
    return Pipelines(
        stores.runs, stores.steps, stores.artifacts, stores.journal, executor, SECRET, folder=tmp_path / "steps"
    )


def console(stores: Stores, name: str) -> list[str]:
    """What each run of a step of that name printed, oldest first."""
    runs = [run for run in stores.runs.runs(where=RunFilter(kind="step")) if run.name == name]
    entries = [entry for run in reversed(runs) for entry in stores.runs.artifacts(run.id)]
    return [stores.artifacts.get(entry.digest).decode() for entry in entries if entry.path == CONSOLE_FILE]


def test_a_retry_finds_the_checkpoint_which_success_deletes(tmp_path: Path) -> None:
    done = perform(third_time, (1,), {}, "run", setting_for(third_time, key=FIRST, folder=tmp_path))
    assert (decode(done.stored), done.attempts) == ("3 3", 3)
    assert done.log == (
        "trying 1\nattempt 1 of 3 failed: OSError: not yet 1; again\n"
        "trying 1\nattempt 2 of 3 failed: OSError: not yet 2; again\ntrying 1\n"
    )
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_another_run_of_the_same_key_finds_it_and_no_other(tmp_path: Path) -> None:
    once = third_time.options(retries=0)
    for key in (FIRST, FIRST, SECOND):
        with pytest.raises(OSError, match="not yet") as failure:
            perform(once, (1,), {}, "run", setting_for(once, key=key, folder=tmp_path))
        assert log_of(failure.value) == "trying 1\n"
    assert decode(perform(once, (1,), {}, "run", setting_for(once, key=FIRST, folder=tmp_path)).stored) == "3 1"
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["b"]


def test_without_a_folder_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="not yet 1"):
        perform(third_time.options(retries=0), (1,), {}, "run")
    assert decode(perform(third_time, (1,), {}, "run").stored) == "3 3"
    assert list(tmp_path.iterdir()) == []


def test_only_what_may_be_retried_is(tmp_path: Path) -> None:
    picky = third_time.options(retry_on=(KeyError, TimeoutError))
    with pytest.raises(OSError, match="not yet 1"):
        perform(picky, (1,), {}, "run", setting_for(picky, key=FIRST, folder=tmp_path))


def test_waits_grow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waits: list[float] = []
    monkeypatch.setattr("interlock.pipelines.performing.time.sleep", waits.append)
    patient = third_time.options(backoff=10)
    log = perform(patient, (1,), {}, "run", setting_for(patient, key=FIRST, folder=tmp_path)).log
    assert 5 <= waits[0] <= 10 <= waits[1] <= 20
    assert "again in " in log


def test_an_attempt_that_takes_too_long_is_stopped_and_tried_again() -> None:
    with pytest.raises(TimedOut, match="step 'hangs' took longer than 50.0 ms") as failure:
        perform(hangs, (), {}, "run")
    assert log_of(failure.value).startswith("waiting\nattempt 1 of 2 failed: TimedOut")
    assert log_of(failure.value).endswith("again\nwaiting\n")


@pytest.mark.parametrize("how", ["raise", "raise ours", "chain"])
def test_secrets_are_nowhere_afterwards(
    how: str, recorded: Pipelines, stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_PERFORMING_TOKEN", TOKEN)
    assert recorded.run(lambda: tells("return")).value == "21 characters"
    with pytest.raises(StepFailed) as failure:
        recorded.run(lambda: tells(how))
    assert console(stores, "tells") == ["the token is ***\n"] * 2
    told = [capsys.readouterr().out, str(failure.value), *(repr(run) for run in stores.runs.runs())]
    cause: BaseException | None = failure.value
    while cause is not None:
        told.append(repr(cause) + str(cause))
        cause = cause.__cause__ or cause.__context__
    told += [repr(event) for event in stores.journal.events()]
    assert [text for text in told if TOKEN in text] == []
    assert "TOKEN" not in os.environ


def test_a_missing_secret_fails_the_step_before_it_runs(
    recorded: Pipelines, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_PERFORMING_TOKEN", raising=False)
    with pytest.raises(InterlockError, match="has no secret TOKEN"):
        recorded.run(lambda: tells("return"))
    assert stores.runs.runs(where=RunFilter(kind="step", status="finished")) == []


def test_declared_secrets_and_own_folders_are_no_undeclared_inputs(
    recorded: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PERFORMING_TOKEN", TOKEN)
    recorded.run(lambda: [tells("return"), third_time(5)])
    monkeypatch.setenv("TEST_PERFORMING_TOKEN", "another")
    assert recorded.run(lambda: [tells("return"), third_time(5)]).reused == 2


def test_prints_are_kept_with_the_run(recorded: Pipelines, stores: Stores, tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    @step(cache=False)
    def prints() -> None:
        print("begun")
        run = stores.runs.runs(where=RunFilter(kind="step"))[0]
        live = live_file(tmp_path / "steps", run.id, "log")
        seen["live"] = Path(live).read_text()
        ctx.log("ended")
        ctx.progress(1, 2)

    recorded.run(lambda: prints())
    assert seen == {"live": "begun\n"}
    assert console(stores, "prints") == ["begun\nended\n"]
    assert list((tmp_path / "steps" / "live").iterdir()) == []


def test_what_is_live_can_be_taken_over(tmp_path: Path) -> None:
    log = Path(live_file(tmp_path, "run", "log"))
    assert live_file("", "run", "log") == ""
    log.parent.mkdir()
    log.write_text("said before it died\n")
    assert forget_live(tmp_path, "run") == "said before it died\n"
    assert forget_live(tmp_path, "run") == forget_live("", "run") == ""


@step(timeout=0.05)
def never_returns() -> int:
    return sum(range(10**13))


@step(retries=1)
def dies_once(x: int) -> int:
    if attempts_so_far() == 1:
        os._exit(3)
    return x


@step
def dies(code: int) -> None:
    print("about to die", flush=True)
    os._exit(code)


def test_in_a_pool_what_hangs_or_dies_is_named_and_its_log_kept(stores: Stores, tmp_path: Path) -> None:
    executor = ProcessExecutor(2)
    try:
        pooled = Pipelines(
            stores.runs, stores.steps, stores.artifacts, stores.journal, executor, SECRET, folder=tmp_path / "steps"
        )
        with pytest.raises(StepFailed, match="never_returns") as hung:
            pooled.run(lambda: never_returns())
        assert isinstance(hung.value.__cause__, TimedOut)
        with pytest.raises(StepFailed, match="step 'dies' failed"):
            pooled.run(lambda: dies(3))
        assert console(stores, "dies") == ["about to die\n"]
        assert pooled.run(lambda: dies_once(4)).value == 4
        assert pooled.run(lambda: third_time(2)).value == "3 3"
        assert console(stores, "third_time")[0].startswith("trying 2\nattempt 1 of 3 failed")
    finally:
        executor.close()


def test_what_does_not_fit_is_not_retried() -> None:
    tried: list[int] = []

    def wrong(x: int) -> int:
        tried.append(x)
        return "text"  # type: ignore[return-value]

    made: Step[Any, Any] = Step(wrong, config=third_time.config)
    with pytest.raises(WrongType, match="returned something else"):
        perform(made, (1,), {}, "run")
    with pytest.raises(WrongType, match="argument 'x'"):
        perform(made, ("a",), {}, "run")
    assert tried == [1]


def test_errors_with_their_logs_travel() -> None:
    with pytest.raises(OSError, match="not yet") as failure:
        perform(third_time.options(retries=0), (7,), {}, "run")
    assert log_of(pickle.loads(pickle.dumps(failure.value))) == "trying 7\n"
    assert log_of(OSError()) == ""


def test_expired_outputs_are_made_again(stores: Stores) -> None:
    runs = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), SECRET)

    @step
    def plain(x: int) -> int:
        return x

    assert runs.run(lambda: plain(1)).reused == 0
    assert runs.run(lambda: plain.options(expires=3600)(1)).reused == 1
    run = runs.run(lambda: plain.options(expires=1e-6)(1))
    assert (run.reused, "has expired" in run.steps[0].reason) == (0, True)
    assert runs.run(lambda: plain(1)).reused == 1


def test_salts_and_early_cut(stores: Stores) -> None:
    runs = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), SECRET)

    @step
    def first(x: int) -> int:
        return x // 10

    @step
    def second(x: int) -> int:
        return x + 1

    @pipeline
    def cutting(x: int, early: bool, salt: str = "") -> Any:
        return second(first.options(early_cut=early, salt=salt)(x))

    runs.run(cutting, 10, early=True)
    assert runs.run(cutting, 11, early=True).reused == 1
    runs.run(cutting, 10, early=False)
    assert runs.run(cutting, 12, early=False).reused == 0
    run = runs.run(cutting, 10, early=True, salt="again")
    assert [outcome.reused for outcome in run.steps] == [False, True]
