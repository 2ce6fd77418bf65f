from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InterlockError, InvalidInput, NotFound
from interlock.ports.deployment_store import Deployment
from interlock.serving.rollout import Routing, begin, begin_canary, begin_shadow, promote, roll_back
from tests.serving_examples import fresh_stores

A, B, C = "model:delay@1", "model:delay@2", "model:delay@3"


def test_the_whole_way_in() -> None:
    now = begin(A)
    assert now == (Deployment(A, "live", 1.0),)
    now = begin_shadow(now, B)
    assert now == (Deployment(A, "live", 1.0), Deployment(B, "shadow", 0.0))
    now = begin_canary(now, B, share=0.2)
    assert now == (Deployment(A, "live", 0.8), Deployment(B, "canary", 0.2))
    assert promote(now, B) == (Deployment(B, "live", 1.0),)


def test_the_way_back() -> None:
    assert roll_back(begin_shadow(begin(A), B), B) == begin(A)
    assert roll_back(begin_canary(begin(A), B, share=0.2), B) == begin(A)


def test_others_stay_where_they_are() -> None:
    now = begin_shadow(begin_canary(begin(A), B, share=0.25), C)
    assert roll_back(now, C) == (Deployment(A, "live", 0.75), Deployment(B, "canary", 0.25))
    assert promote(now, B) == (Deployment(B, "live", 1.0), Deployment(C, "shadow", 0.0))
    assert promote(now, C) == (Deployment(C, "live", 1.0),)
    two = begin_canary(now, C, share=0.5)
    assert two == (Deployment(A, "live", 0.25), Deployment(B, "canary", 0.25), Deployment(C, "canary", 0.5))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_share_lies_between_none_and_all(share: float) -> None:
    with pytest.raises(InvalidInput, match="share"):
        begin_canary(begin(A), B, share=share)


def test_the_live_version_cannot_give_more_than_it_has() -> None:
    with pytest.raises(InvalidInput, match=r"only 0\.4 left"):
        begin_canary(begin_canary(begin(A), B, share=0.6), C, share=0.5)


def test_what_is_there_already_is_not_added_again() -> None:
    with pytest.raises(Conflict, match=r"is behind the endpoint already"):
        begin_shadow(begin(A), A)
    with pytest.raises(Conflict, match="answers callers already"):
        begin_canary(begin_canary(begin(A), B, share=0.1), B, share=0.2)
    with pytest.raises(Conflict, match="live already"):
        promote(begin(A), A)


def test_the_live_version_is_not_just_taken_out() -> None:
    with pytest.raises(Conflict, match="cannot just be taken out"):
        roll_back(begin(A), A)


def test_what_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFound) as error:
        promote(begin(A), B)
    assert A in error.value.why
    with pytest.raises(NotFound):
        roll_back(begin(A), B)


@pytest.mark.parametrize("model", ["model:delay", "model:delay@champion", "run:x", "delay@1"])
def test_only_one_version_can_be_routed(model: str) -> None:
    with pytest.raises(InvalidInput):
        begin(model)


def test_an_empty_routing_cannot_grow() -> None:
    with pytest.raises(InvalidInput, match="no live version"):
        begin_canary((), A, share=0.5)


@given(st.lists(st.tuples(st.sampled_from("spcr"), st.sampled_from([A, B, C]), st.sampled_from([0.1, 0.25, 0.5]))))
def test_every_routing_reached_is_one_that_a_store_takes(steps: list[tuple[str, str, float]]) -> None:
    now: Routing = begin(A)
    store = fresh_stores().deployments
    for step, model, share in steps:
        try:
            if step == "s":
                now = begin_shadow(now, model)
            elif step == "c":
                now = begin_canary(now, model, share=share)
            else:
                now = (promote if step == "p" else roll_back)(now, model)
        except InterlockError:
            continue
        assert store.route("delay", now).deployments == now
