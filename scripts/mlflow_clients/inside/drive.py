"""Do one group of steps against one store and write what they saw: `python drive.py URI GROUP OUT`."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

import mlflow
from facts import seen_by

GROUPS = ("tracking", "models", "genai")


def main(uri: str, group: str, out: str) -> None:
    """Run the steps of a group, or the training of a library."""
    mlflow.set_tracking_uri(uri)
    if group in GROUPS:
        steps = importlib.import_module(group).STEPS
    else:
        steps = (importlib.import_module("trainings").step_of(group),)
    told = {}
    for step in steps:
        began = time.perf_counter()
        facts = seen_by(step)
        told[step.__name__] = {"facts": facts, "seconds": round(time.perf_counter() - began, 3)}
    Path(out).write_text(json.dumps(told, indent=1, sort_keys=True, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:4])
