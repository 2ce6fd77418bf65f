"""Small real trainings, one of each library that MLflow logs by itself; all are the same on every run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from facts import Facts, last_metrics, logged_models, model_facts, plain, run_facts
from mlflow.entities import Run

RNG = np.random.default_rng(11)
ROWS = pd.DataFrame(RNG.normal(size=(200, 4)), columns=["distance", "hour", "wind", "age"])
LATE = pd.Series((ROWS["distance"] + 0.5 * ROWS["wind"] > 0).astype(int), name="late")
MINUTES = pd.Series(3 * ROWS["distance"] - ROWS["hour"] + 0.1 * RNG.normal(size=200), name="minutes")
ARRAY = ROWS.to_numpy(dtype=np.float32)
ANSWERS = LATE.to_numpy(dtype=np.float32).reshape(-1, 1)
THREADS = 1


def sklearn() -> None:
    """Fit a line, a pipeline and a grid search."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    mlflow.sklearn.autolog(log_input_examples=True, log_model_signatures=True)
    with mlflow.start_run(run_name="ridge"):
        model = Ridge(alpha=0.5).fit(ROWS, MINUTES)
        model.score(ROWS[:50], MINUTES[:50])
    make_pipeline(StandardScaler(), LogisticRegression(C=0.3)).fit(ROWS, LATE)
    GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 3]}, cv=3).fit(ROWS, LATE)


def xgboost() -> None:
    """Train through XGBoost's own interface, with early stopping, and through scikit-learn's."""
    import xgboost as xgb

    mlflow.xgboost.autolog(log_input_examples=True)
    matrix, held_out = xgb.DMatrix(ROWS[:150], LATE[:150]), xgb.DMatrix(ROWS[150:], LATE[150:])
    params = {"objective": "binary:logistic", "max_depth": 2, "eta": 0.5, "nthread": THREADS}
    xgb.train(params, matrix, 20, evals=[(held_out, "held_out")], early_stopping_rounds=3, verbose_eval=False)
    model = xgb.XGBRegressor(n_estimators=8, max_depth=2, n_jobs=THREADS)
    model.fit(ROWS, MINUTES, eval_set=[(ROWS[150:], MINUTES[150:])], verbose=False)


def lightgbm() -> None:
    """Train through LightGBM's own interface and through scikit-learn's."""
    import lightgbm as lgb

    mlflow.lightgbm.autolog(log_input_examples=True)
    steady = {"num_threads": THREADS, "deterministic": True, "force_row_wise": True, "verbose": -1, "seed": 1}
    data = lgb.Dataset(ROWS[:150], LATE[:150], free_raw_data=False)
    held_out = lgb.Dataset(ROWS[150:], LATE[150:], reference=data, free_raw_data=False)
    lgb.train({"objective": "binary", "num_leaves": 4, **steady}, data, 10, valid_sets=[held_out])
    lgb.LGBMClassifier(n_estimators=5, num_leaves=4, n_jobs=THREADS, random_state=1, verbose=-1).fit(ROWS, LATE)


def catboost() -> None:
    """Fit a classifier and log it: MLflow has no autologging for CatBoost, so this is what its users write."""
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(iterations=10, depth=2, verbose=0, random_seed=1, thread_count=THREADS)
    model.set_params(allow_writing_files=False)
    with mlflow.start_run(run_name="catboost"):
        model.fit(ROWS[:150], LATE[:150], eval_set=(ROWS[150:], LATE[150:]))
        mlflow.log_params(model.get_params())
        for step, value in enumerate(model.get_evals_result()["validation"]["Logloss"]):
            mlflow.log_metric("logloss", value, step=step)
        signature = mlflow.models.infer_signature(ROWS, model.predict(ROWS))
        mlflow.catboost.log_model(model, name="model", signature=signature, input_example=ROWS.head(3))


def statsmodels() -> None:
    """Fit a line by least squares and by formula."""
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    mlflow.statsmodels.autolog()
    sm.OLS(MINUTES, sm.add_constant(ROWS)).fit()
    smf.logit("late ~ hour + age", data=ROWS.assign(late=LATE)).fit(disp=0)


def keras() -> None:
    """Fit a small network by Keras, on torch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as library

    library.utils.set_random_seed(3)
    mlflow.keras.autolog()
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((4,), name="row"),
            layers.Dense(3, "relu", name="hidden"),
            layers.Dense(1, "sigmoid", name="late"),
        ]
    )
    model.compile(library.optimizers.SGD(0.1, name="sgd"), "binary_crossentropy", metrics=["accuracy"])
    model.fit(ARRAY, ANSWERS, epochs=3, batch_size=50, verbose=0, shuffle=False, validation_split=0.2)


def pytorch() -> None:
    """Train a loop written by hand, which writes for TensorBoard, and log its model."""
    import tempfile

    import torch
    from torch.utils.tensorboard import SummaryWriter

    torch.manual_seed(5)
    torch.set_num_threads(THREADS)
    mlflow.pytorch.autolog(log_every_n_step=1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rows, answers = torch.from_numpy(ARRAY), torch.from_numpy(ANSWERS)
    with mlflow.start_run(run_name="loop"), tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        mlflow.log_params({"lr": 0.1})
        for step in range(5):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(rows), answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            writer.add_scalar("loss", loss.item(), step)
            mlflow.log_metric("own loss", loss.item(), step=step)
        mlflow.pytorch.log_model(model, name="model", input_example=ARRAY[:3])


def lightning() -> None:
    """Train a Lightning module with validation and a checkpoint."""
    import tempfile

    import lightning as library
    import torch

    class Line(library.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, rate: float = 0.1) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, rows: Any) -> Any:
            return self.layer(rows)

        def _loss(self, batch: Any) -> Any:
            return torch.nn.functional.mse_loss(self(batch[0]), batch[1])

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self._loss(batch)
            self.log("train_loss", loss, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", self._loss(batch))

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=self.hparams.rate)

    library.seed_everything(2, verbose=False)
    mlflow.pytorch.autolog(checkpoint=False)
    data = torch.utils.data.TensorDataset(torch.from_numpy(ARRAY), torch.from_numpy(ANSWERS))
    loader = torch.utils.data.DataLoader(data, batch_size=50)
    with tempfile.TemporaryDirectory() as folder:
        trainer = library.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=2,
            default_root_dir=folder,
        )
        trainer.fit(Line(), loader, loader)


LIBRARIES: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (sklearn, xgboost, lightgbm, catboost, statsmodels, keras, pytorch, lightning)
}


def _place(run: Run) -> tuple[bool, Any]:
    """Order runs by their start, and those of a search, which start within one millisecond, by what they tried."""
    is_child = "mlflow.parentRunId" in run.data.tags
    return is_child, plain(run.data.params) if is_child else run.info.start_time


def step_of(library: str) -> Callable[[Facts], None]:
    """Return the step that trains with a library and tells all that was logged."""

    def step(seen: Facts) -> None:
        experiment = mlflow.set_experiment(library).experiment_id
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            LIBRARIES[library]()
        mlflow.flush_artifact_async_logging()
        runs = sorted(mlflow.search_runs([experiment], output_format="list"), key=_place)
        seen["runs"] = len(runs)
        for number, run in enumerate(runs):
            seen |= run_facts(run, f"run {number} ")
        models = logged_models(experiment)
        seen["models"] = len(models)
        for number, model in enumerate(models):
            prefix = f"model {number} "
            values = {key: value for key, value in last_metrics(model).items() if not key.endswith("_time")}
            seen[f"{prefix}logged"] = [str(model.status), plain(model.params), plain(values)]
            seen |= model_facts(model.model_uri, prefix)
            rows = ARRAY[:10] if library in ("keras", "pytorch", "lightning") else ROWS[:10]
            if library != "statsmodels":
                seen[f"{prefix}predicts"] = plain(
                    np.asarray(mlflow.pyfunc.load_model(model.model_uri).predict(rows)).tolist()
                )

    step.__name__ = library
    step.__doc__ = LIBRARIES[library].__doc__
    return step
