"""What a kind of model is: how it is recognised, and what it becomes when it is packaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.schema import Signature
from interlock.core.signing import Signer, unsigned
from interlock.ports.model_runtime import Predictor
from interlock.ports.model_store import ModelVersion


class Form(msgspec.Struct, frozen=True):
    """One way to run a model: files, and the engine that reads them.

    Args:
        engine: Name of the runtime that loads it.
        title: The form in words, as the card calls it (`ONNX in 64 bits`).
        files: Its files, by path within the `MLmodel` folder.
        settings: What the runtime must be told; becomes part of the version's facts.
        libraries: Distributions that the runtime needs, for `requirements.txt`.
        flavors: What it adds to the `flavors` of the `MLmodel` file.
    """

    engine: str
    title: str
    files: Mapping[str, bytes]
    settings: Mapping[str, Any] = {}
    libraries: tuple[str, ...] = ()
    flavors: Mapping[str, Mapping[str, Any]] = {}


Compiler = Callable[[Signature], Iterator[Form | str]]
"""Gives the compiled forms of one engine, the best first, and in place of a form that cannot be made a line that says
why. It is asked for the next only where the last did not answer as the model does."""


class Package(msgspec.Struct, frozen=True):
    """A model as files, with all that the registry must know of it.

    Args:
        flavor: The kind of model, as MLflow names it.
        title: The model in words, for its card.
        signature: What it takes and gives. An input is nullable where the example has a gap; the registry finds out
            what else may be missing.
        example: Example rows by column, in the signature's order: lists of plain values (None is a missing string,
            NaN a missing number), or arrays where the inputs are tensors.
        expected: What the model in memory says to the first of these rows, by output: the loaded package has to say
            the same. As many rows as there are here are compared.
        native: The form that holds the model itself; where its settings must be found out, one form for each, the
            first of which that answers as the model does is kept.
        compilers: One for each engine it may be compiled for.
        is_probed: Whether it may be asked rows that are not in the example (no: it is slow, or has side effects).
        facts: More that the version shall know of itself.
        members: Refs of the versions that it is made of, if it is made of such.
    """

    flavor: str
    title: str
    signature: Signature
    example: Mapping[str, Any]
    expected: Mapping[str, Any]
    native: tuple[Form, ...]
    compilers: tuple[Compiler, ...] = ()
    is_probed: bool = True
    facts: Mapping[str, Any] = {}
    members: tuple[str, ...] = ()


class Options(msgspec.Struct, frozen=True):
    """What whoever registers a model says beside it.

    Args:
        name: Name of the model.
        trusted_types: Types that its package may hold beyond the ones known to be inert.
        signer: Signs what brings Python code.
        resolve: Finds the version that a Ref means, for models that are made of others; so do the next two.
        load: Loads the version of a Ref.
        example_of: Gives a version's example rows.
    """

    name: str
    trusted_types: tuple[str, ...] = ()
    signer: Signer = msgspec.field(default_factory=unsigned)
    resolve: Callable[[str], ModelVersion] | None = None
    load: Callable[[str], Predictor] | None = None
    example_of: Callable[[ModelVersion], Mapping[str, Any]] | None = None


class ModelKind(msgspec.Struct, frozen=True):
    """One kind of model; each is made once, in its file in `flavors/`, and listed in `flavors/listed.py`.

    Args:
        flavor: The kind, as MLflow names it (`sklearn`).
        takes: What it takes, in words, for the error that lists all kinds (`a fitted scikit-learn estimator`).
        recognises: Whether a model is of this kind; looks at its type's names only, and imports nothing.
        package: Return a model as files, given its example (None where there is none). Bad models (not fitted, no
            `predict`, of types that cannot be written) raise `InvalidInput`, examples that do not fit `SchemaMismatch`,
            libraries that are not there `MissingExtra`; nothing has been written then.
    """

    flavor: str
    takes: str
    recognises: Callable[[Any], bool]
    package: Callable[[Any, Any, Options], Package]


def type_names(model: Any) -> frozenset[str]:
    """Return the full names of an object's class and of all its bases.

    Example:
        >>> sorted(type_names(True))
        ['builtins.bool', 'builtins.int', 'builtins.object']
    """
    return frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__)


def comes_from(model: Any, library: str) -> bool:
    """Whether an object's class, or one of its bases, is defined in a library.

    Example:
        >>> comes_from(True, "builtins")
        True
    """
    return any(kind.__module__.partition(".")[0] == library for kind in type(model).__mro__)


def first_that_takes(kinds: Sequence[ModelKind], model: Any) -> ModelKind | None:
    """Return the first kind that recognises a model, or None."""
    return next((kind for kind in kinds if kind.recognises(model)), None)
