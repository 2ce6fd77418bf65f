"""Write a workspace as Parquet tables and files."""

from __future__ import annotations

from pathlib import Path

from interlock.cli.noun import Here
from interlock.cli.output import Answer, fields, status, table
from interlock.core.units import human_bytes
from interlock.loop.exporting import export as export_workspace
from interlock.loop.exporting import summary
from interlock.workspace import open_workspace


def export(folder: Path, /, *, artifacts: bool = True, session: Here) -> Answer:
    """Write runs, metrics, models, predictions and events as Parquet, and the files of runs beside them.

    Args:
        folder: A new folder, or one that an export was written to before.
        artifacts: Whether to write the files of runs, too.
    """
    with open_workspace(session.uri, create=False) as workspace, status("writing"):
        exported = export_workspace(workspace.stores, folder, files=artifacts)
    columns = {
        "table": lambda one: one.name,
        "file": lambda one: one.file,
        "rows": lambda one: one.rows,
        "size": lambda one: human_bytes(one.size_bytes),
    }
    return Answer(exported, (table(exported.tables, columns), fields(summary(exported))))
