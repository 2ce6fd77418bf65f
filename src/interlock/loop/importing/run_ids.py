"""Give runs that come from elsewhere their ids: the same each time."""

from __future__ import annotations

from interlock.core.hashing import digest_of


def run_id_for(key: str, *, of: str) -> str:
    """Return the id of a run, derived from what its source calls it: 32 hex digits.

    Args:
        key: What the source calls it.
        of: What tells the source's ids from those of others.

    Example:
        >>> run_id_for("r1", of="a") == run_id_for("r1", of="a"), len(run_id_for("r1", of="b"))
        (True, 32)
    """
    return digest_of(f"{of}\n{key}".encode())[3:35]
