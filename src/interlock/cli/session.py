"""Hold what the options before any command say: which workspace, and text or JSON."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.core.errors import InvalidInput

_DIR = "--dir"
_JSON = "--json"


@dataclass(frozen=True)
class Session:
    """What every command is told.

    Args:
        uri: The workspace that `--dir` names; None means `INTERLOCK_URI`, or the nearest `.interlock` folder.
        as_json: Whether to answer in JSON.
    """

    uri: str | None = None
    as_json: bool = False


def split_options(tokens: list[str]) -> tuple[Session, list[str]]:
    """Take `--dir FOLDER` and `--json` out of the command line, wherever they stand before `--`.

    Raises:
        InvalidInput: `--dir` comes without a folder.
    """
    uri: str | None = None
    as_json = False
    rest: list[str] = []
    waiting = iter(tokens)
    for token in waiting:
        if token == "--":
            rest += [token, *waiting]
        elif token == _JSON:
            as_json = True
        elif token == _DIR or token.startswith(_DIR + "="):
            value = next(waiting, "") if token == _DIR else token.removeprefix(_DIR + "=")
            if not value or value.startswith("--"):
                raise InvalidInput(
                    "--dir needs a folder", why="nothing came after it", fix="interlock --dir FOLDER COMMAND"
                )
            uri = value
        else:
            rest.append(token)
    return Session(uri, as_json), rest
