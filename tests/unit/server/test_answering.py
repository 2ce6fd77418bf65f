"""What protocols answer with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound
from interlock.server.answering import INLINE_BODY_BYTES, Answering
from interlock.server.limits import Limits
from interlock.serving.validation import RowCheck, Table
from tests.serving_examples import ROW, Shelf, fresh_stores, hosted, loaded

Work = Callable[[Answering], Coroutine[Any, Any, Any]]


def run(work: Work, *, is_quick: bool = True) -> Any:
    async def inside() -> Any:
        answering = Answering(host, limits=Limits(), version="1")
        try:
            return await work(answering)
        finally:
            answering.close()

    with hosted(fresh_stores(), Shelf(loaded(is_quick=is_quick))) as host:
        return asyncio.run(inside())


def read(check: RowCheck) -> tuple[Table, dict[str, Any]]:
    return check.records([ROW]), {"prediction_ids": ["mine"]}


@pytest.mark.parametrize("is_quick", [True, False])
def test_rows_are_read_asked_and_answered(is_quick: bool) -> None:
    answer, routing = run(
        lambda answering: answering.predict(answering.host.engine("delay"), read, size_bytes=10), is_quick=is_quick
    )
    assert (answer.ids, answer.outputs["probability"], routing.revision) == (["mine"], [0.25], 1)


def test_a_version_may_be_asked_for() -> None:
    with pytest.raises(NotFound, match="version '9'"):
        run(lambda answering: answering.predict(answering.host.engine("delay"), read, size_bytes=1, version="9"))


@pytest.mark.parametrize(
    ("is_quick", "size_bytes", "here"),
    [(True, INLINE_BODY_BYTES, True), (True, INLINE_BODY_BYTES + 1, False), (False, 1, False)],
)
def test_small_requests_to_quick_models_are_done_here(is_quick: bool, size_bytes: int, here: bool) -> None:
    async def work(answering: Answering) -> bool:
        engine = answering.host.engine("delay")
        return await answering.near(engine, threading.get_ident, size_bytes=size_bytes) == threading.get_ident()

    assert run(work, is_quick=is_quick) is here


def test_errors_come_back_from_threads() -> None:
    def refuse() -> None:
        raise InvalidInput("no")

    with pytest.raises(InvalidInput, match="no"):
        run(lambda answering: answering.in_thread(refuse))


def test_work_that_nobody_waits_for_is_done() -> None:
    done = threading.Event()

    async def work(answering: Answering) -> bool:
        answering.aside(done.set)
        return await answering.in_thread(lambda: done.wait(20))

    assert run(work)


def test_nothing_is_stuck_where_nothing_is_late() -> None:
    async def work(answering: Answering) -> int:
        await answering.in_thread(int)
        return answering.stuck()

    assert run(work) == 0
