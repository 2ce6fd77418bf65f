"""Load what was packaged, ask it, compile it, and say which form answers how many rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import Corrupt, InterlockError, InvalidInput
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.registry.comparing import TOLERANCE, largest_difference
from interlock.registry.jumps import jump_rows
from interlock.registry.kinds import Compiler, Form, Package
from interlock.registry.packaging import write_folder
from interlock.registry.probing import Answers, answer, ask, is_whole
from interlock.registry.timing import first_quicker, times

WORTH_LOADING = 1.1
"""How many times quicker another engine must be for many rows to be loaded for them."""

Runtimes = Mapping[str, ModelRuntime]


class Tried(msgspec.Struct, frozen=True):
    """A form that answers as the model does.

    Args:
        form: The form.
        predictor: It, loaded.
        max_difference: The largest difference seen to the model itself.
        one_row_us: How long it takes for a row.
        rows512_us: How long it takes for 512 rows.
    """

    form: Form
    predictor: Predictor
    max_difference: float
    one_row_us: float
    rows512_us: float


class Verified(msgspec.Struct, frozen=True):
    """A package that was held against its model.

    Args:
        signature: The signature, its columns nullable where the model bears a gap.
        forms: The forms that are kept: the native one, then the compiled ones that answer.
        engine: The engine that answers few rows, and all where there is no other for many.
        facts: What was found out: how the engine must be set, how long each takes, how closely they agree.
    """

    signature: Signature
    forms: tuple[Form, ...]
    engine: str
    facts: dict[str, Any]


def verify(package: Package, runtimes: Runtimes) -> Verified:
    """Load a package back, compare it with its model, compile it, and choose an engine for few rows and one for many.

    Raises:
        Corrupt: The loaded package answers otherwise than the model in memory.
        InvalidInput: The model answers its example with no number (NaN).
    """
    _check_answers(package)
    with _Desk(package, runtimes) as desk:
        native, predictor = desk.native()
        answers = ask(predictor, package.example, package.signature, is_probed=package.is_probed)
        compiled, reasons, answers = desk.compiled(answers)
        tried = [
            Tried(form, loaded, difference, *times(loaded, answers))
            for form, loaded, difference in [(native, predictor, 0.0), *compiled]
        ]
        few, more, from_rows = _choose(tried, answers)
    chosen = [few] if more is None else [few, more]
    kept = [native, *(one.form for one in chosen if one.form is not native)]
    facts = {
        **package.facts,
        **native.settings,
        **few.form.settings,
        **_figures(tried, chosen, from_rows),
        "rows_compared": answers.size,
        "rows_refused": answers.refused,
        **({"not_compiled": reasons} if len(tried) == 1 and reasons else {}),
    }
    return Verified(_with_nullable(package.signature, answers), tuple(kept), few.form.engine, facts)


class _Desk:
    """Forms of one package, loaded from a folder that is gone at the end."""

    def __init__(self, package: Package, runtimes: Runtimes) -> None:
        self._package = package
        self._runtimes = runtimes
        self._folder = tempfile.TemporaryDirectory(prefix="interlock-register-")
        self._made = 0
        self._native: Predictor

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def native(self) -> tuple[Form, Predictor]:
        """Return the first native form that answers as the model in memory, loaded."""
        package, problem = self._package, ""
        rows = 1 if is_whole(package.signature) else len(next(iter(package.expected.values())))
        columns = [values if is_whole(package.signature) else values[:rows] for values in package.example.values()]
        for form in package.native:
            predictor = self._load(form)
            try:
                found = predictor.predict(columns, rows=rows)
            except InvalidInput as error:
                problem = error.why or error.what
                continue
            difference = largest_difference(package.expected, found)
            if difference <= TOLERANCE:
                self._native = predictor
                return form, predictor
            problem = f"its answers differ by {difference:.2g}"
        raise Corrupt(
            f"the packaged {package.title} does not answer as the one in memory",
            why=problem,
            fix="replace custom steps by the library's own",
        )

    def compiled(self, answers: Answers) -> tuple[list[tuple[Form, Predictor, float]], str, Answers]:
        """Return the compiled forms that agree with the answers, why others do not, and the answers compared with.

        What a gap means where the example has none is the model's accident; where no compiled form shares it, they are
        held against the answers to rows without new gaps, and the signature allows none.
        """
        without = answers.without_new_gaps(self._package.signature)
        whole: list[tuple[Form, Predictor, float]] = []
        part: list[tuple[Form, Predictor, float]] = []
        reasons: list[str] = []
        for compiler in self._package.compilers:
            found, found_part = self._first(compiler, answers, without, reasons)
            whole += found
            part += found_part
        kept = whole or part
        return kept, "; ".join(dict.fromkeys(reasons)), answers if whole or not part else without

    def _first(
        self, compiler: Compiler, answers: Answers, without: Answers, reasons: list[str]
    ) -> tuple[list[tuple[Form, Predictor, float]], list[tuple[Form, Predictor, float]]]:
        """Return the first form of a compiler that agrees with all answers, or else the first that does with part."""
        part: list[tuple[Form, Predictor, float]] = []
        for form in compiler(self._package.signature):
            if isinstance(form, str):
                reasons.append(form)
                continue
            try:
                predictor = self._load(form)
            except InterlockError as error:
                reasons.append(f"{form.title}: {error.what} ({error.why})")
                continue
            difference, problem = self._held(predictor, answers)
            if difference <= TOLERANCE:
                return [(form, predictor, difference)], []
            reasons.append(f"{form.title}: {problem}")
            if without is not answers and not part:
                difference, _ = self._held(predictor, without)
                if difference <= TOLERANCE:
                    part.append((form, predictor, difference))
        return [], part

    def _held(self, predictor: Predictor, answers: Answers) -> tuple[float, str]:
        """Return by how much a form differs from the answers, and where its own answers jump; and this in words."""
        difference, problem = _difference(predictor, answers)
        if difference > TOLERANCE or not answers.rows or not self._package.is_probed:
            return difference, problem
        try:
            rows = jump_rows(predictor, answers.rows, self._package.signature)
            if not rows:
                return difference, problem
            found = answer(predictor, rows)
            beside = largest_difference(answer(self._native, rows), found)
        except InvalidInput as error:
            return float("inf"), f"{error.what} ({error.why})"
        return max(difference, beside), f"differs by {beside:.2g} where the answer jumps"

    def _load(self, form: Form) -> Predictor:
        runtime = self._runtimes.get(form.engine)
        if runtime is None:
            raise InvalidInput(f"there is no engine '{form.engine}' here", why=f"there are {sorted(self._runtimes)}")
        self._made += 1
        folder = Path(self._folder.name) / str(self._made)
        folder.mkdir()
        write_folder(form.files, folder)
        return runtime.load(folder, signature=self._package.signature, settings=form.settings)


def _difference(predictor: Predictor, answers: Answers) -> tuple[float, str]:
    try:
        found = predictor.predict(answers.columns(), rows=answers.size)
    except InvalidInput as error:
        return float("inf"), f"{error.what} ({error.why})"
    difference = largest_difference(answers.outputs, found)
    return difference, f"differs by {difference:.2g}"


def _choose(tried: Sequence[Tried], answers: Answers) -> tuple[Tried, Tried | None, int]:
    """Return what answers few rows, what answers many if that is another, and from how many rows on."""
    few = min(tried, key=lambda one: one.one_row_us)
    many = min(tried, key=lambda one: one.rows512_us)
    if many is few or few.rows512_us < WORTH_LOADING * many.rows512_us:
        return few, None, 0
    return few, many, first_quicker(few.predictor, many.predictor, answers)


def _figures(tried: Sequence[Tried], chosen: Sequence[Tried], from_rows: int) -> dict[str, Any]:
    """Return the facts on speed and closeness: of what was chosen, and of every form."""
    few, many = chosen[0], chosen[-1]
    facts: dict[str, Any] = {
        "one_row_us": few.one_row_us,
        "rows512_us": many.rows512_us,
        "max_difference": max(one.max_difference for one in chosen),
        "engines": [
            {
                "engine": one.form.engine,
                "title": one.form.title,
                "one_row_us": one.one_row_us,
                "rows512_us": one.rows512_us,
                "max_difference": one.max_difference,
            }
            for one in tried
        ],
    }
    if many is not few:
        facts["many"] = {"engine": many.form.engine, "from_rows": from_rows, "settings": dict(many.form.settings)}
    return facts


def _check_answers(package: Package) -> None:
    for name, values in package.expected.items():
        for row, value in enumerate(values):
            if isinstance(value, float) and value != value:
                raise InvalidInput(
                    f"the {package.title} gives no number as '{name}' for row {row} of the example",
                    why="NaN cannot be told from a missing answer",
                    fix="give example rows that the model can answer, or fill gaps in its first step",
                )


def _with_nullable(signature: Signature, answers: Answers) -> Signature:
    """Return the signature with a column nullable where the example lacks a value or the model bears it."""
    return Signature(
        tuple(
            msgspec.structs.replace(column, nullable=column.nullable or column.name in answers.nullable)
            for column in signature.inputs
        ),
        signature.outputs,
    )
