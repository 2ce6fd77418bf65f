"""Read every stored byte back and name what is damaged."""

from __future__ import annotations

from interlock.cli.noun import Here
from interlock.cli.output import Answer, listing, status
from interlock.core.errors import Corrupt
from interlock.workspace import open_workspace


def verify(*, session: Here) -> Answer:
    """Read everything in the workspace back; name what is damaged or missing and exit with 6 if anything is."""
    with open_workspace(session.uri, create=False) as workspace, status("reading everything back"):
        damage = workspace.verify()
    columns = {
        "content": lambda damage: damage.digest,
        "problem": lambda damage: damage.problem,
        "where": lambda damage: damage.where,
    }
    found = listing(damage, columns, empty=f"{workspace.uri} is whole")
    return Answer(found.data, found.blocks, exit_code=Corrupt.exit_code if damage else 0)
