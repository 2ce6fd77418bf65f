"""Answer by asking other models, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from interlock.core.blame import blame
from interlock.core.errors import Corrupt, InterlockError, NotFound, StepFailed
from interlock.core.model_graphs import Node, evaluate, members
from interlock.core.python_models import answering, read_model
from interlock.core.schema import ColumnType, Signature
from interlock.core.signing import Signer, unsigned
from interlock.ports.model_runtime import ModelRuntime, Predictor

GRAPH_FILE = "graph.json"

_decode = msgspec.json.Decoder(Node).decode
_DTYPES: Mapping[ColumnType, Any] = {"double": np.float64, "long": np.int64, "boolean": np.bool_}


class Member(Protocol):
    """A loaded version, as a loader gives it."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    @property
    def predictor(self) -> Predictor:
        """What answers."""


class GraphRuntime(ModelRuntime):
    """Loads `graph.json`, and the versions that it names with whatever engine each was registered for.

    Args:
        load: Loads the version of a Ref.
        signer: Knows this workspace's signatures, for combining functions.
    """

    def __init__(self, load: Callable[[str], Member] | None = None, signer: Signer | None = None) -> None:
        self._load = load or _no_members
        self._signer = signer or unsigned()

    @property
    def engine(self) -> str:
        return "graph"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        path = folder / GRAPH_FILE
        try:
            node = _decode(path.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error)[:300], fix="interlock verify") from error
        functions: list[Callable[..., Any]] = []
        while (written := folder / f"combine_{len(functions)}.signed").is_file():
            functions.append(answering(read_model(written.read_bytes(), self._signer)[1]))
        return GraphPredictor(node, {ref: self._load(ref) for ref in members(node)}, functions, signature)


class GraphPredictor(Predictor):
    """One graph with its members in memory."""

    def __init__(
        self,
        node: Any,
        loaded: Mapping[str, Member],
        functions: Sequence[Callable[..., Any]],
        signature: Signature,
    ) -> None:
        self._node = node
        self._names = signature.input_names
        self._outputs = signature.outputs
        self._functions = functions
        self._members = {
            ref: (member.signature.input_names, member.predictor.predict) for ref, member in loaded.items()
        }

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        named = dict(zip(self._names, columns, strict=True))
        try:
            answers = evaluate(self._node, named, rows=rows, ask=self._ask, functions=self._functions)
        except InterlockError:
            raise
        except Exception as error:  # noqa: BLE001 (a combining function is user code and may raise anything)
            raise StepFailed("the function that combines the answers failed", why=blame(error)) from error
        try:
            return {column.name: _array(answers[column.name], column.type) for column in self._outputs}
        except (KeyError, TypeError, ValueError) as error:
            raise StepFailed(
                "the combined answers do not fit the signature", why=blame(error), fix="register the graph again"
            ) from error

    def _ask(self, ref: str, columns: Mapping[str, Sequence[Any]], rows: int) -> Mapping[str, Any]:
        names, predict = self._members[ref]
        return predict([columns[name] for name in names], rows=rows)


def _array(values: Any, kind: ColumnType) -> Any:
    if kind in _DTYPES:
        return np.asarray(values, _DTYPES[kind])
    if isinstance(values, np.ndarray):
        return values
    texts = np.empty(len(values), object)
    texts[:] = values
    return texts


def _no_members(ref: str) -> Member:
    raise NotFound(f"the member {ref} cannot be loaded", why="this runtime was made without a loader")
