"""Put a logged model, its files and a version of it into the recorded MLflow database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

MODEL_ID = "m-" + "1f" * 16
GONE_ID = "m-" + "2e" * 16
MADE_MS = 1_700_000_100_000


def add_logged_model(database: Path) -> None:
    """Add one with params, tags and a metric on a dataset, one that was deleted, and version 4 of `delay model`."""
    files = database.parent / "artifacts" / "models" / MODEL_ID / "artifacts"
    (files / "data").mkdir(parents=True)
    (files / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: here\n")
    (files / "data" / "w.bin").write_bytes(b"weights of the logged model")
    with closing(sqlite3.connect(database)) as connection:
        (run, experiment) = connection.execute(
            "SELECT run_uuid, experiment_id FROM runs WHERE name = 'parent'"
        ).fetchone()
        made = (MADE_MS, MADE_MS + 1000)
        connection.executemany(
            "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
            " last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id, status_message)"
            " VALUES (?, ?, ?, ?, ?, ?, 2, ?, 'sklearn', ?, NULL)",
            [
                (MODEL_ID, experiment, "trees", str(files), *made, "active", run),
                (GONE_ID, experiment, "thrown away", str(files), *made, "deleted", None),
            ],
        )
        connection.execute(
            "INSERT INTO logged_model_params VALUES (?, ?, 'depth', '3')",
            [MODEL_ID, experiment],
        )
        connection.execute("INSERT INTO logged_model_tags VALUES (?, ?, 'team', 'ops')", [MODEL_ID, experiment])
        connection.execute(
            "INSERT INTO logged_model_metrics VALUES (?, 'auc', ?, 2, 0.75, ?, ?, NULL, 'flights', '90c28bcc')",
            [MODEL_ID, MADE_MS, experiment, run],
        )
        connection.execute(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)"
            " VALUES ('u1', 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, 5)",
            [run, MODEL_ID],
        )
        connection.execute(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage,"
            " source, run_id, status) VALUES ('delay model', 4, ?, ?, 'of a logged model', 'None', ?, ?, 'READY')",
            [*made, f"models:/{MODEL_ID}", run],
        )
        connection.commit()
