"""Answer few rows with one engine and many with another, which is loaded only when many are asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from interlock.core.errors import InterlockError
from interlock.ports.model_runtime import Predictor

_logger = logging.getLogger(__name__)


class SizedPredictor(Predictor):
    """A version that was found at its registration to be quicker by another engine from some number of rows on.

    The first request of so many rows has the other engine loaded in a thread; until it is there, and for good where it
    cannot be loaded, the first answers these too. Nobody waits, and a process that is never asked many rows never
    imports the other engine's library.

    Args:
        few: What answers fewer rows.
        load_many: Loads what answers more.
        from_rows: From how many rows on that is quicker.
    """

    def __init__(self, few: Predictor, load_many: Callable[[], Predictor], *, from_rows: int) -> None:
        self._few = few
        self._many = few
        self._load_many = load_many
        self._from_rows = from_rows
        self._asked = threading.Lock()
        self._loading: threading.Thread | None = None

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        """Answer with the engine that is quicker for so many rows."""
        if rows < self._from_rows:
            return self._few.predict(columns, rows=rows)
        if self._loading is None:
            self._begin()
        return self._many.predict(columns, rows=rows)

    def settle(self) -> None:
        """Return once the engine for many rows is loaded, or cannot be."""
        self._begin()
        if self._loading is not None:
            self._loading.join()

    def _begin(self) -> None:
        with self._asked:
            if self._loading is None:
                self._loading = threading.Thread(target=self._load, name="load-many", daemon=True)
                self._loading.start()

    def _load(self) -> None:
        try:
            self._many = self._load_many()
        except InterlockError as error:
            _logger.warning("many rows stay with the engine for few: %s", error.what)
