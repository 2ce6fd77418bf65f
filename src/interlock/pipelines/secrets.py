"""Hand secrets to a step by reference: read when it starts, in its environment while it runs, written down nowhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlock.core.errors import InvalidInput


class Secrets(dict[str, str]):
    """Environment variable to value; shown without the values."""

    def __repr__(self) -> str:
        return f"<secrets {', '.join(self) or 'none'}>"


def read_secrets(places: Mapping[str, str], *, step: str) -> Secrets:
    """Read secrets from where they are: `env:NAME` or `file:PATH` (without the line end).

    Raises:
        InvalidInput: One is not there; the error names the place, never a value.
    """
    found = Secrets()
    for name, place in places.items():
        kind, _, where = place.partition(":")
        if kind == "env":
            value = os.environ.get(where)
            problem = "" if value is not None else f"the environment variable {where} is not set"
        else:
            value, problem = _read(Path(where).expanduser())
        if problem or not value:
            raise InvalidInput(
                f"step '{step}' has no secret {name}",
                why=problem or f"{place} is empty",
                fix=f"export {where}=…" if kind == "env" else f"write the secret to {where}",
            )
        found[name] = value
    return found


@contextlib.contextmanager
def in_environment(secrets: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while what is inside runs.

    They belong to the whole process: where steps run as threads of one, others could read them meanwhile.
    """
    before = {name: os.environ.get(name) for name in secrets}
    os.environ.update(secrets)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _read(path: Path) -> tuple[str | None, str]:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n"), ""
    except (OSError, UnicodeDecodeError) as error:
        return None, f"{path} cannot be read: {type(error).__name__}"
