"""Hear of every environment variable that is read through `os.environ`, which raises no audit event of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_listeners: list[Callable[[str], None]] = []


class WatchedEnviron(type(os.environ)):  # type: ignore[misc]  # the class of os.environ has no public name
    """What `os.environ` becomes: the same mapping, which says what is read from it."""

    def __getitem__(self, key: Any) -> Any:
        _tell(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        _tell(key)
        return bool(super().__contains__(key))


def watch_environment(listener: Callable[[str], None]) -> None:
    """Have a listener told the name of every variable that is read from now on."""
    _listeners.append(listener)
    if type(os.environ) is not WatchedEnviron:
        os.environ.__class__ = WatchedEnviron


def _tell(key: object) -> None:
    if isinstance(key, str):
        for listener in _listeners:
            listener(key)
