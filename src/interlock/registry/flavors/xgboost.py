"""XGBoost: its estimators and its Booster, in its own binary JSON."""

from __future__ import annotations

from typing import Any

from interlock.core.errors import InvalidInput
from interlock.core.schema import Signature
from interlock.registry.boosting import (
    check_labels,
    class_columns,
    class_values,
    numbers_of,
    prediction_columns,
    prediction_values,
    tree_forms,
)
from interlock.registry.kinds import Form, ModelKind, Options, Package, type_names
from interlock.registry.mlflow_flavors import native_flavors

MODEL_FILE = "model.ubj"
_BOOSTER, _ESTIMATOR = "xgboost.core.Booster", "xgboost.sklearn.XGBModel"


def _package(model: Any, example: Any, options: Options) -> Package:
    title = type(model).__name__
    is_booster = _BOOSTER in type_names(model)
    booster = model if is_booster else fitted_booster(model)
    numbers = numbers_of(example, booster.feature_names, "XGBoost")
    missing = float("nan") if is_booster or model.missing is None else float(model.missing)
    classes: list[Any] | None = None
    if hasattr(model, "predict_proba"):
        labels = model.classes_
        check_labels(labels, title)
        classes = labels.tolist()
        outputs = class_columns(labels)
        expected = class_values(model.predict_proba(numbers.matrix), model.predict(numbers.matrix), outputs)
    else:
        predicted = (
            booster.inplace_predict(numbers.matrix, validate_features=False)
            if is_booster
            else model.predict(numbers.matrix)
        )
        outputs = prediction_columns(predicted)
        expected = prediction_values(predicted, outputs)
    settings = {
        **({} if classes is None else {"classes": classes}),
        **({"missing": missing} if missing == missing else {}),
    }

    def read() -> Any:
        import treelite

        if missing == missing:
            raise ValueError(f"{missing:g} stands for a missing value")
        return treelite.frontend.from_xgboost(booster)

    return Package(
        flavor="xgboost",
        title=title,
        signature=Signature(numbers.columns, outputs),
        example=numbers.plain,
        expected=expected,
        native=(
            Form(
                engine="xgboost",
                title="XGBoost",
                files={MODEL_FILE: bytes(booster.save_raw("ubj"))},
                settings=settings,
                libraries=("xgboost", "xgboost-cpu", "numpy"),
                flavors=native_flavors(
                    "xgboost",
                    data=MODEL_FILE,
                    xgb_version=_version(),
                    model_class=f"{type(model).__module__}.{title}",
                    model_format="ubj",
                ),
            ),
        ),
        compilers=(tree_forms(read, classes),),
    )


def fitted_booster(model: Any) -> Any:
    """Return the trees of an estimator that it answers with: up to its best round, where it stopped early.

    Raises:
        InvalidInput: It is not fitted.
    """
    import xgboost
    from sklearn.exceptions import NotFittedError

    try:
        booster = model.get_booster()
    except (NotFittedError, xgboost.core.XGBoostError) as error:
        raise InvalidInput(
            f"the {type(model).__name__} is not fitted",
            why="only a fitted model can be registered",
            fix="model.fit(X, y)",
        ) from error
    best = getattr(model, "best_iteration", None) if model.early_stopping_rounds else None
    return booster if best is None else booster[: best + 1]


def _version() -> str:
    import xgboost

    return str(xgboost.__version__)


XGBOOST = ModelKind(
    flavor="xgboost",
    takes="an XGBoost estimator or Booster",
    recognises=lambda model: not {_BOOSTER, _ESTIMATOR}.isdisjoint(type_names(model)),
    package=_package,
)
