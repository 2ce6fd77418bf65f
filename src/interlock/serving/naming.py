"""Name endpoints after models."""

from __future__ import annotations

import re

_LONGEST_NAME = 250


def endpoint_name(model: str) -> str:
    """Return the name of an endpoint for a model, which may have any name.

    Example:
        >>> endpoint_name("delay"), endpoint_name("Flight delay: EWR")
        ('delay', 'Flight-delay-EWR')
    """
    name = "-".join(re.findall(r"[A-Za-z0-9._/-]+", model)).strip("-._/")
    return re.sub(r"\.\.+|//+", "-", name)[:_LONGEST_NAME] or "model"
