"""MLflow: a folder that it saved, taken apart into our own kinds where that needs no code of the folder's own.

scikit-learn written by skops, XGBoost, LightGBM, CatBoost and ONNX are read from their own files, without MLflow.
Anything else holds pickles or Python code: it is taken only from somebody who says `trusted_types=["pickle"]`, and
then unpickled where we have its kind, or served through the installed MLflow.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.blame import blame
from interlock.core.errors import (
    InvalidInput,
    LimitExceeded,
    MissingExtra,
    NotFound,
    Refused,
    StepFailed,
    missing_extra,
)
from interlock.core.inert_types import TRUSTED_TYPES
from interlock.core.libraries import distribution_of
from interlock.core.model_answers import answer_columns
from interlock.core.schema import Signature
from interlock.core.signed_folders import INSIDE, SIGNATURE_FILE, sign_folder
from interlock.registry.flavors.catboost import CATBOOST
from interlock.registry.flavors.lightgbm import LIGHTGBM
from interlock.registry.flavors.onnx import ONNX
from interlock.registry.flavors.python import COMPARED_ROWS, output_column
from interlock.registry.flavors.sklearn import SKLEARN
from interlock.registry.flavors.statsmodels import STATSMODELS
from interlock.registry.flavors.xgboost import XGBOOST
from interlock.registry.kinds import Form, ModelKind, Options, Package
from interlock.registry.mlmodel import LARGEST_BYTES, MLMODEL
from interlock.registry.signatures import example_table, input_columns, plain_columns
from interlock.registry.yaml_reading import read_section

PICKLE = "pickle"
"""What somebody trusts who lets a folder run the code that is in it."""

MOST_BYTES = 4 * 1024**3
_GENERIC = "python_function"
_LIGHTGBM_TYPES = (
    "collections.OrderedDict",
    "collections.defaultdict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRanker",
    "lightgbm.sklearn.LGBMRegressor",
)
"""Inert types of LightGBM's estimators, which MLflow writes by skops."""

Flavor = Mapping[str, Any]


def _package(model: Any, example: Any, options: Options) -> Package:
    folder = Path(model)
    flavors, saved_example = _described(folder)
    names = [name for name in flavors if name != _GENERIC]
    given = example if example is not None else saved_example
    for name in names:
        if name in _READERS:
            package = _READERS[name](folder, flavors[name], given, options)
            if package is not None:
                return msgspec.structs.replace(package, facts={**package.facts, "from_mlflow": name})
    return _through_mlflow(folder, names[0] if names else _GENERIC, given, options)


def _described(folder: Path) -> tuple[dict[str, Any], Any]:
    """Return the flavors of a folder, and its example rows if it has some.

    Raises:
        NotFound: There is no such folder, or it holds no model.
        InvalidInput: Its description cannot be read.
    """
    path = folder / MLMODEL
    if not path.is_file():
        raise NotFound(
            f"{folder} holds no model",
            why=f"expected a folder with a file {MLMODEL}" if folder.is_dir() else "there is no such folder",
            fix="mlflow.sklearn.save_model(model, 'folder'), or pass the fitted model itself",
        )
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise LimitExceeded("it is too large", why=f"the limit is {LARGEST_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        flavors, info = read_section(text, "flavors"), read_section(text, "saved_input_example_info")
    except (UnicodeDecodeError, InvalidInput, LimitExceeded) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error).partition("\n")[0][:300]) from error
    if not isinstance(flavors, dict) or not flavors or not all(isinstance(one, dict) for one in flavors.values()):
        raise InvalidInput(f"{path} names no flavor", why="MLflow writes how a model is loaded under `flavors`")
    return flavors, _saved_example(folder, info)


def _saved_example(folder: Path, info: Any) -> Any:
    """Return the example that was saved with a model, as columns; None where it has none that is a table."""
    if not isinstance(info, dict) or info.get("type") != "dataframe":
        return None
    path = _inside(folder, info.get("artifact_path"))
    try:
        said = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        columns, rows = said["columns"], said["data"]
        return {str(name): [row[at] for row in rows] for at, name in enumerate(columns)}
    except (OSError, msgspec.DecodeError, KeyError, IndexError, TypeError):
        return None


def _inside(folder: Path, name: Any) -> Path:
    """Return a file of a folder by the name that its description gives it.

    Raises:
        Refused: The name leads out of the folder.
    """
    path = folder / str(name or "")
    if not isinstance(name, str) or not name or not path.resolve().is_relative_to(folder.resolve()):
        raise Refused(
            f"the {MLMODEL} file names '{str(name)[:100]}'",
            why="the files of a model lie in its own folder",
            fix="save the model again with MLflow",
        )
    return path


def _require_trust(flavor: str, what: str, options: Options) -> None:
    if PICKLE not in options.trusted_types:
        raise Refused(
            f"the {flavor} model is {what}, which runs whatever code is in it when it is read",
            why="nobody said that this folder is trusted",
            fix='register(..., trusted_types=["pickle"]) if you know who made it, or save it without pickle',
        )


def _sklearn(folder: Path, flavor: Flavor, example: Any, options: Options) -> Package | None:
    path = _inside(folder, flavor.get("pickled_model"))
    rest = _without_pickle(options)
    if flavor.get("serialization_format") == "skops":
        return SKLEARN.package(_from_skops(path, rest.trusted_types), example, rest)
    return SKLEARN.package(_unpickled(path, "sklearn", options), example, rest)


def _from_skops(path: Path, trusted_types: Iterable[str]) -> Any:
    """Return what skops wrote, if it holds nothing but types that are known to be inert or are trusted by name."""
    try:
        import skops.io
    except ImportError as error:
        raise missing_extra("skops", extra="sklearn", purpose="reading this MLflow model") from error
    trusted = TRUSTED_TYPES | set(trusted_types)
    try:
        data = path.read_bytes()
        if unknown := sorted(set(skops.io.get_untrusted_types(data=data)) - trusted):
            raise Refused(
                f"{path.name} holds types that are not trusted: {', '.join(unknown)}",
                why="loading an unknown type could run its code",
                fix=f"register(..., trusted_types={unknown})",
            )
        return skops.io.loads(data, trusted=sorted(trusted))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error).partition("\n")[0][:300]) from error


def _unpickled(path: Path, flavor: str, options: Options) -> Any:
    """Return what a pickle holds, for somebody who trusts it."""
    _require_trust(flavor, "a pickle", options)
    import cloudpickle

    try:
        with path.open("rb") as file:
            return cloudpickle.load(file)
    except ImportError as error:
        raise MissingExtra("the model needs a library that is not installed here", why=blame(error)) from error
    except Exception as error:  # noqa: BLE001 (a pickle runs code, which may raise anything)
        raise InvalidInput(f"{path} cannot be unpickled", why=blame(error)) from error


def _xgboost(folder: Path, flavor: Flavor, example: Any, options: Options) -> Package | None:
    path = _inside(folder, flavor.get("data"))
    if path.suffix not in (".xgb", ".ubj", ".json"):
        return None
    try:
        import xgboost
    except ImportError as error:
        raise missing_extra("xgboost", extra="xgboost", purpose="reading this MLflow model") from error
    # an estimator knows its classes, a Booster does not; the name is looked up among XGBoost's own
    name = str(flavor.get("model_class") or "").rpartition(".")[2]
    kinds = ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
    model = getattr(xgboost, name)() if name in kinds else xgboost.Booster()
    try:
        model.load_model(path)
    except (xgboost.core.XGBoostError, ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error).partition("\n")[0][:300]) from error
    return XGBOOST.package(model, example, options)


def _lightgbm(folder: Path, flavor: Flavor, example: Any, options: Options) -> Package | None:
    path = _inside(folder, flavor.get("data"))
    if path.suffix == ".skops":
        return LIGHTGBM.package(_from_skops(path, _LIGHTGBM_TYPES), example, _without_pickle(options))
    if path.suffix in (".pkl", ".pickle"):
        return LIGHTGBM.package(_unpickled(path, "lightgbm", options), example, _without_pickle(options))
    try:
        import lightgbm
    except ImportError as error:
        raise missing_extra("lightgbm", extra="lightgbm", purpose="reading this MLflow model") from error
    try:
        model = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error).partition("\n")[0][:300]) from error
    return LIGHTGBM.package(model, example, options)


def _catboost(folder: Path, flavor: Flavor, example: Any, options: Options) -> Package | None:
    path = _inside(folder, flavor.get("data"))
    try:
        import catboost
    except ImportError as error:
        raise missing_extra("catboost", extra="catboost", purpose="reading this MLflow model") from error
    name = str(flavor.get("model_type") or "CatBoost")
    model = getattr(catboost, name if name in ("CatBoostClassifier", "CatBoostRegressor") else "CatBoost")()
    try:
        model.load_model(str(path), format=str(flavor.get("save_format") or "cbm"))
    except catboost.CatBoostError as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error).partition("\n")[0][:300]) from error
    return CATBOOST.package(model, example, options)


def _onnx(folder: Path, flavor: Flavor, example: Any, options: Options) -> Package | None:
    return ONNX.package(_inside(folder, flavor.get("data")), example, options)


def _statsmodels(folder: Path, flavor: Flavor, example: Any, options: Options) -> Package | None:
    model = _unpickled(_inside(folder, flavor.get("data")), "statsmodels", options)
    return STATSMODELS.package(model, example, _without_pickle(options))


def _without_pickle(options: Options) -> Options:
    return msgspec.structs.replace(options, trusted_types=tuple(one for one in options.trusted_types if one != PICKLE))


_READERS: Mapping[str, Callable[[Path, Flavor, Any, Options], Package | None]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "onnx": _onnx,
    "statsmodels": _statsmodels,
}


def _through_mlflow(folder: Path, flavor: str, example: Any, options: Options) -> Package:
    """Package a whole folder, to be loaded by MLflow where it is served."""
    _require_trust(flavor, "loaded by code of its own", options)
    try:
        import mlflow.pyfunc
    except ImportError as error:
        raise MissingExtra(
            f"the {flavor} model of {folder.name} can be loaded by MLflow only",
            why="mlflow is not installed in this environment",
            fix="pip install mlflow, and what the folder's requirements.txt names",
        ) from error
    files = dict(_files(folder))
    table = example_table(example, None)
    columns = input_columns(table)
    first = table.slice(0, COMPARED_ROWS)
    try:
        answer = mlflow.pyfunc.load_model(str(folder)).predict(first.to_pandas())
    except ImportError as error:
        raise MissingExtra(
            "the MLflow model needs a library that is not installed here",
            why=blame(error),
            fix=f"pip install -r {folder / 'requirements.txt'}",
        ) from error
    except Exception as error:  # noqa: BLE001 (its own code runs here and may raise anything)
        raise StepFailed(f"the {flavor} model fails on its example", why=blame(error)) from error
    answers = answer_columns(answer, rows=first.num_rows)
    outputs = tuple(output_column(name, values) for name, values in answers.items())
    libraries = ["mlflow", "pandas", *(name for name in [flavor] if distribution_of(name) is not None)]
    return Package(
        flavor=flavor,
        title=f"MLflow {flavor}",
        signature=Signature(columns, outputs),
        example=plain_columns(table, columns),
        expected={column.name: answers[column.name] for column in outputs},
        native=(
            Form(
                engine="mlflow",
                title="MLflow",
                files={
                    SIGNATURE_FILE: sign_folder(files, options.signer),
                    **{f"{INSIDE}/{path}": data for path, data in files.items()},
                },
                libraries=tuple(libraries),
                flavors={"interlock_mlflow": {"data": INSIDE, "flavor": flavor}},
            ),
        ),
        is_probed=False,
        facts={"from_mlflow": flavor, "may_block": True},
    )


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder by path; what leads out of it is refused.

    Raises:
        LimitExceeded: They are too large together.
    """
    size = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        _inside(folder, path.relative_to(folder).as_posix())
        size += path.stat().st_size
        if size > MOST_BYTES:
            raise LimitExceeded(f"{folder} is too large", why=f"at most {MOST_BYTES} bytes are taken")
        yield path.relative_to(folder).as_posix(), path.read_bytes()


MLFLOW = ModelKind(
    flavor=_GENERIC,
    takes="the path of a folder that MLflow saved",
    recognises=lambda model: isinstance(model, (str, os.PathLike)) and Path(model).suffix != ".onnx",
    package=_package,
)
