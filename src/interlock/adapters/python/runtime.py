"""Answer with Python code that travelled with its model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.adapters.python.handing import array_of, handing
from interlock.core.blame import blame
from interlock.core.errors import Corrupt, InterlockError, InvalidInput, StepFailed
from interlock.core.model_answers import answer_columns, joined
from interlock.core.python_models import MODEL_FILE, Head, answering, read_model
from interlock.core.schema import Signature
from interlock.core.signing import Signer, unsigned
from interlock.ports.model_runtime import ModelRuntime, Predictor, StreamingPredictor


class PythonRuntime(ModelRuntime):
    """Loads `model.signed`, whose code runs in this process; a file that this workspace did not sign is refused.

    Args:
        signer: Knows this workspace's signatures; without one everything is refused.
    """

    def __init__(self, signer: Signer | None = None) -> None:
        self._signer = signer or unsigned()

    @property
    def engine(self) -> str:
        return "python"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        path = folder / MODEL_FILE
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Corrupt(f"cannot load {path}", why=str(error), fix="interlock verify") from error
        head, model = read_model(data, self._signer)
        kind = StreamingPythonPredictor if head.streams else PythonPredictor
        return kind(answering(model), head, signature)


class PythonPredictor(Predictor):
    """One loaded function.

    What it raises is told by its type and line: a `ValueError` says that the rows are bad, anything else that the model
    failed. As thread-safe as the function is.
    """

    def __init__(self, function: Callable[..., Any], head: Head, signature: Signature) -> None:
        self._function = function
        self._hand = handing(head.takes, signature)
        self._row_by_row = head.takes == "row"
        self._signature = signature

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        with _Watched():
            if self._row_by_row:
                answer: Any = [self._function(row) for row in self._hand(columns, rows)]
            else:
                answer = self._function(self._hand(columns, rows))
        return self._checked(answer, rows)

    def _checked(self, answer: Any, rows: int) -> dict[str, Any]:
        """Return an answer as arrays of the signature's types.

        Raises:
            StepFailed: It has another length, other columns, or values of another type.
        """
        try:
            found = answer_columns(answer, rows=rows)
            return {column.name: array_of(found, column) for column in self._signature.outputs}
        except InvalidInput as error:
            raise StepFailed(error.what, why=error.why, fix=error.fix) from error


class StreamingPythonPredictor(PythonPredictor, StreamingPredictor):
    """One loaded generator function; it is asked row by row."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        wholes = [joined(list(self._parts([values[row : row + 1] for values in columns]))) for row in range(rows)]
        return self._checked(wholes, rows)

    def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
        if rows != 1:
            raise InvalidInput(f"{rows} rows cannot be streamed at once", why="expected one row in each stream")
        yield from self._parts(columns)

    def _parts(self, columns: Sequence[Any]) -> Iterator[dict[str, Any]]:
        with _Watched():
            handed = self._hand(columns, 1)
            made = self._function(handed[0] if self._row_by_row else handed)
        known = {column.name for column in self._signature.outputs}
        try:
            while True:
                with _Watched():
                    part = next(made, _END)
                if part is _END:
                    return
                if not isinstance(part, Mapping):
                    part = {self._signature.outputs[0].name: part}
                if unknown := part.keys() - known:
                    raise StepFailed(
                        f"the model yields '{sorted(unknown)[0]}', which is not in its signature",
                        why=f"its outputs are {', '.join(sorted(known))}",
                        fix="register it with an example for which it yields every output",
                    )
                yield {name: value.item() if hasattr(value, "item") else value for name, value in part.items()}
        finally:
            # whoever stops listening stops the model
            made.close()


_END = object()


class _Watched:
    """Turns what user code raises into an error that names its type and line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None or isinstance(error, (InterlockError, KeyboardInterrupt, GeneratorExit)):
            return
        if isinstance(error, ValueError):
            raise InvalidInput("the model refused the rows", why=blame(error)) from error
        raise StepFailed(
            "the model failed", why=blame(error), fix="raise ValueError in it for rows that it cannot take"
        ) from error
