"""Read the command line of the checks, run them, and show what became of them."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlock.testing.open_inference.checks import Mismatch, Target
from interlock.testing.open_inference.http_calls import get
from interlock.testing.open_inference.report import Report, as_json, as_page, as_table, from_json
from interlock.testing.open_inference.running import run_checks, run_suite
from interlock.testing.open_inference.suite import all_checks

CLIENTS = ("tritonclient", "kserve")


def main(arguments: Sequence[str]) -> int:
    """Run the checks; return 0 if none failed, 1 if some did, 2 if the server cannot be reached."""
    asked = _parser().parse_args(arguments)
    target = Target(asked.url.rstrip("/"), asked.grpc, os.environ.get("INTERLOCK_TOKEN", ""))
    if asked.only:
        outcomes = run_checks((check for check in all_checks() if asked.only in check.needs), target)
        sys.stdout.write(as_json(Report("", client_versions(), tuple(outcomes))) + "\n")
        sys.stdout.flush()
        # clients leave threads behind that nobody waits for
        os._exit(0)
    try:
        get(target, "/v2/health/live")
    except Mismatch as mismatch:
        sys.stderr.write(f"nothing answers at {target.url}: {mismatch.got}\n")
        return 2
    report = Report(asked.name or server_name(target), client_versions(), tuple(run_suite(target)))
    if asked.json:
        sys.stdout.write(as_json(report) + "\n")
    elif asked.page:
        others = [from_json(Path(path).read_bytes()) for path in asked.beside]
        sys.stdout.write(as_page([report, *others]))
    else:
        sys.stdout.write(as_table(report) + "\n")
    return 1 if report.count("fail") else 0


def server_name(target: Target) -> str:
    """Return what a server calls itself, with its version."""
    try:
        found: Any = get(target, "/v2").json()
        return f"{found['name']} {found['version']}".strip()
    except (Mismatch, KeyError, TypeError):
        return target.url


def client_versions() -> dict[str, str]:
    """Return the versions of the clients that are installed."""
    found: dict[str, str] = {}
    for name in CLIENTS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m interlock.testing.open_inference",
        description="Hold a server of the Open Inference Protocol, version 2, against its checks. The server offers the"
        " models that docs/reference/open-inference.md describes. A token is read from INTERLOCK_TOKEN.",
    )
    parser.add_argument("url", help="where the server answers HTTP")
    parser.add_argument("--grpc", default="", metavar="HOST:PORT", help="where it answers gRPC")
    parser.add_argument("--json", action="store_true", help="print what became of the checks as JSON")
    parser.add_argument("--page", action="store_true", help="print it as Markdown")
    parser.add_argument(
        "--beside", nargs="*", default=(), metavar="FILE", help="further columns of the page, from --json"
    )
    parser.add_argument("--name", default="", help="what to call the server")
    parser.add_argument("--only", default="", choices=("", *CLIENTS), help=argparse.SUPPRESS)
    return parser
