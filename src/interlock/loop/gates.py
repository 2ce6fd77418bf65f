"""Judge a candidate against the champion on held-back data: overall, per slice, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.ids import new_id
from interlock.loop.ground import Ground
from interlock.monitoring.auc import Difference, delong, delong_paired
from interlock.monitoring.intervals import Interval
from interlock.ports.model_store import GateCheck, ModelVersion, Verdict
from interlock.serving.loading import LoadedModel

if TYPE_CHECKING:
    import pyarrow as pa

SCORE = "probability"


class GatePolicy(msgspec.Struct, frozen=True):
    """What a candidate must show.

    Args:
        floor: Least AUC on the held-back data, champion or not.
        margin: The candidate's gain over the champion must, at the interval's lower end, exceed this.
        slice_loss: On no slice may the loss against the champion, at the interval's upper end, exceed this.
        slices: Input columns whose values make the slices.
        level: Confidence level of the intervals.
        min_rows: Slices with fewer rows are not judged.
    """

    floor: float = 0.6
    margin: float = 0.0
    slice_loss: float = 0.0
    slices: tuple[str, ...] = ()
    level: float = 0.95
    min_rows: int = 300


def judge(
    ground: Ground,
    *,
    candidate: ModelVersion,
    champion: ModelVersion | None,
    table: pa.Table,
    label: str,
    policy: GatePolicy,
    data: str | None = None,
) -> Verdict:
    """Score both models on the same held-back rows, check every rule, and record the verdict.

    Args:
        ground: The workspace.
        candidate: The version that wants to take over.
        champion: The version it must beat, if there is one.
        table: Held-back rows that neither model was trained on; shape (rows, inputs + label).
        label: The column with what proved true, 0 or 1.
        policy: The rules.
        data: Ref of the snapshot that holds the rows.

    Raises:
        InvalidInput: The label column is missing or has one class only.
        SchemaMismatch: An input column of a model is missing.
    """
    truth = _truth(table, label)
    scores = score_table(ground.load_model(candidate.ref), table)
    checks = [_floor_check(truth, scores, policy)]
    if champion is not None:
        rival = score_table(ground.load_model(champion.ref), table)
        checks.append(_gain_check(truth, scores, rival, policy))
        checks += _slice_checks(table, truth, scores, rival, policy)
    failed = [check for check in checks if not check.passed]
    verdict = Verdict(
        id=new_id(),
        model=candidate.model,
        candidate=candidate.ref,
        champion=champion.ref if champion else None,
        passed=not failed,
        checks=tuple(checks),
        reason=failed[0].detail if failed else checks[min(1, len(checks) - 1)].detail,
        data=data,
        created_at=ground.clock.now(),
    )
    return ground.stores.models.add_verdict(verdict)


def score_table(model: LoadedModel, table: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the score of every row; shape (rows,).

    Raises:
        SchemaMismatch: The table lacks an input column of the model.
    """
    columns = []
    for column in model.signature.inputs:
        if column.name not in table.column_names:
            raise SchemaMismatch(
                f"the table has no column '{column.name}'",
                why=f"{model.ref} takes it; {did_you_mean(column.name, table.column_names)}",
            )
        values = table.column(column.name)
        columns.append(
            values.to_pylist() if column.type == "string" else values.cast("float64").to_numpy(zero_copy_only=False)
        )
    return np.asarray(model.predictor.predict(columns, rows=table.num_rows)[SCORE], dtype=np.float64)


def checked(
    name: str, figure: Interval | Difference, *, threshold: float, passed: bool, told: str, failing: str
) -> GateCheck:
    """Return a rule's outcome around a figure; `told` says what was seen, `failing` goes on with what was wrong."""
    return GateCheck(
        name=name,
        passed=passed,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        threshold=threshold,
        detail=told if passed else told + failing,
    )


def _truth(table: pa.Table, label: str) -> np.ndarray[Any, np.dtype[np.int8]]:
    if label not in table.column_names:
        raise InvalidInput(
            f"the held-back table has no label column '{label}'", why=did_you_mean(label, table.column_names)
        )
    truth = np.asarray(table.column(label).cast("int8").to_numpy(zero_copy_only=False), dtype=np.int8)
    if len(set(truth.tolist())) < 2:
        raise InvalidInput(
            "the held-back rows show one class only",
            why=f"column '{label}' is constant over {len(truth)} rows",
            fix="hold back a longer period",
        )
    return truth


def _floor_check(truth: Any, scores: Any, policy: GatePolicy) -> GateCheck:
    interval = delong(truth, scores, level=policy.level)
    assert interval is not None
    return checked(
        "auc",
        interval,
        threshold=policy.floor,
        passed=interval.low >= policy.floor,
        told=f"AUC {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}] on {len(truth):,} held-back rows",
        failing=f" does not reach the floor of {policy.floor:.3f}",
    )


def _gain_check(truth: Any, scores: Any, rival: Any, policy: GatePolicy) -> GateCheck:
    gain = delong_paired(truth, scores, rival, level=policy.level)
    assert gain is not None
    return checked(
        "auc gain over champion",
        gain,
        threshold=policy.margin,
        passed=gain.low > policy.margin,
        told=f"AUC gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] on {len(truth):,} held-back rows",
        failing=f" is not surely above {policy.margin:+.4f}",
    )


def _slice_checks(table: pa.Table, truth: Any, scores: Any, rival: Any, policy: GatePolicy) -> list[GateCheck]:
    checks = []
    for column in policy.slices:
        values = np.asarray(table.column(column).to_pylist(), dtype=object)
        for value in sorted({str(one) for one in values}):
            chosen = np.array([str(one) == value for one in values])
            name = f"auc gain where {column}={value}"
            check = _slice_check(name, truth[chosen], scores[chosen], rival[chosen], policy)
            if check is not None:
                checks.append(check)
    return checks


def _slice_check(name: str, truth: Sequence[int], scores: Any, rival: Any, policy: GatePolicy) -> GateCheck | None:
    if len(truth) < policy.min_rows:
        return None
    gain = delong_paired(truth, scores, rival, level=policy.level)
    if gain is None:
        return None
    return checked(
        name,
        gain,
        threshold=-policy.slice_loss,
        passed=gain.high >= -policy.slice_loss,
        told=f"{name}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] on {len(truth):,} rows",
        failing=f" loses more than {policy.slice_loss:.4f}",
    )
