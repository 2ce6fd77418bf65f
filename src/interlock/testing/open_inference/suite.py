"""All checks of the Open Inference Protocol, in the order of the table."""

from __future__ import annotations

from interlock.testing.open_inference import (
    bad_input_checks,
    grpc_message_checks,
    kserve_checks,
    rest_checks,
    triton_grpc_checks,
    triton_http_checks,
)
from interlock.testing.open_inference.checks import Check, Group

GROUPS: tuple[Group, ...] = (
    *rest_checks.GROUPS,
    *bad_input_checks.GROUPS,
    *triton_http_checks.GROUPS,
    *triton_grpc_checks.GROUPS,
    *grpc_message_checks.GROUPS,
    *kserve_checks.GROUPS,
)


def all_checks() -> list[Check]:
    """Return every check.

    Example:
        >>> len(all_checks()) > 200
        True
    """
    return [check for group in GROUPS for check in group.checks]
