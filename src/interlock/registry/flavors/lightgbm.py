"""LightGBM: its estimators and its Booster, in its own text."""

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
from interlock.registry.packaging import installed

MODEL_FILE = "model.lgb"
_BOOSTER, _ESTIMATOR = "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMModel"


def _package(model: Any, example: Any, options: Options) -> Package:
    title = type(model).__name__
    is_booster = _BOOSTER in type_names(model)
    booster = model if is_booster else fitted_booster(model)
    text: str = booster.model_to_string()
    if "\npandas_categorical:null" not in text and "\npandas_categorical:[]" not in text:
        raise InvalidInput(
            f"the {title} was fitted on categories of pandas",
            why="which number stands for which category is not part of what LightGBM itself reads",
            fix="fit a Pipeline whose first step is an OrdinalEncoder(), or name categorical_feature by number",
        )
    numbers = numbers_of(example, _names(booster, example), "LightGBM")
    classes: list[Any] | None = None
    if hasattr(model, "predict_proba"):
        labels = model.classes_
        check_labels(labels, title)
        classes = labels.tolist()
        outputs = class_columns(labels)
        # the estimator would warn of names that a matrix lacks, and says the same as its booster
        shares = booster.predict(numbers.matrix)
        shares = shares if shares.ndim == 2 else shares.reshape(-1, 1)
        said = labels[shares.argmax(axis=1)] if shares.shape[1] > 1 else labels[(shares[:, 0] > 0.5).astype(int)]
        expected = class_values(shares, said, outputs)
    else:
        predicted = booster.predict(numbers.matrix)
        outputs = prediction_columns(predicted)
        expected = prediction_values(predicted, outputs)

    def read() -> Any:
        import treelite

        return treelite.frontend.from_lightgbm(booster)

    return Package(
        flavor="lightgbm",
        title=title,
        signature=Signature(numbers.columns, outputs),
        example=numbers.plain,
        expected=expected,
        native=(
            Form(
                engine="lightgbm",
                title="LightGBM",
                files={MODEL_FILE: text.encode()},
                settings={} if classes is None else {"classes": classes},
                libraries=("lightgbm", "numpy"),
                flavors=native_flavors(
                    "lightgbm", data=MODEL_FILE, lgb_version=installed("lightgbm"), model_class="lightgbm.basic.Booster"
                ),
            ),
        ),
        compilers=(tree_forms(read, classes),),
    )


def fitted_booster(model: Any) -> Any:
    """Return the trees of an estimator.

    Raises:
        InvalidInput: It is not fitted.
    """
    from sklearn.exceptions import NotFittedError

    try:
        return model.booster_
    except NotFittedError as error:
        raise InvalidInput(
            f"the {type(model).__name__} is not fitted",
            why="only a fitted model can be registered",
            fix="model.fit(X, y)",
        ) from error


def _names(booster: Any, example: Any) -> list[str] | None:
    """Return the columns that it was fitted on, as the example calls them; None where they are only numbered."""
    names: list[str] = booster.feature_name()
    if names == [f"Column_{at}" for at in range(len(names))]:
        return None
    # LightGBM writes blanks in names as underscores
    given = [str(name) for name in getattr(example, "columns", getattr(example, "column_names", names))]
    known = {name.replace(" ", "_"): name for name in given}
    return [known.get(name, name) for name in names]


LIGHTGBM = ModelKind(
    flavor="lightgbm",
    takes="a LightGBM estimator or Booster",
    recognises=lambda model: not {_BOOSTER, _ESTIMATOR}.isdisjoint(type_names(model)),
    package=_package,
)
