from __future__ import annotations

import pytest

from interlock.core.errors import NotFound, SchemaMismatch
from interlock.core.ids import new_id
from interlock.core.schema import Column, Signature
from interlock.ports.deployment_store import Endpoint
from interlock.serving.rollout import Routing as Deployments
from interlock.serving.rollout import begin, begin_canary, begin_shadow
from interlock.serving.routing import build_routing
from tests.serving_examples import FIRST, NOW, SECOND, SIGNATURE, Shelf, loaded

THIRD = "model:delay@3"


def endpoint(deployments: Deployments, revision: int = 1) -> Endpoint:
    return Endpoint("delay", revision, deployments, NOW, NOW)


def test_shares_are_kept_and_the_same_id_goes_the_same_way() -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND), loaded(THIRD))
    routing = build_routing(
        endpoint(begin_canary(begin_canary(begin(FIRST), SECOND, share=0.2), THIRD, share=0.3)), shelf, None
    )
    ids = [new_id() for _ in range(20_000)]
    chosen = [routing.route(one).model.ref for one in ids]
    assert chosen == [routing.route(one).model.ref for one in ids]
    shares = {ref: chosen.count(ref) / len(ids) for ref in (FIRST, SECOND, THIRD)}
    # six standard deviations of a share of 20,000 rows
    assert shares == pytest.approx({FIRST: 0.5, SECOND: 0.2, THIRD: 0.3}, abs=6 * 0.0036)


def test_a_growing_canary_keeps_the_rows_that_it_had() -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND))
    small = build_routing(endpoint(begin_canary(begin(FIRST), SECOND, share=0.1)), shelf, None)
    large = build_routing(endpoint(begin_canary(begin(FIRST), SECOND, share=0.4)), shelf, None)
    ids = [new_id() for _ in range(2_000)]
    of_small = {one for one in ids if small.route(one).model.ref == SECOND}
    assert of_small <= {one for one in ids if large.route(one).model.ref == SECOND}


def test_shadows_answer_nobody() -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND))
    routing = build_routing(endpoint(begin_shadow(begin(FIRST), SECOND)), shelf, None)
    assert [one.model.ref for one in routing.answering] == [FIRST]
    assert [one.model.ref for one in routing.shadows] == [SECOND]
    assert routing.route("any").model.ref == FIRST
    with pytest.raises(NotFound):
        routing.version("2")


def test_a_version_that_answers_is_found_by_its_number() -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND))
    routing = build_routing(endpoint(begin_canary(begin(FIRST), SECOND, share=0.1)), shelf, None)
    assert routing.version("2").model.ref == SECOND
    with pytest.raises(NotFound, match="not answered by version '9'"):
        routing.version("9")


def test_what_is_loaded_is_kept_with_its_counts() -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND))
    before = build_routing(endpoint(begin(FIRST)), shelf, None)
    before.live.statistics.answered(3, 100, 0)
    after = build_routing(endpoint(begin_shadow(begin(FIRST), SECOND), revision=2), shelf, before)
    assert shelf.asked == [FIRST, SECOND]
    assert after.live.statistics.rows == 3
    assert after.revision == 2


def test_a_version_may_take_the_columns_in_another_order() -> None:
    turned = Signature(SIGNATURE.inputs[::-1], SIGNATURE.outputs)
    shelf = Shelf(loaded(FIRST), loaded(SECOND, signature=turned))
    routing = build_routing(endpoint(begin_shadow(begin(FIRST), SECOND)), shelf, None)
    assert routing.live.order is None
    assert routing.shadows[0].order == (2, 1, 0)


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (Signature(SIGNATURE.inputs[:2], SIGNATURE.outputs), "['city']"),
        (Signature((*SIGNATURE.inputs, Column("new", "double")), SIGNATURE.outputs), "['new']"),
        (Signature((Column("x", "string"), *SIGNATURE.inputs[1:]), SIGNATURE.outputs), "['x']"),
        (Signature(SIGNATURE.inputs, SIGNATURE.outputs[:1]), "what they give"),
    ],
)
def test_versions_that_do_not_fit_each_other_cannot_answer_side_by_side(signature: Signature, why: str) -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND, signature=signature))
    with pytest.raises(SchemaMismatch, match="cannot answer beside") as error:
        build_routing(endpoint(begin_shadow(begin(FIRST), SECOND)), shelf, None)
    assert why in error.value.why


def test_the_loop_answers_only_where_every_answering_version_is_quick() -> None:
    shelf = Shelf(loaded(FIRST), loaded(SECOND, is_quick=False))
    assert build_routing(endpoint(begin_shadow(begin(FIRST), SECOND)), shelf, None).is_quick
    assert not build_routing(endpoint(begin_canary(begin(FIRST), SECOND, share=0.1)), shelf, None).is_quick
