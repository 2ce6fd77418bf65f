"""Record what statsmodels fits: the figures of the fit, and its summary."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed, written
from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded

NAME = "statsmodels"
MODULES = ("statsmodels.base.model",)
_MODEL = "model.statsmodels"
_FIGURES = (
    *("aic", "bic", "hqic", "llf", "rsquared", "rsquared_adj", "prsquared", "fvalue", "f_pvalue", "llr_pvalue"),
    *("mse_model", "mse_resid", "mse_total", "ess", "ssr", "centered_tss", "condition_number", "deviance", "scale"),
    *("nobs", "df_model", "df_resid", "pearson_chi2", "sse"),
)


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `fit` of every model there is and will be."""

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        model = args[0]

        def before(session: Session) -> None:
            session.log_params({"model": type(model).__name__, "formula": getattr(model, "formula", None)})
            session.log_params(kwargs)
            session.log_data(getattr(model.data, "orig_exog", None), getattr(model.data, "orig_endog", None))

        def after(session: Session, results: Any) -> None:
            _log_results(session, results)
            session.log_model(lambda: _files(results))

        return recorded(
            NAME,
            options,
            title=lambda: type(model).__name__,
            train=lambda: original(*args, **kwargs),
            before=before,
            after=after,
        )

    for name in ("fit", "fit_regularized"):
        patches.wrap_family(module.Model, name, fit, unless=lambda cls: False)


def _log_results(session: Session, results: Any) -> None:
    figures: dict[str, float] = {}
    for name in _FIGURES:
        with quietly(NAME):
            value = getattr(results, name, None)
            if value is not None and not callable(value) and math.isfinite(float(value)):
                figures[name] = float(value)
    session.run.log_metrics(figures)
    with quietly(NAME):
        names = [str(name) for name in results.model.exog_names]
        columns = {name: list(map(float, getattr(results, name))) for name in ("params", "bse", "pvalues")}
        low, high = (
            zip(*results.conf_int().tolist(), strict=True)
            if not hasattr(results.conf_int(), "iloc")
            else (
                results.conf_int().iloc[:, 0].tolist(),
                results.conf_int().iloc[:, 1].tolist(),
            )
        )
        session.run.log_table("coefficients", {"name": names, **columns, "low": list(low), "high": list(high)})
    with quietly(NAME):
        session.run.log_text(str(results.summary()), "summary.txt")


def _files(results: Any) -> ModelFiles:
    flavor = {"statsmodels_version": installed("statsmodels"), "data": _MODEL, "code": None}
    function = {"loader_module": "mlflow.statsmodels", "data": _MODEL}
    files = {_MODEL: written(results.save, _MODEL)}
    needs = ("statsmodels", "numpy", "scipy", "pandas")
    return ModelFiles(files, {"statsmodels": flavor, "python_function": function}, needs)
