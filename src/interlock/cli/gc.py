"""Free what nobody needs any more."""

from __future__ import annotations

from interlock.cli.noun import Here
from interlock.cli.output import Answer, Table, status, table
from interlock.core.units import human_bytes
from interlock.loop.retention import Policy
from interlock.workspace import open_workspace


def gc(
    *,
    dry_run: bool = False,
    deleted_days: float = 30.0,
    failed_days: float | None = None,
    keep_newest: int | None = None,
    uploads_days: float = 1.0,
    grace_hours: float = 1.0,
    session: Here,
) -> Answer:
    """Free what nobody needs: runs deleted long ago and their files, unfinished uploads, contents without a reference.

    Runs with the tag interlock.pin, and runs that made a registered model, always stay.

    Args:
        dry_run: Only say what would go, and how many bytes for which reason.
        deleted_days: Forget runs that were deleted longer ago.
        failed_days: Delete runs that failed longer ago (they can be restored until they are forgotten).
        keep_newest: Of each experiment delete all finished runs but so many of the newest.
        uploads_days: Forget uploads begun longer ago and never finished.
        grace_hours: Free a content only if an earlier collection, so long ago, found it without reference too.
    """
    policy = Policy(
        deleted_days=deleted_days,
        failed_days=failed_days,
        keep_newest=keep_newest,
        uploads_days=uploads_days,
        grace_h=grace_hours,
    )
    with open_workspace(session.uri, create=False) as workspace, status("looking for what nobody needs"):
        found = workspace.loop.collect(policy, dry_run=dry_run)
    columns = {
        "what": lambda cause: cause.cause,
        "things": lambda cause: cause.things,
        "frees": lambda cause: human_bytes(cause.size_bytes),
        "such as": lambda cause: cause.sample[:2],
    }
    done = "would be freed" if dry_run else "freed"
    blocks: list[str | Table] = [table(found.causes, columns)] if found.causes else []
    blocks.append(f"{human_bytes(found.freed_bytes)} {done}")
    if found.waiting:
        blocks.append(
            f"{found.waiting} contents ({human_bytes(found.waiting_bytes)}) wait for their grace of {grace_hours:g} h: "
            "run it again later"
        )
    return Answer(found, tuple(blocks))
