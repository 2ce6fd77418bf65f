"""Read a pipeline's arguments from texts, as its signature says: the flags of a command, the values of a file."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.pipelines.graphs import Pipeline

_SEQUENCES = (list, tuple, set, frozenset, Sequence)


class Flag(msgspec.Struct, frozen=True):
    """One argument of a pipeline as a flag of the command line.

    Args:
        name: The parameter's name; the flag is `--name`, with dashes for underscores.
        kind: Its type as it is written in the code; empty if there is none.
        default: Its default as text, None if it must be given.
    """

    name: str
    kind: str
    default: str | None

    @property
    def word(self) -> str:
        """The flag as it is typed."""
        return "--" + self.name.replace("_", "-")


def flags_of(pipeline: Pipeline[..., Any]) -> tuple[Flag, ...]:
    """Return the flags of a pipeline in the order of its parameters."""
    hints = _hints(pipeline)
    return tuple(
        Flag(name, _kind_name(hints.get(name)), None if one.default is one.empty else repr(one.default))
        for name, one in pipeline.signature.parameters.items()
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    )


def arguments_from_words(pipeline: Pipeline[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """Read `--alphas 0.1,1 --day=2026-11-20 --fast --no-plots` into values of the annotated types.

    Raises:
        InvalidInput: A flag is unknown, lacks its value, is given twice, or its value is not of its type.
    """
    return arguments_from_values(pipeline, texts_of_words(pipeline, words))


def texts_of_words(pipeline: Pipeline[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """Read flags into texts by name of parameter; a switch is a truth value.

    Raises:
        InvalidInput: A flag is unknown, lacks its value or is given twice.
    """
    hints, names = _hints(pipeline), {flag.word: flag.name for flag in flags_of(pipeline)}
    texts: dict[str, Any] = {}
    waiting = list(words)
    while waiting:
        word, has_value, value = waiting.pop(0).partition("=")
        negated = word.startswith("--no-") and word not in names
        name = names.get("--" + word[5:] if negated else word.replace("_", "-"))
        if name is None:
            _refuse_word(pipeline, word, list(names))
        assert name is not None
        given: Any = value
        if not has_value:
            is_switch = _plain(hints.get(name)) is bool or negated
            if is_switch:
                given = not negated
            elif not waiting:
                raise InvalidInput(
                    f"{word} needs a value", why=f"a {_kind_name(hints.get(name)) or 'value'} is expected"
                )
            else:
                given = waiting.pop(0)
        if name in texts:
            raise InvalidInput(
                f"{word} is given twice", why="each may be given once; a list is one value: --alphas 0.1,1"
            )
        texts[name] = given
    return texts


def arguments_from_values(pipeline: Pipeline[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn plain values (texts, numbers, lists, tables of a YAML file) into values of the annotated types.

    Raises:
        InvalidInput: A name is unknown, one without default is missing, or a value is not of its type.
    """
    hints, parameters = _hints(pipeline), pipeline.signature.parameters
    for name in given:
        if name not in parameters:
            _refuse_word(pipeline, name, list(parameters))
    missing = [flag for flag in flags_of(pipeline) if flag.default is None and flag.name not in given]
    if missing:
        words = " ".join(f"{flag.word} {(flag.kind or 'value').rpartition('.')[2].upper()}" for flag in missing)
        raise InvalidInput(
            f"pipeline '{pipeline.name}' lacks {', '.join(flag.name for flag in missing)}",
            why="they have no default",
            fix=f"add {words}",
        )
    return {name: _value(pipeline, name, value, hints.get(name, Any)) for name, value in given.items()}


def _refuse_word(pipeline: Pipeline[..., Any], word: str, known: list[str]) -> typing.NoReturn:
    if not known:
        raise InvalidInput(f"pipeline '{pipeline.name}' takes no arguments", why=f"got '{word}'")
    raise InvalidInput(f"pipeline '{pipeline.name}' has no argument '{word}'", why=did_you_mean(word, known))


def _hints(pipeline: Pipeline[..., Any]) -> dict[str, Any]:
    """Return the annotations as types; those that cannot be read count as none."""
    try:
        return typing.get_type_hints(pipeline.__wrapped__)
    except (NameError, TypeError):
        return {
            name: one.annotation
            for name, one in pipeline.signature.parameters.items()
            if isinstance(one.annotation, type) and one.annotation is not one.empty
        }


def _kind_name(hint: Any) -> str:
    if hint is None or hint is Any:
        return ""
    return inspect.formatannotation(hint)


def _plain(hint: Any) -> Any:
    """Return the one type of `X | None`, or the hint itself."""
    options = [one for one in typing.get_args(hint) if one is not type(None)]
    is_union = type(None) in typing.get_args(hint)
    return options[0] if is_union and len(options) == 1 else hint


def _value(pipeline: Pipeline[..., Any], name: str, value: Any, hint: Any) -> Any:
    try:
        return msgspec.convert(_unpacked(value, hint), hint, strict=False, dec_hook=_made)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise InvalidInput(
            f"argument '{name}' of pipeline '{pipeline.name}' cannot be {value!r}",
            why=f"a {_kind_name(hint)} is expected: {error}",
            fix="give it in code: workspace.pipelines.run(…)" if not isinstance(value, (str, bool)) else "",
        ) from error


def _unpacked(value: Any, hint: Any) -> Any:
    """Return a text as what it stands for, where its type is not text: `0.1,1` as a list, JSON as what it says."""
    if not isinstance(value, str):
        return value
    plain = _plain(hint)
    kind = typing.get_origin(plain) or plain
    if value in ("none", "null") and type(None) in typing.get_args(hint):
        return None
    if value[:1] in ("[", "{") and kind is not str:
        return json.loads(value)
    if kind in _SEQUENCES:
        return [one.strip() for one in value.split(",")] if value else []
    if plain is Any:
        return _guessed(value)
    return value


def _guessed(value: str) -> Any:
    """Return a text without a type as the number, truth value or list it looks like."""
    try:
        return json.loads(value)
    except ValueError:
        return [_guessed(one) for one in value.split(",")] if "," in value else value


def _made(kind: type, value: Any) -> Any:
    """Make a value of a type that plain data has not."""
    if issubclass(kind, Path):
        return kind(value)
    raise TypeError(f"a {kind.__name__} cannot be written as text")
