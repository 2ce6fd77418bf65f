"""Look after an open run beside the training: sample the machine, write what was printed, list the media."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from interlock.core.background import in_background
from interlock.experiments.console import Console
from interlock.experiments.hardware import Sampler
from interlock.ports.run_spool import CONSOLE_FILE

_TICK_S = 1.0
_SOONEST_S = 5.0
_LATEST_S = 600.0
_SHARE = 0.2
_PATIENCE_S = 10.0
_log = logging.getLogger("interlock.experiments")


class Attendant:
    """Works for one run, from a thread of its own, until it is stopped.

    What is written whole each time (what was printed, the list of media) is written ever more rarely as the run goes
    on, so that the copies together stay small; at the end it is written once more.

    Args:
        console: What is printed; None where that is not kept.
        every_s: How often the machine is sampled; 0 for never.
        keep: Keeps a file of the run.
        media: Returns the list of media as path and bytes, or None if it has not changed.
        measure: Logs figures of the machine at seconds since the beginning.
    """

    def __init__(
        self,
        *,
        console: Console | None,
        every_s: float,
        keep: Callable[[str, bytes], None],
        media: Callable[[], tuple[str, bytes] | None],
        measure: Callable[[dict[str, float], float], None],
    ) -> None:
        self._console = console
        self._every_s = every_s
        self._keep = keep
        self._media = media
        self._measure = measure
        self._printed = ""
        self._sampler: Sampler | None = None
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        if self._console is not None:
            self._console.start()
        self._thread = in_background(self._attend, name="interlock-attend")

    def stop(self) -> None:
        """Write everything once more, and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
        if self._console is not None:
            self._console.stop()
        if self._sampler is not None:
            self._quietly(self._sample)
        self._quietly(self._write)

    def _attend(self) -> None:
        sample_at = self._every_s or float("inf")
        write_at = _SOONEST_S
        while not self._stopping.wait(_TICK_S):
            age_s = time.monotonic() - self._began
            if age_s >= sample_at:
                sample_at = age_s + self._every_s if self._quietly(self._sample) else float("inf")
            if age_s >= write_at:
                write_at = age_s + min(_LATEST_S, max(_SOONEST_S, _SHARE * age_s))
                self._quietly(self._write)

    def _quietly(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception:  # noqa: BLE001 (counters of the system may fail in any way, and the training must go on)
            _log.warning("a run is not looked after as it should be", exc_info=True)
            return False
        return True

    def _sample(self) -> None:
        if self._sampler is None:
            self._sampler = Sampler()
            time.sleep(0.1)
        self._measure(self._sampler.sample(), round(time.monotonic() - self._began, 3))

    def _write(self) -> None:
        if self._console is not None:
            printed = self._console.text()
            if printed != self._printed:
                self._printed = printed
                self._keep(CONSOLE_FILE, printed.encode("utf-8", "replace"))
        if (listed := self._media()) is not None:
            self._keep(*listed)
