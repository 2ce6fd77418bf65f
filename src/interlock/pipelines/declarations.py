"""Read what a file says of a pipeline: which one, with which arguments, where and when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, NotFound

SUFFIXES = (".yaml", ".yml", ".json", ".toml")


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a pipeline runs by itself: at times, or when something happens.

    Args:
        cron: Five fields of cron.
        time_zone: The zone in which they are read.
        event: A kind of event of the journal (`dataset.committed`, `monitor.alert`, …) instead.
        where: What its payload, or its `subject`, has to be.
    """

    cron: str | None = None
    time_zone: str = "UTC"
    event: str | None = None
    where: dict[str, Any] = {}


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says.

    Args:
        pipeline: `train.py:nightly`, from the folder of the file.
        arguments: Its arguments by name.
        on: Where its steps run: `inline`, `pool`, `ray`, `dask`.
        name: What its schedule is called; the pipeline's own name if not given.
        schedule: When it runs by itself.
    """

    pipeline: str
    arguments: dict[str, Any] = {}
    on: str | None = None
    name: str | None = None
    schedule: Schedule | None = None


def read_declaration(path: Path) -> Declaration:
    """Read a YAML, JSON or TOML file.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It cannot be read, lacks `pipeline`, or says what is not known; the message names key and line.
    """
    if not path.is_file():
        raise NotFound(
            f"there is no file {path}", why="a declaration of a pipeline was expected", fix="pipeline: train.py:nightly"
        )
    data = path.read_bytes()
    decode = {".json": msgspec.json.decode, ".toml": msgspec.toml.decode}.get(path.suffix, _from_yaml)
    try:
        return decode(data, type=Declaration)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"{path} is no declaration of a pipeline", why=str(error), fix="pipeline: train.py:nightly"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error)) from error


def _from_yaml(data: bytes, *, type: Any) -> Any:
    import yaml  # type: ignore[import-untyped]

    try:
        return msgspec.convert(yaml.safe_load(data), type)
    except yaml.YAMLError as error:
        raise msgspec.DecodeError(" ".join(str(error).split())) from error
