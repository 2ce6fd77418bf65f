"""What every model runtime must do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import Corrupt
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.testing.contract import Contract


@dataclass(frozen=True)
class Package:
    """A packaged model with rows whose answers are known.

    Args:
        folder: Its `MLmodel` folder.
        model_file: The file in it without which it cannot be loaded.
        signature: What it takes and gives.
        columns: Rows, column by column; at least two, one of which lacks a value.
        expected: The answers to them, by output name.
        settings: What the runtime must be told.
    """

    folder: Path
    model_file: str
    signature: Signature
    columns: list[list[Any]]
    expected: dict[str, list[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)


class ModelRuntimeContract(Contract):
    """Loading and answering. A backend provides the fixtures `runtime` and `package`."""

    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        """Return the runtime under test."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'runtime'")

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        """Return a package for it in a folder of its own, which tests may damage."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'package'")

    @pytest.fixture
    def predictor(self, runtime: ModelRuntime, package: Package) -> Predictor:
        """Return the loaded package."""
        return runtime.load(package.folder, signature=package.signature, settings=package.settings)

    def test_the_engine_has_one_name(self, runtime: ModelRuntime) -> None:
        assert runtime.engine
        assert runtime.engine == type(runtime)().engine

    def test_every_output_has_the_known_answer_for_every_row(self, predictor: Predictor, package: Package) -> None:
        rows = len(package.columns[0])
        answers = predictor.predict(package.columns, rows=rows)
        assert set(answers) == {column.name for column in package.signature.outputs}
        for name, values in package.expected.items():
            assert answers[name].shape == (rows,)
            assert answers[name].tolist() == pytest.approx(values, abs=1e-5)

    def test_answers_are_of_the_types_in_the_signature(self, predictor: Predictor, package: Package) -> None:
        kinds = {"double": float, "long": int, "boolean": bool, "string": str}
        answers = predictor.predict(package.columns, rows=len(package.columns[0]))
        for column in package.signature.outputs:
            assert {type(value) for value in answers[column.name].tolist()} == {kinds[column.type]}

    def test_a_row_alone_gets_the_answer_that_it_gets_among_others(
        self, predictor: Predictor, package: Package
    ) -> None:
        for row in range(len(package.columns[0])):
            answers = predictor.predict([[values[row]] for values in package.columns], rows=1)
            for name, values in package.expected.items():
                assert answers[name].tolist() == pytest.approx(values[row : row + 1], abs=1e-5)

    def test_asking_changes_nothing(self, predictor: Predictor, package: Package) -> None:
        before = [list(values) for values in package.columns]
        first = predictor.predict(package.columns, rows=len(before[0]))
        second = predictor.predict(package.columns, rows=len(before[0]))
        assert {name: values.tolist() for name, values in first.items()} == {
            name: values.tolist() for name, values in second.items()
        }
        # repr, because a missing number is NaN, which is not equal to itself
        assert repr(package.columns) == repr(before)

    def test_threads_may_ask_at_once(self, predictor: Predictor, package: Package) -> None:
        rows = len(package.columns[0])
        name, values = next(iter(package.expected.items()))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: predictor.predict(package.columns, rows=rows)[name].tolist(), range(32)))
        assert all(answer == pytest.approx(values, abs=1e-5) for answer in answers)

    def test_a_folder_without_its_model_is_corrupt(self, runtime: ModelRuntime, package: Package) -> None:
        shutil.rmtree(package.folder)
        package.folder.mkdir()
        with pytest.raises(Corrupt):
            runtime.load(package.folder, signature=package.signature, settings=package.settings)

    def test_a_model_file_that_is_cut_short_is_corrupt(self, runtime: ModelRuntime, package: Package) -> None:
        path = package.folder / package.model_file
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(Corrupt):
            runtime.load(package.folder, signature=package.signature, settings=package.settings)

    def test_a_model_file_of_something_else_is_corrupt(self, runtime: ModelRuntime, package: Package) -> None:
        (package.folder / package.model_file).write_bytes(b"not a model at all" * 10)
        with pytest.raises(Corrupt):
            runtime.load(package.folder, signature=package.signature, settings=package.settings)
