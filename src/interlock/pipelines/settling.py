"""Write down what came of a step call: its output, its log, its error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlock.core.clock import Clock
from interlock.pipelines.holders import is_gone
from interlock.pipelines.nodes import Node, Shelf
from interlock.pipelines.outputs import store_parts
from interlock.pipelines.performing import Performed, forget_live, log_of
from interlock.pipelines.recording import Recorder
from interlock.pipelines.reuse import placed
from interlock.pipelines.step_entries import failure_of, finish_of, in_full, record_of
from interlock.pipelines.storing import keep
from interlock.pipelines.watches import tell
from interlock.ports.run_spool import CONSOLE_FILE
from interlock.ports.run_store import ArtifactEntry
from interlock.ports.step_cache import StepRecord

_OUTPUT = "output"


class Settler:
    """Hands what came of step calls to the recorder.

    Args:
        recorder: What writes it, in groups.
        clock: Tells the time.
        secret: Signs pickled outputs.
        folder: Where steps write while they run; None for nowhere.
        shelf: What holds outputs in memory.
    """

    def __init__(self, recorder: Recorder, *, clock: Clock, secret: bytes, folder: Path | None, shelf: Shelf) -> None:
        self.shelf = shelf
        self._recorder = recorder
        self._clock = clock
        self._secret = secret
        self._folder = folder

    def record(self, node: Node, performed: Performed) -> StepRecord:
        """Take in the output of a step that ran; return its record."""
        stored, files = performed.stored, []
        if performed.parts and node.step.outputs is not None:
            stored, node.parts = store_parts(performed.parts, node.step.outputs, self._recorder.store, self._secret)
            files = [
                ArtifactEntry(f"{_OUTPUT}/{name}.{part.form}", part.digest, part.size_bytes)
                for name, part in node.parts.items()
            ]
        blob = keep(stored, self._recorder.store, self._secret)
        files.insert(0, ArtifactEntry(f"{_OUTPUT}.{stored.form}", blob.digest, blob.size_bytes))
        files += self._log(node, performed.log)
        now = self._clock.now()
        made = record_of(node, performed, now, output=blob.digest, form=stored.form)
        tell(node.step.full_name, performed.findings)
        kept = placed(made, node.verdict) if node.step.cache else None
        node.status, node.record = "finished", made
        node.keep(stored, self.shelf)
        end = finish_of(node, performed, now, files=files, record=kept)
        self._recorder.end(end, node.in_graph(), claim=_claim(node), took_s=performed.duration_s)
        return made

    def fail(self, node: Node, error: BaseException) -> None:
        """Take in the error of a step that ran."""
        files = self._log(node, log_of(error))
        end = failure_of(node, "failed", in_full(error), self._clock.now(), files=files)
        self._recorder.end(end, node.in_graph(), claim=_claim(node))

    def kill(self, node: Node, why: str) -> None:
        """Take in that a step was stopped."""
        node.status, node.reason = "cancelled", node.reason or why
        end = failure_of(node, "killed", why, self._clock.now(), files=self._log(node, ""))
        self._recorder.end(end, node.in_graph(), claim=_claim(node))

    def take_over(self, waiting: Mapping[Node, str]) -> None:
        """Take the claims that calls wait for from processes that are gone."""
        for holder in {holder for holder in waiting.values() if is_gone(holder)}:
            self._recorder.take_over([node.verdict.key for node in waiting if waiting[node] == holder], over=holder)

    def _log(self, node: Node, text: str) -> list[ArtifactEntry]:
        """Keep what a step printed; of one that could not hand it over, what it wrote while it ran."""
        live = forget_live(self._folder, node.run_id) if self._folder is not None else ""
        if not text and not live:
            return []
        blob = self._recorder.store((text or live).encode("utf-8", "replace"))
        return [ArtifactEntry(CONSOLE_FILE, blob.digest, blob.size_bytes)]


def _claim(node: Node) -> str:
    return node.verdict.key if node.step.cache else ""
