"""Gather what a project's folder and its workspace show, without judging it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from interlock.ports.dataset_store import Snapshot
from interlock.ports.deployment_store import Endpoint
from interlock.ports.model_store import ModelVersion
from interlock.ports.monitor_store import Monitor
from interlock.ports.run_store import Run, RunFilter
from interlock.ports.stores import Stores
from interlock.ports.trigger_store import Trigger

_LIMIT = 100

_SIGNS: dict[str, tuple[str, ...]] = {
    "version control": (".git", ".hg", ".jj"),
    "tests": ("tests", "test", "test_*.py", "src/**/test_*.py"),
    "ci": (
        ".github/workflows/*.y*ml",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".circleci/config.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        ".ci/*",
    ),
    "checks": ("ruff.toml", ".ruff.toml", "mypy.ini", "pyrightconfig.json", ".pre-commit-config.yaml", ".flake8"),
    "lock": ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock*.toml", "conda-lock.yml"),
}
_CHECKERS = ("ruff", "mypy", "black", "pyright", "basedpyright", "pylint")


@dataclass(frozen=True)
class Evidence:
    """What was seen.

    Args:
        files: For each practice that shows in files, the first file that shows it, or None; None without a folder.
        snapshots: The newest snapshot of each dataset.
        training_runs: The last runs of kind `training`.
        pipeline_runs: How many of the last runs are of kind `pipeline`.
        models: The newest version of each model.
        with_inputs: Refs of those that lineage leads back from.
        endpoints: All endpoints.
        live: Refs of the versions that answer behind them.
        passed: Refs of the versions that passed a gate.
        truths: How many truths came back, by endpoint.
        monitors: All monitors.
        open_alerts: How many alerts are open.
        triggers: All triggers.
    """

    files: dict[str, str | None] | None
    snapshots: list[Snapshot]
    training_runs: list[Run]
    pipeline_runs: int
    models: list[ModelVersion]
    with_inputs: frozenset[str]
    endpoints: list[Endpoint]
    live: list[str]
    passed: frozenset[str]
    truths: dict[str, int]
    monitors: list[Monitor]
    open_alerts: int
    triggers: list[Trigger]


def gather(stores: Stores, project: Path | None) -> Evidence:
    """Look at the newest hundred things of each kind, and at the project's folder."""
    models = stores.models.models(limit=_LIMIT)
    endpoints = stores.deployments.endpoints(limit=_LIMIT)
    live = sorted({one.model for endpoint in endpoints for one in endpoint.deployments if one.role == "live"})
    return Evidence(
        files={what: _first(project, what) for what in _SIGNS} if project is not None else None,
        snapshots=stores.datasets.datasets(limit=_LIMIT),
        training_runs=stores.runs.runs(where=RunFilter(kind="training"), limit=_LIMIT),
        pipeline_runs=len(stores.runs.runs(where=RunFilter(kind="pipeline"), limit=_LIMIT)),
        models=models,
        with_inputs=frozenset(
            version.ref for version in models if stores.journal.walk(version.ref, direction="back", depth=1, limit=1)
        ),
        endpoints=endpoints,
        live=live,
        passed=frozenset(
            ref for ref in live if any(verdict.passed for verdict in stores.models.verdicts(candidate=ref))
        ),
        truths={endpoint.name: stores.predictions.counts(endpoint.name).get("feedback", 0) for endpoint in endpoints},
        monitors=stores.monitors.monitors(),
        open_alerts=len(stores.monitors.alerts(is_open=True, limit=_LIMIT)),
        triggers=stores.triggers.triggers(),
    )


def _first(project: Path, what: str) -> str | None:
    """Return the first file that shows a practice; version control also shows in a folder above."""
    folders = [project, *project.resolve().parents] if what == "version control" else [project]
    for folder in folders:
        for sign in _SIGNS[what]:
            found = min(folder.glob(sign), default=None)
            if found is not None:
                return found.name if folder != project else str(found.relative_to(project))
    return _in_files(project, what)


def _in_files(project: Path, what: str) -> str | None:
    if what == "checks" and (project / "pyproject.toml").is_file():
        try:
            tools = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            return None
        named = [name for name in _CHECKERS if name in tools]
        return f"pyproject.toml [tool.{named[0]}]" if named else None
    if what == "lock" and (project / "requirements.txt").is_file():
        lines = (project / "requirements.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        wanted = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
        return "requirements.txt" if wanted and all("==" in line for line in wanted) else None
    return None
