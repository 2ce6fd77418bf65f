"""Read the words of protobuf enums, which clients write by name or by number."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.server.mlflow.wire import invalid


def word(value: str | int | None, words: Sequence[str], *, of: str, default: str | None = None) -> str | None:
    """Return one of some words, which may be given by its number; the first stands for none."""
    text = words[value] if isinstance(value, int) and 0 <= value < len(words) else value
    if text is None or text == words[0]:
        if default is None and value is not None:
            raise invalid(f"Invalid value for '{of}'. Must be one of: {', '.join(words[1:])}.")
        return default
    if text not in words:
        raise invalid(f"Invalid value '{str(text)[:80]}' for '{of}'. Must be one of: {', '.join(words[1:])}.")
    return str(text)
