"""One prediction over HTTP, Interlock beside its peers: `python benchmarks/serving_side_by_side.py --peers DIR`.

The same fitted scikit-learn pipelines are behind every server; each server is started as its own documentation starts
it, with one worker, on loopback, and its answers must be scikit-learn's before it is timed. DIR has a clean environment
a peer (`DIR/serving-mlserver`, …); `--build` makes those that are not there, and a peer that has none is left out and
said. What is compared is CPU: user and system time of the server's whole process tree, per request, until it is idle
again; for Interlock that is with the signature checked and every prediction logged. Two tables, never the second
without the first: the same engine on both sides, and each as it would be deployed.

    python benchmarks/serving_side_by_side.py --peers DIR --build     make the environments
    python benchmarks/serving_side_by_side.py --peers DIR             the tables (about half an hour)
    python benchmarks/serving_side_by_side.py --peers DIR --only fastapi mlserver --models logistic
    python benchmarks/serving_side_by_side.py                         what the environment of the tests has: two minutes
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from serving_peers import environments, fitted, tables
from serving_peers.catalogue import OURS, PEERS, QUICK, python_of
from serving_peers.measuring import Loader, Plan, measure

FULL = Plan(tuple(fitted.TITLES), (1, 512), (1, 16, 64), 3.0)
SHORT = Plan(tuple(fitted.TITLES), (1, 512), (16,), 1.0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=os.environ.get("INTERLOCK_PEERS"), help="where environments are")
    parser.add_argument("--build", action="store_true", help="make the environments, and measure nothing")
    parser.add_argument("--only", nargs="*", default=[], help="peers by name; Interlock is always there")
    parser.add_argument("--models", nargs="*", default=[], choices=tuple(fitted.TITLES))
    parser.add_argument("--rows", nargs="*", type=int, default=[])
    parser.add_argument("--connections", nargs="*", type=int, default=[])
    parser.add_argument("--seconds", type=float, help="of load for each figure")
    parser.add_argument("--quick", action="store_true", help="only what the environment of the tests has")
    parser.add_argument("--json", type=Path, help="write every figure here too")
    parser.add_argument("--show", type=Path, help="print the tables of figures written before, and measure nothing")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    peers = Path(chosen.peers) if chosen.peers else None
    if chosen.show:
        tables.show(json.loads(chosen.show.read_text()))
        return
    if chosen.build:
        if peers is None:
            raise SystemExit("say where: --peers DIR")
        environments.build(peers, chosen.only)
        return
    quick = chosen.quick or peers is None
    base = SHORT if quick else FULL
    plan = Plan(
        tuple(chosen.models) or base.models,
        tuple(chosen.rows) or base.rows,
        tuple(chosen.connections) or base.connections,
        chosen.seconds or base.seconds,
    )
    wanted = [peer for peer in PEERS if not chosen.only or peer.name in (*chosen.only, *OURS)]
    found = measure_all([peer for peer in wanted if not quick or peer.name in QUICK], plan, peers)
    if quick:
        found["left_out"] |= {peer.title: "not in this environment" for peer in wanted if peer.name not in QUICK}
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))
    tables.show(found)


def measure_all(wanted: list[Any], plan: Plan, peers: Path | None) -> dict[str, Any]:
    """Return the figures of every peer and model, and why some have none."""
    figures: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="serving-models-") as name:
        models = Path(name)
        fitted.fit(models, list(plan.models))
        loader = Loader(models)
        for peer in wanted:
            programs = python_of(peer, peers)
            if programs is None:
                left_out[peer.title] = f"no environment: {peer.folder}"
                continue
            for model in plan.models:
                print(f"{peer.title}, {model} …", file=sys.stderr, flush=True)
                try:
                    one = measure(peer, model, plan=plan, programs=programs, models=models, loader=loader)
                except RuntimeError as error:
                    left_out[f"{peer.title}, {model}"] = str(error)
                    print(f"  left out: {error}", file=sys.stderr, flush=True)
                    continue
                figures.setdefault(peer.name, {})[model] = one
        weights = {peer.name: environments.weight(peer, peers) for peer in wanted}
    return {
        "plan": {
            "models": plan.models,
            "rows": plan.rows,
            "connections": plan.connections,
            "seconds": plan.seconds,
            "loader": loader.title,
        },
        "figures": figures,
        "weights": weights,
        "left_out": left_out,
    }


if __name__ == "__main__":
    main()
