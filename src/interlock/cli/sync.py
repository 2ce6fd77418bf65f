"""Bring to the store what runs wrote while it was away."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from interlock.cli.noun import Here
from interlock.cli.output import Answer, fields, status
from interlock.core.errors import Unavailable
from interlock.core.units import human_bytes
from interlock.ports.run_spool import SpoolState
from interlock.workspace import RUN_SPOOL, open_workspace


def sync(*, patience: Annotated[float, Parameter(name="--patience")] = 30.0, session: Here) -> Answer:
    """Bring to the store what runs of this machine wrote while it was away; exit with 5 if it still is.

    Harmless to repeat: nothing is there twice. Runs whose process is gone are closed as killed.

    Args:
        patience: Seconds to wait for a store that answers nothing.
    """
    with open_workspace(session.uri, create=False) as workspace:
        spool = workspace.run_spool
        if spool is None:
            return Answer(SpoolState(), ("a workspace in memory has nothing to bring",))
        with status("bringing runs to the store"):
            waits = spool.settle(patience_s=patience)
        state = spool.state()
    refused = f"{state.refused} records, kept in {workspace.folder / RUN_SPOOL / 'refused'}" if state.refused else None
    told = fields(
        {
            "workspace": workspace.uri,
            "brought": f"{state.delivered} records",
            "waiting": f"{state.batches} records of {state.runs} runs, {human_bytes(state.size_bytes)}",
            "refused": refused,
            "because": waits,
        }
    )
    return Answer({"state": state, "because": waits}, (told,), exit_code=Unavailable.exit_code if waits else 0)
