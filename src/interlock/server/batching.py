"""Answer what waits for a busy model together.

There is no window of time: while one batch runs, what arrives waits, and goes as the next one. A request that comes
alone is answered alone, at once; the busier the model, the larger the batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any

import msgspec

from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.requests import Question
from interlock.serving.routing import Routing
from interlock.serving.seen import SEEN
from interlock.serving.tensor_check import is_whole

MOST_ROWS = 512
"""Rows of one batch; a request with more goes its own way."""

Submit = Callable[[Callable[[], None]], object]
"""Has something done in a thread."""


class Batcher:
    """What waits for one endpoint. Used on the event loop alone, but for `_run`, which runs in a thread.

    Args:
        engine: The endpoint.
        submit: Has a batch run in a thread.
        soon: Has something called on the event loop, from any thread.
    """

    def __init__(self, engine: EndpointEngine, *, submit: Submit, soon: Callable[[Callable[[], None]], object]) -> None:
        self._engine = engine
        self._submit = submit
        self._soon = soon
        self._waiting: deque[_Entry] = deque()
        self._is_running = False

    @staticmethod
    def fits(routing: Routing, asked: Question) -> bool:
        """Say whether a request may be answered together with others."""
        return (
            len(routing.answering) == 1
            and routing.live.model.gains_together
            and not is_whole(routing.live.model.signature)
            and asked.table.rows <= MOST_ROWS
        )

    def ask(self, asked: Question, routing: Routing) -> Future[Answer]:
        """Take in a request; its answer comes with the next batch, first come first served."""
        answer: Future[Answer] = Future()
        entry = _Entry(asked, routing, answer, copy_context())
        self._waiting.append(entry)
        if not self._is_running:
            self._next()
        return answer

    def _next(self) -> None:
        """Have the next batch run."""
        batch: list[_Entry] = []
        rows = 0
        while self._waiting:
            entry = self._waiting[0]
            if batch and (entry.routing is not batch[0].routing or rows + entry.asked.table.rows > MOST_ROWS):
                break
            self._waiting.popleft()
            # whoever gave up waiting is not asked for any more
            if entry.answer.set_running_or_notify_cancel():
                batch.append(entry)
                rows += entry.asked.table.rows
        self._is_running = bool(batch)
        if batch:
            self._submit(lambda: self._run(batch))

    def _run(self, batch: list[_Entry]) -> None:
        answers = self._engine.predict_together([entry.asked for entry in batch], batch[0].routing)
        for entry, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                entry.answer.set_exception(answer)
            else:
                seen = entry.context.get(SEEN)
                if seen is not None:
                    seen.answer = answer
                entry.answer.set_result(answer)
        self._soon(self._next)


class _Entry(msgspec.Struct, eq=False):
    """A request that waits."""

    asked: Question
    routing: Routing
    answer: Any
    context: Context
