"""Make the key by which who may read a workspace's folder asks its endpoints, whatever other callers must show."""

from __future__ import annotations

from interlock.core.hashing import digest_of

_PURPOSE = b"interlock: the owner's key to the endpoints of this workspace\0"


def owner_key(secret: bytes) -> str:
    """Return the owner's key that follows from a workspace's secret.

    Example:
        >>> owner_key(bytes(32)) == owner_key(bytes(32)) != owner_key(bytes(31) + b"x")
        True
    """
    return "ilo_" + digest_of(_PURPOSE + secret)[3:]
