"""Remember which run the present code belongs to, so that runs opened inside it become its children."""

from __future__ import annotations

from contextvars import ContextVar

active_run: ContextVar[str | None] = ContextVar("interlock_active_run", default=None)
"""Id of the innermost open run of this thread or task."""
