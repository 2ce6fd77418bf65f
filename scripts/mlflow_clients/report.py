"""Writes verdicts as lines, as a table and as the page of the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .comparing import Verdict

_SHOWN = 400
_TRAININGS = {
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "statsmodels": "statsmodels",
    "keras": "Keras",
    "pytorch": "torch",
    "lightning": "Lightning",
}


def cell(one: Verdict) -> str:
    """Say how a step went, in a few words."""
    if one.unavailable and one.is_good:
        return f"ends alike ({one.same})"
    if one.is_good:
        return f"{one.same}" + (f" + {one.better}" if one.better else "")
    return f"{len(one.differences)} differ" if one.differences else "fails"


def line(one: Verdict) -> str:
    """Tell of one step in one line."""
    word = "ok  " if one.is_good else "LOST"
    return f"{word} {one.version:8} {one.step:12} {cell(one):22} {one.mlflow_s:7.1f} s {one.interlock_s:7.1f} s"


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the steps by the versions, in Markdown."""
    versions = list(dict.fromkeys(one.version for one in verdicts))
    known = {(one.step, one.version): one for one in verdicts}
    lines = [f"| step | {' | '.join(versions)} |", f"|---|{'---:|' * len(versions)}"]
    for step in dict.fromkeys(one.step for one in verdicts):
        cells = [cell(known[step, version]) if (step, version) in known else "" for version in versions]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def what_differs(verdicts: Sequence[Verdict]) -> str:
    """Tell every difference, and every step that ended early."""
    lines = []
    for one in verdicts:
        for name, why in (("fails", one.error), ("ends early on MLflow's own store too", one.unavailable)):
            if why:
                lines.append(f"{one.version} {one.step} {name}: {why}")
        for difference in one.differences:
            lines.append(f"{one.version} {one.step} · {difference.fact}")
            lines.append(f"    mlflow    {str(difference.mlflow)[:_SHOWN]}")
            lines.append(f"    interlock {str(difference.interlock)[:_SHOWN]}")
    return "\n".join(lines)


def page(verdicts: Sequence[Verdict], facts: Mapping[str, Any]) -> str:
    """Write the page of the documentation."""
    good, facts_same = sum(one.is_good for one in verdicts), sum(one.same for one in verdicts)
    used: Mapping[str, str] = facts["libraries"]
    names = {**_TRAININGS, "pytorch": "torch", "sklearn": "scikit-learn"}
    libraries = ", ".join(f"{name} {used[name.lower()]}" for name in names.values() if name.lower() in used)
    text = f"""# MLflow's clients, measured

Unmodified `mlflow` packages do the same work twice: once on MLflow's own store (`sqlite:///`, in their own process) and
once on a fresh `interlock up`, with nothing changed but the address. Whatever they then read back is compared fact by
fact: each param, metric with its whole series, tag, file, dataset, flavour, signature, input example and prediction.

```sh
python -m scripts.mlflow_clients --page
```

Measured on {facts["date"]} with Interlock {facts["interlock"]}: **{good} of {len(verdicts)} steps lose nothing**,
{facts_same:,} facts are the same. Libraries: {libraries}.

A cell holds how many facts are the same, and after a `+` how many Interlock has right where MLflow has not; an empty
one was not run. The libraries are driven with the newest client, scikit-learn with all. What each step does is in
`scripts/mlflow_clients/inside/`.

{table(verdicts)}"""
    better = sorted({one.step for one in verdicts if one.better})
    if better:
        text += "\nWhat Interlock has right: `inf` and `-inf` come back as such; MLflow's store makes them 1.797e308.\n"
    early = sorted({f"{one.step}: `{one.unavailable[:160]}`" for one in verdicts if one.unavailable})
    if early:
        text += "\nSteps that end early on MLflow's own store too, and alike here:\n\n" + "".join(
            f"- {one}\n" for one in early
        )
    lost = what_differs([one for one in verdicts if not one.is_good])
    return text + (f"\n## What is lost\n\n```text\n{lost}\n```\n" if lost else "")
