"""Options are checked when they are written, and say what is wrong."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.options import StepOptions, make_options
from interlock.pipelines.steps import step


def test_the_words_that_people_write() -> None:
    made = make_options(
        {
            "timeout": 30,
            "backoff": timedelta(seconds=2),
            "memory": "1.5 GiB",
            "cpu": 0.5,
            "gpu": 1,
            "expires": timedelta(days=1),
            "retry_on": OSError,
            "environment": "pandas==3.1 ",
            "cache": "always",
        }
    )
    assert made == StepOptions(
        timeout_s=30.0,
        backoff_s=2.0,
        memory_bytes=1536 * 1024**2,
        cpus=0.5,
        gpus=1.0,
        expires_s=86400.0,
        retry_on=(OSError,),
        environment=("pandas==3.1",),
        cache="always",
    )


@pytest.mark.parametrize(
    ("text", "size"), [("300 MB", 300_000_000), ("2KiB", 2048), ("7", 7), ("1g", 10**9), (12, 12), (None, None)]
)
def test_sizes(text: Any, size: int | None) -> None:
    assert make_options({"memory": text}).memory_bytes == size


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"retries": -1}, "0 or more"),
        ({"retries": True}, "whole number"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": float("nan")}, "above 0"),
        ({"backoff": "soon"}, "at least 0"),
        ({"memory": "lots"}, "size above 0"),
        ({"memory": 0}, "size above 0"),
        ({"retry_on": KeyboardInterrupt}, "exception class"),
        ({"retry_on": "OSError"}, "exception class"),
        ({"environment": [""]}, "requirements"),
        ({"environment": 3}, "requirements"),
        ({"secrets": ["TOKEN"]}, "environment variable to where"),
        ({"secrets": {"1": "env:A"}}, "cannot name an environment variable"),
        ({"cache": "never"}, "always"),
        ({"early_cut": 1}, "True or False"),
        ({"salt": 3}, "expected a text"),
        ({"priority": 1.5}, "whole number"),
        ({"log_limit_bytes": 3}, "1024 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match="step 'train'.* makes no sense") as refusal:
        make_options(given, step="train")
    assert said in refusal.value.why


def test_a_secret_written_out_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="secrets=…") as refusal:
        make_options({"secrets": {"TOKEN": "hunter2"}})
    assert "never write the secret itself" in refusal.value.why
    assert "hunter2" not in str(refusal.value)


def test_unknown_and_doubled_options() -> None:
    with pytest.raises(InvalidInput, match="no option retry") as refusal:
        make_options({"retry": 3})
    assert "'retries'" in refusal.value.why
    with pytest.raises(InvalidInput, match=r"both timeout= and timeout_s="):
        make_options({"timeout": 3, "timeout_s": 3})


def test_waits_double_up_to_a_limit_with_some_chance() -> None:
    options = StepOptions(backoff_s=1, backoff_limit_s=5)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 5), (500, 5)):
        assert longest / 2 <= options.wait_s(attempt) <= longest
    assert StepOptions().wait_s(1) == 0
    assert len({options.wait_s(1) for _ in range(5)}) > 1


@step(retries=1, salt="a")
def base(x: int) -> int:
    return x


def test_options_at_the_call_change_a_copy() -> None:
    other = base.options(retries=3, timeout=9)
    assert (base.config.retries, other.config.retries, other.config.timeout_s) == (1, 3, 9.0)
    assert (other.config.salt, other.full_name, other(4)) == ("a", base.full_name, 4)
    again = pickle.loads(pickle.dumps(other.options(priority=2)))
    assert (again.config.retries, again.config.priority, again(4)) == (3, 2, 4)
    with pytest.raises(InvalidInput, match="step 'base'"):
        base.options(retries=-1)
