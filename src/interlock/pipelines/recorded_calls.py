"""Keep what a pipeline was called with, so that its run can be resumed without being told again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interlock.core.errors import InvalidInput
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.storing import decode, encode, seal, unseal
from interlock.ports.run_store import ArtifactEntry

FOLDER = "arguments/"
"""Where, among the files of a pipeline's run, its arguments are: `arguments/<name>.<form>`."""

PIPELINE_TAG = "pipeline"
"""The tag of a pipeline's run that says what to import: `package.module:name` or `/folder/file.py:name`."""

_MOST_BYTES = 64 << 20


def written_arguments(arguments: Mapping[str, Any], secret: bytes) -> dict[str, bytes]:
    """Return the arguments as files; those that cannot be stored, and those above 64 MiB, are left out."""
    files: dict[str, bytes] = {}
    for name, value in arguments.items():
        if getattr(value, "nbytes", 0) > _MOST_BYTES:
            continue
        try:
            stored = encode(value)
        except InvalidInput:
            continue
        if len(stored.payload) <= _MOST_BYTES:
            files[f"{FOLDER}{name}.{stored.form}"] = seal(stored, secret)
    return files


def read_arguments(files: Sequence[ArtifactEntry], get: Callable[[str], bytes], secret: bytes) -> dict[str, Any]:
    """Return the arguments that were kept, by name."""
    found = {}
    for entry in files:
        if entry.path.startswith(FOLDER):
            name, _, form = entry.path.removeprefix(FOLDER).rpartition(".")
            found[name] = decode(unseal(form, get(entry.digest), secret))
    return found


def call_with(body: Pipeline[..., Any], arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments by name as those of a call.

    Raises:
        InvalidInput: One that the pipeline needs is not there.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, parameter in body.signature.parameters.items():
        if name not in arguments:
            if parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                raise InvalidInput(
                    f"argument '{name}' of pipeline '{body.name}' was not kept",
                    why="it could not be stored, was above 64 MiB, or the pipeline did not have it then",
                    fix=f"pipelines.resume(run, {body.name}, {name}=…)",
                )
        elif parameter.kind is parameter.VAR_POSITIONAL:
            args += arguments[name]
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs |= arguments[name]
        elif parameter.kind is parameter.KEYWORD_ONLY or len(args) < list(body.signature.parameters).index(name):
            kwargs[name] = arguments[name]
        else:
            args.append(arguments[name])
    return args, kwargs


def importable(body: Pipeline[..., Any]) -> str:
    """Return what to import to get a pipeline; empty for one that cannot be imported."""
    if "<" in body.__qualname__ or "." in body.__qualname__:
        return ""
    module = body.__module__
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        return f"{file}:{body.__qualname__}" if file else ""
    return f"{module}:{body.__qualname__}"
