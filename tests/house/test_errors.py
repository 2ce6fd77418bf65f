"""Every error is used, documented, and told apart."""

from __future__ import annotations

import ast
import pickle
import re

import pytest

from interlock.core.errors import InterlockError, error_types
from tests.house.source import ROOT, modules

KINDS = sorted(
    (kind for kind in error_types().values() if kind.__module__ == "interlock.core.errors"), key=lambda kind: kind.code
)
BUILT_BY = {"MissingExtra": "missing_extra"}


def _called() -> set[str]:
    return {
        node.func.id
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_raised_somewhere_and_documented(kind: type[InterlockError]) -> None:
    called = _called()
    assert kind.__name__ in called and BUILT_BY.get(kind.__name__, kind.__name__) in called
    assert f"## {kind.code} {kind.__name__}\n" in (ROOT / "docs/reference/errors.md").read_text()
    assert kind.exit_code != 0


def test_codes_are_unique() -> None:
    classes: list[type[InterlockError]] = [InterlockError]
    for kind in classes:
        classes.extend(kind.__subclasses__())
    assert len({kind.code for kind in classes}) == len(set(classes))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_another_process(kind: type[InterlockError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", why="why", fix="fix")))
    assert (type(error), error.what, error.why, error.fix) == (kind, "what", "why", "fix")


EDGES = {
    "interlock.cli.main",
    "interlock.cli.pipeline_mending",
    "interlock.loop.recipes",
    "interlock.pipelines.targets",
    "interlock.ports.call_rules",
    "interlock.server.contracts.entry_script",
    "interlock.server.api_keys",
    "interlock.server.dataplane",
    "interlock.server.explain_process",
    "interlock.server.grpc_oip.service",
    "interlock.server.grpc_oip.streams",
    "interlock.server.hosting",
    "interlock.server.router",
    "interlock.server.scheduler",
    "interlock.server.spool.app",
    "interlock.server.spool.forwarder",
    "interlock.server.wire.connection",
    "interlock.server.workers",
    "interlock.serving.engine",
    "interlock.adapters.graphs.runtime",
    "interlock.adapters.local.executors",
    "interlock.adapters.mlflow.runtime",
    "interlock.registry.flavors.mlflow",
    "interlock.adapters.localfs.prediction_spool",
    "interlock.adapters.localfs.run_spool",
    "interlock.experiments.attending",
    "interlock.experiments.autolog.sessions",
    "interlock.experiments.buffers",
    "interlock.testing.open_inference.running",
    "interlock.tuning.studies",
}
"""Where a process, a thread or user code ends: only here is everything caught, and each says why."""


def test_only_the_edges_catch_everything() -> None:
    blanket = {module.name: line for module in modules() for line in module.text.splitlines() if "BLE001" in line}
    assert set(blanket) <= EDGES
    assert [line for line in blanket.values() if not re.search(r"noqa: BLE001 \(.{10,}\)", line)] == []
