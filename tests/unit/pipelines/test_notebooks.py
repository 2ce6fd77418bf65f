"""A whole notebook is a step: its parameters, its outputs, and a key that covers its code."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, StepFailed
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.notebooks import notebook_step
from interlock.pipelines.runner import Pipelines
from tests.unit.pipelines.conftest import ModuleMaker

CODE = [
    "import helpers\nimport json\n%matplotlib inline\n",
    "alpha = 2\nname: str = 'sum'\n",
    "def scaled(x):\n    return helpers.tidy(x) * alpha  # as agreed\n",
    "total = sum(scaled(x) for x in range(4))\ntotal\n",
]
HELPERS = "def tidy(x):\n    return x + 1\n"

MARIMO = """
import marimo

__generated_with = "0.25.2"
app = marimo.App()

with app.setup:
    import helpers


@app.cell
def _(scaled):
    total = sum(scaled(x) for x in range(4))
    total
    return (total,)


@app.cell
def _(mo, total):
    mo.md(f"The total is {total}")
    return


@app.cell
def parameters():
    alpha = 2
    return (alpha,)


@app.cell
def _(alpha):
    def scaled(x):
        return tidied(x) * alpha
    return (scaled,)


@app.function
def tidied(x):
    return helpers.tidy(x)


@app.cell
def _():
    import marimo as mo
    return (mo,)


if __name__ == "__main__":
    app.run()
"""


def jupyter(folder: Path, cells: list[str], *, tagged: int | None = 1, language: str = "python") -> Path:
    """Write a notebook; the cell at `tagged` is that of the parameters."""
    written: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": ["# Report"]}]
    for place, source in enumerate(cells):
        tags = {"tags": ["parameters"]} if place == tagged else {}
        cell = {"cell_type": "code", "metadata": tags, "source": source.splitlines(keepends=True)}
        written.append({**cell, "outputs": [], "execution_count": None})
    book = {"cells": written, "metadata": {"kernelspec": {"language": language}}, "nbformat": 4, "nbformat_minor": 5}
    path = folder / "report one.ipynb"
    path.write_text(json.dumps(book))
    return path


@pytest.fixture(params=["jupyter", "marimo"])
def path(request: pytest.FixtureRequest, tmp_path: Path, module: ModuleMaker) -> Path:
    module("helpers", HELPERS)
    if request.param == "jupyter":
        return jupyter(tmp_path, CODE)
    book = tmp_path / "report.py"
    book.write_text(MARIMO)
    return book


def test_called_by_itself(path: Path) -> None:
    report = notebook_step(path, outputs="total")
    assert (report(), report(alpha=10)) == (20, 100)
    both = notebook_step(path, outputs=["total", "alpha"], name="both", retries=2)
    assert (both(alpha=1), both.name, both.config.retries) == ({"total": 10, "alpha": 1}, "both", 2)
    with pytest.raises(TypeError, match="alhpa"):
        report(alhpa=1)


def test_as_a_step(pipelines: Pipelines, path: Path) -> None:
    report = notebook_step(path, outputs="total")
    flow = pipeline(name="reporting")(lambda alpha: [report(alpha=alpha), report(alpha=5)])
    assert pipelines.run(flow, 3).value == [30, 50]
    assert pipelines.run(flow, 3).reused == 2
    assert pipelines.run(flow, 4).reused == 1
    assert report.name.startswith("report")


def test_its_key_covers_its_code_and_what_that_uses(pipelines: Pipelines, path: Path, module: ModuleMaker) -> None:
    def reused() -> int:
        report = notebook_step(path, outputs="total")
        return pipelines.run(lambda: report()).reused

    assert [reused(), reused()] == [0, 1]
    text = path.read_text()
    path.write_text(text.replace("# as agreed", "# differently").replace("# Report", "# A report"))
    assert reused() == 1
    path.write_text(text.replace("range(4)", "range(5)"))
    assert reused() == 0
    path.write_text(text)
    module("helpers", HELPERS.replace("x + 1", "x + 2"))
    assert reused() == 0


def test_it_travels_to_other_processes_with_its_code(path: Path) -> None:
    report = notebook_step(path, outputs="total", timeout=60)
    path.unlink()
    again = pickle.loads(pickle.dumps(report))
    assert (again(alpha=10), again.config, again.name) == (100, report.config, report.name)


def test_an_error_names_the_cell(pipelines: Pipelines, tmp_path: Path) -> None:
    broken = notebook_step(jupyter(tmp_path, ["x = 1", "y = 2", "x / 0"]), outputs="x")
    with pytest.raises(StepFailed, match="report_one") as failure:
        pipelines.run(lambda: broken())
    assert isinstance(failure.value.__cause__, ZeroDivisionError)
    assert failure.value.__cause__.__notes__ == ["in cell 4 of report one.ipynb"]
    without = notebook_step(jupyter(tmp_path, ["if False:\n    x = 1"], tagged=None), outputs="x")
    with pytest.raises(StepFailed, match="without setting 'x'"):
        without()


@pytest.mark.parametrize(
    ("cells", "outputs", "said"),
    [
        (["x = 1"], "y", "no cell of report one.ipynb sets 'y'"),
        (["x = ("], "x", "cell 2 of report one.ipynb is no Python"),
        (["!pip install x"], "x", "cell 2 of report one.ipynb has '!pip install x'"),
        (["y = 1", "x = print()"], "x", "parameter 'x' in cell 3 of report one.ipynb has no plain value"),
    ],
)
def test_notebooks_that_make_no_step(tmp_path: Path, cells: list[str], outputs: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        notebook_step(jupyter(tmp_path, cells), outputs=outputs)
    assert said in refusal.value.what


def test_files_that_are_no_notebooks(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="written in julia"):
        notebook_step(jupyter(tmp_path, ["x = 1"], language="julia"), outputs="x")
    for name, text, said in (
        ("a.ipynb", "{}", "is no Jupyter notebook"),
        ("a.py", "x = 1", "is no marimo file"),
        ("a.py", "x = (", "is no Python"),
        ("a.txt", "x = 1", "is no notebook"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidInput, match=said):
            notebook_step(tmp_path / name, outputs="x")
    with pytest.raises(InvalidInput, match="cannot be read as a notebook"):
        notebook_step(tmp_path / "missing.ipynb", outputs="x")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("@app.cell\ndef a():\n    x = 1\n    return (x,)\n@app.cell\ndef b():\n    x = 2\n    return (x,)", "set 'x'"),
        (
            "@app.cell\ndef a(y):\n    x = y\n    return (x,)\n@app.cell\ndef b(x):\n    y = x\n    return (y,)",
            "circle",
        ),
    ],
)
def test_marimo_files_that_marimo_would_not_run(tmp_path: Path, cells: str, said: str) -> None:
    (tmp_path / "a.py").write_text(f"import marimo\napp = marimo.App()\n{cells}\n")
    with pytest.raises(InvalidInput, match=said):
        notebook_step(tmp_path / "a.py", outputs="x")


def test_steps_typed_into_a_notebook_follow_the_cells_above(pipelines: Pipelines) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    head = "from interlock.pipelines.steps import step\n"
    cells = [head, "SCALE = 2\n", "def tidy(x):\n    return x * SCALE\n", "@step\ndef clean(x):\n    return tidy(x)\n"]

    def typed(*sources: str) -> None:
        for number, source in enumerate(sources):
            exec(compile(source, f"<ipython-input-{number}>", "exec"), space)

    def run() -> tuple[Any, str]:
        done = pipelines.run(lambda: space["clean"](3))
        return done.value, done.steps[0].reason

    typed(*cells)
    assert run() == (6, "first run")
    typed(cells[2].replace("return", "# tidier\n    return"))
    assert run()[1].startswith("reused")
    typed("SCALE = 5\n")
    value, reason = run()
    assert value == 15
    assert "SCALE` 2 → 5" in reason
    typed(cells[2].replace("*", "+"))
    assert run()[0] == 8
