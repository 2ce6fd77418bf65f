"""Show one step call of a pipeline's run: what it was given, what it gave, what it printed, and why it ran."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from interlock.core.errors import NotFound
from interlock.core.refs import Ref
from interlock.pipelines.performing import live_file
from interlock.pipelines.reasons import INPUT
from interlock.ports.run_spool import CONSOLE_FILE
from interlock.ports.run_store import Run
from interlock.ports.step_cache import GraphNode
from interlock.ports.stores import Stores
from interlock.server.output_previews import preview_of
from interlock.server.pipeline_graphs import WORST, bundled
from interlock.server.pipeline_views import CallArgument, CallRow, CallSource, MadeModel, OutputPreview, StepCall

_SOURCES = 6
_ALIKE = 200
_LOG_BYTES = 64 * 1024
_CARD = 20_000
_MODELS = 5


def step_call(stores: Stores, nodes: Sequence[GraphNode], number: int, *, uri: str) -> StepCall:
    """Return everything about one call of a run.

    Raises:
        NotFound: The run made no such call.
    """
    by_number = {node.node: node for node in nodes}
    if number not in by_number:
        raise NotFound(f"the run made no call {number}", why=f"it made {len(nodes)} so far", fix="look at its graph")
    node = by_number[number]
    run = _run_of(node, stores)
    record = stores.steps.find(node.key) if node.key else None
    output = _output(node, stores)
    shown = {} if run is None else {name: str(value)[:500] for name, value in run.params.items()}
    if record is not None:
        named = {name.removeprefix(INPUT): text for name, text in record.shown.items() if name.startswith(INPUT)}
        shown = {**dict.fromkeys(record.inputs, ""), **shown, **named}
    log, is_whole = _log(node, run, stores, uri)
    alike = next(one.calls for one in bundled(nodes) if any(call.node == number for call in one.calls))
    ranked = sorted(alike, key=lambda call: (WORST.index(call.status), call.node))
    return StepCall(
        node=node.node,
        step=node.step,
        group=node.group,
        status=node.status,
        reason=node.reason,
        key=node.key,
        run=node.run,
        started_at=node.started_at,
        duration_s=node.duration_s,
        error=(run.error if run is not None and node.status != "reused" else None) or node.error,
        arguments=tuple(CallArgument(name, text) for name, text in shown.items()),
        sources=tuple(
            CallSource(one.node, one.group + one.step, one.status, _output(one, stores))
            for one in (by_number[source] for source in node.inputs[:_SOURCES] if source in by_number)
        ),
        source_count=len(node.inputs),
        output=output,
        models=_models(node, output, stores),
        log=log,
        is_log_whole=is_whole,
        doubts=record.doubts if record is not None else (),
        alike=tuple(CallRow(call.node, call.status, call.duration_s, call.reason) for call in ranked[:_ALIKE]),
        alike_count=len(alike),
    )


def _run_of(node: GraphNode, stores: Stores) -> Run | None:
    if not node.run:
        return None
    try:
        return stores.runs.get(node.run)
    except NotFound:  # purged since: what is known of the call itself is still shown
        return None


def _output(node: GraphNode, stores: Stores) -> OutputPreview | None:
    return preview_of(node.output_form, node.output, stores.artifacts) if node.output else None


def _log(node: GraphNode, run: Run | None, stores: Stores, uri: str) -> tuple[str, bool]:
    """Return the end of what a call printed; of one that runs here, what it has written so far."""
    data = b""
    if run is not None:
        entry = next((file for file in stores.runs.artifacts(run.id) if file.path == CONSOLE_FILE), None)
        if entry is not None and stores.artifacts.find(entry.digest) is not None:
            data = stores.artifacts.get(entry.digest)
    folder = Path(uri) / "steps"
    live = live_file(folder, node.run, "log") if node.status == "running" and folder.is_dir() else None
    if live and Path(live).is_file():
        data = Path(live).read_bytes()
    return data[-_LOG_BYTES:].decode("utf-8", "replace"), len(data) <= _LOG_BYTES


def _models(node: GraphNode, output: OutputPreview | None, stores: Stores) -> tuple[MadeModel, ...]:
    """Return the models that a call made, as lineage has it, or returned the Ref of."""
    refs = [ref for ref in (output.refs if output is not None else ()) if ref.startswith("model:")]
    if node.run:
        edges = stores.journal.walk(f"run:{node.run}", direction="forward", depth=1, limit=50)
        refs += [edge.target for edge in edges if edge.target.startswith("model:")]
    made = []
    for text in list(dict.fromkeys(refs))[:_MODELS]:
        ref = Ref.parse(text)
        version = ref.version if ref.version is not None else ""
        if not str(version).isdigit():
            continue
        found = stores.models.find(ref.name, version=int(version))
        if found is None:
            continue
        has_card = bool(found.card) and stores.artifacts.find(str(found.card)) is not None
        card = stores.artifacts.get(str(found.card)).decode("utf-8", "replace") if has_card else ""
        made.append(MadeModel(text, card[:_CARD]))
    return tuple(made)
