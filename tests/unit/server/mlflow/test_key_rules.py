"""Keys and values are held to MLflow's rules before anything is written."""

from __future__ import annotations

import pytest

from interlock.server.mlflow.key_rules import (
    LONGEST_EXPERIMENT_TAG,
    LONGEST_KEY,
    LONGEST_PARAM,
    LONGEST_TAG,
    check_counts,
    check_key,
    checked_experiment_tags,
    checked_params,
    checked_run_id,
    checked_tags,
)
from interlock.server.mlflow.run_records import KeyValue
from interlock.server.mlflow.wire import Failure


@pytest.mark.parametrize("key", ["a", "val/loss", "mae.mean", "top-5 acc", "été", "a:b", "x" * LONGEST_KEY])
def test_a_key_of_those_characters_is_taken(key: str) -> None:
    assert check_key(key, path="key", of="key") == key


@pytest.mark.parametrize(
    "key", ["", ".", "..", "/a", "a//b", "a/", "./a", "a/../b", "../a", "a\n", "a;b", "a'b", "a\\b", "a%b", "x" * 251]
)
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(Failure) as caught:
        check_key(key, path="params[3].key", of="Param key")
    assert caught.value.code == "INVALID_PARAMETER_VALUE"
    assert "params[3].key" in caught.value.message or "maximum length of 250" in caught.value.message


def test_long_params_and_tags_are_cut() -> None:
    assert checked_params([KeyValue("p", "x" * 9000)]) == {"p": "x" * LONGEST_PARAM}
    assert checked_tags([KeyValue("t", "x" * 9000)]) == {"t": "x" * LONGEST_TAG}


def test_a_param_may_be_in_a_batch_once_even_with_the_same_value() -> None:
    with pytest.raises(Failure, match=r"Duplicate parameter keys have been submitted: \['p'\]"):
        checked_params([KeyValue("p", "1"), KeyValue("q", "1"), KeyValue("p", "1")])


def test_of_a_tag_given_twice_the_last_counts() -> None:
    assert checked_tags([KeyValue("t", "1"), KeyValue("t", "2")]) == {"t": "2"}


def test_a_long_tag_of_an_experiment_is_refused_rather_than_cut() -> None:
    with pytest.raises(Failure, match="exceeds the maximum length of 20000"):
        checked_experiment_tags([KeyValue("t", "x" * (LONGEST_EXPERIMENT_TAG + 1))])
    assert checked_experiment_tags([KeyValue("t", "")]) == {"t": ""}


@pytest.mark.parametrize(
    ("metrics", "params", "tags", "said"),
    [
        (1001, 0, 0, "at most 1000 metrics. Got 1001"),
        (0, 101, 0, "at most 100 params. Got 101"),
        (0, 0, 101, "at most 100 tags. Got 101"),
        (900, 100, 1, "at most 1000 metrics, params, and tags. Got 1001"),
    ],
)
def test_a_batch_may_hold_so_much(metrics: int, params: int, tags: int, said: str) -> None:
    with pytest.raises(Failure, match=said):
        check_counts(metrics=metrics, params=params, tags=tags)


def test_a_full_batch_is_taken() -> None:
    check_counts(metrics=800, params=100, tags=100)
    check_counts(metrics=1000, params=0, tags=0)


def test_a_run_is_named_by_either_field() -> None:
    assert (checked_run_id("a"), checked_run_id("", "b"), checked_run_id("a", "b")) == ("a", "b", "a")
    with pytest.raises(Failure, match="Missing value for required parameter 'run_id'"):
        checked_run_id("", "")
