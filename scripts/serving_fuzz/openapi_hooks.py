"""Loaded by schemathesis: write down the prediction ids that are answered, and count the statuses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Add a line for each answer to the file that the environment names."""
    ids: list[str] = []
    header = response.headers.get("x-interlock-prediction-ids")
    if response.status_code == 200:
        try:
            said = response.json()
        except ValueError:
            said = {}
        if header:
            ids = header[0].split(",") if isinstance(header, list) else header.split(",")
        elif isinstance(said, dict):
            places = (said, said.get("parameters"), said.get("metadata"))
            ids = next(
                (one["prediction_ids"] for one in places if isinstance(one, dict) and "prediction_ids" in one), []
            )
    line = {"path": case.path, "method": case.method, "status": response.status_code, "ids": ids}
    with Path(os.environ["SERVING_FUZZ_ANSWERS"]).open("a") as file:
        file.write(json.dumps(line) + "\n")
