"""Answer through the installed MLflow, for model folders whose flavor nothing else here loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.adapters.python.handing import array_of, handing
from interlock.core.blame import blame
from interlock.core.errors import InvalidInput, MissingExtra, StepFailed, missing_library
from interlock.core.model_answers import answer_columns
from interlock.core.schema import Signature
from interlock.core.signed_folders import check_folder
from interlock.core.signing import Signer, unsigned
from interlock.ports.model_runtime import ModelRuntime, Predictor


class MlflowRuntime(ModelRuntime):
    """Loads the folder `mlflow` by `mlflow.pyfunc`, which runs whatever code it holds; so it is signed, file by file.

    Args:
        signer: Knows this workspace's signatures; without one everything is refused.
    """

    def __init__(self, signer: Signer | None = None) -> None:
        self._signer = signer or unsigned()

    @property
    def engine(self) -> str:
        return "mlflow"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        inside = check_folder(folder, self._signer)
        try:
            import mlflow.pyfunc
        except ImportError as error:
            raise missing_library("mlflow", purpose="serving this MLflow model") from error
        try:
            model = mlflow.pyfunc.load_model(str(inside))
        except ImportError as error:
            raise MissingExtra(
                "the MLflow model needs a library that is not installed here",
                why=blame(error),
                fix=f"pip install -r {inside / 'requirements.txt'}",
            ) from error
        except Exception as error:  # noqa: BLE001 (its own code runs here and may raise anything)
            raise StepFailed("the MLflow model cannot be loaded", why=blame(error)) from error
        return MlflowPredictor(model, signature)


class MlflowPredictor(Predictor):
    """One loaded folder; it is handed pandas frames."""

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model = model
        self._hand = handing("pandas", signature)
        self._outputs = signature.outputs

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            answer = self._model.predict(self._hand(columns, rows))
        except Exception as error:  # noqa: BLE001 (its own code runs here and may raise anything)
            if isinstance(error, ValueError):
                raise InvalidInput("the model refused the rows", why=blame(error)) from error
            raise StepFailed("the model failed", why=blame(error)) from error
        try:
            found = answer_columns(answer, rows=rows)
            return {column.name: array_of(found, column) for column in self._outputs}
        except InvalidInput as error:
            raise StepFailed(error.what, why=error.why, fix=error.fix) from error
